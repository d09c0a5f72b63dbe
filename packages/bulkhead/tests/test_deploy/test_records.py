"""The history of deploys."""

from typing import Any

from packages.bulkhead.tests.kube_store import KubeStore

from bulkhead.deploy import records
from bulkhead.deploy.records import Record

PATH = "/api/v1/namespaces/bulkhead-shop/configmaps/shop-deploys"


def record(number: int, **others: Any) -> Record:
    fields: dict[str, Any] = {
        "at": "2026-01-01T00:00:00Z",
        "by": "A Person",
        "action": "deploy",
        "commit": "c" * 40,
        "image": f"registry/shop@sha256:{number}",
        "result": "live",
        "reason": None,
        "seconds": 12.5,
        "revision": number,
    }
    return Record(**{**fields, **others})


def test_there_is_no_history_before_the_first_deploy(store: KubeStore) -> None:
    assert records.read(store.api, "bulkhead-shop", "shop") == []


def test_records_are_kept_in_order_and_the_oldest_leave(store: KubeStore) -> None:
    for number in range(55):
        records.add(store.api, "bulkhead-shop", "shop", record(number))
    found = records.read(store.api, "bulkhead-shop", "shop")
    assert [each.revision for each in found] == list(range(5, 55))


def test_a_long_reason_is_cut(store: KubeStore) -> None:
    records.add(store.api, "bulkhead-shop", "shop", record(1, result="failed", reason="x" * 9999))
    [found] = records.read(store.api, "bulkhead-shop", "shop")
    assert found.reason == "x" * 400


def test_a_write_of_somebody_else_in_between_is_kept(store: KubeStore) -> None:
    records.add(store.api, "bulkhead-shop", "shop", record(1))
    answer, interrupted = store.answer, [False]

    def interrupt(verb: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if verb == "PUT" and not interrupted[0]:
            interrupted[0] = True
            store.answer = answer
            store._lock.release()
            records.add(store.api, "bulkhead-shop", "shop", record(2))
            store._lock.acquire()
        return answer(verb, path, body)

    store.answer = interrupt
    records.add(store.api, "bulkhead-shop", "shop", record(3))
    found = records.read(store.api, "bulkhead-shop", "shop")
    assert [each.revision for each in found] == [1, 2, 3]


def test_a_record_of_another_version_is_left_out(store: KubeStore) -> None:
    records.add(store.api, "bulkhead-shop", "shop", record(1))
    data: dict[str, str] = store.objects[PATH]["data"]
    data["records.json"] = data["records.json"].replace('"seconds"', '"duration"')
    assert records.read(store.api, "bulkhead-shop", "shop") == []
