"""When a released image is live, and when it never will be."""

import time
from typing import Any

import pytest
from packages.bulkhead.tests.kube_store import KubeStore

from bulkhead.deploy import rollout
from bulkhead.deploy.rollout import Rollout, RolloutError
from bulkhead.load_report import LoadReport

NAMESPACE = "bulkhead-shop"
OLD, NEW = (f"registry/shop@sha256:{digit * 64}" for digit in "01")


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout, "_POLL_SECONDS", 0.01)
    monkeypatch.setattr(rollout, "_ERROR_SECONDS", 0.1)
    monkeypatch.setattr(rollout, "_PULL_SECONDS", 0.1)


def deployment(image: str = NEW, **status: int) -> dict[str, Any]:
    counts = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1, "observedGeneration": 2}
    return {
        "metadata": {"name": "shop", "generation": 2},
        "spec": {"replicas": 1, "template": {"spec": {"containers": [{"image": image}]}}},
        "status": {**counts, **status},
    }


def pod(image: str, *, waiting: dict[str, str] | None = None, **status: Any) -> dict[str, Any]:
    container: dict[str, Any] = {"state": {"waiting": waiting} if waiting else {"running": {}}}
    ready = {"type": "Ready", "status": "False" if waiting else "True"}
    return {
        "metadata": {"name": f"shop-{image[-4:]}"},
        "spec": {"containers": [{"image": image}]},
        "status": {"conditions": [ready], "containerStatuses": [{**container, **status}]},
    }


def report(image: str | None, **others: Any) -> str:
    fields: dict[str, Any] = {
        "error": None,
        "unreachable": False,
        "loading": False,
        "updated": 1.0,
        "checked": time.time(),
    }
    return LoadReport(image=image, **{**fields, **others}).to_json()


def cluster(
    store: KubeStore, server: dict[str, Any], pods: list[dict[str, Any]], **reports: str
) -> None:
    store.put(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/shop", **server)
    for each in pods:
        store.put(f"/api/v1/namespaces/{NAMESPACE}/pods/{each['metadata']['name']}", **each)
    store.put(f"/api/v1/namespaces/{NAMESPACE}/configmaps/bulkhead-status", data=reports)


def wait(store: KubeStore, timeout: float = 0.5) -> None:
    """Wait for a release that everything in the cluster is newer than."""
    path = f"/api/v1/namespaces/{NAMESPACE}/configmaps/bulkhead-status"
    after = store.objects.pop(path)
    rollout = Rollout(store.api, NAMESPACE, "shop", NEW, lambda _: None)
    store.objects[path] = after
    rollout.wait(timeout)


def test_an_image_is_live_when_every_web_server_has_loaded_it(store: KubeStore) -> None:
    cluster(store, deployment(), [pod(NEW)], one=report(NEW), two=report(NEW))
    wait(store)


@pytest.mark.parametrize(
    ("server", "reports", "waits_for"),
    [
        (deployment(updatedReplicas=0), {"one": report(NEW)}, "the new code server to be ready"),
        (deployment(observedGeneration=1), {"one": report(NEW)}, "the new code server"),
        (deployment(replicas=2), {"one": report(NEW)}, "the new code server"),
        (deployment(), {"one": report(NEW), "two": report(OLD)}, "the web server to load it"),
        (deployment(), {"one": report(NEW, loading=True)}, "the web server to load it"),
        (deployment(), {"one": report(NEW, updated=None)}, "the web server to load it"),
        (deployment(), {}, "first report of the web server"),
        (
            deployment(),
            {"one": report(NEW, error="no connection", unreachable=True)},
            "the web server to load it",
        ),
    ],
)
def test_a_timeout_says_what_was_waited_for(
    store: KubeStore, server: dict[str, Any], reports: dict[str, str], waits_for: str
) -> None:
    cluster(store, server, [pod(NEW)], **reports)
    with pytest.raises(RolloutError, match=f"Not live after 0 s; it waited for .*{waits_for}"):
        wait(store, 0.2)


def test_a_web_server_that_is_gone_does_not_count(store: KubeStore) -> None:
    gone = report(OLD, checked=time.time() - 1000)
    cluster(store, deployment(), [pod(NEW)], one=report(NEW), two=gone)
    wait(store)


def test_a_load_error_ends_the_wait_with_its_text(store: KubeStore) -> None:
    cluster(store, deployment(), [pod(NEW)], one=report(None, error="LookupError: no setting"))
    with pytest.raises(RolloutError, match="The Dagster UI cannot load it") as raised:
        wait(store, 10)
    assert raised.value.output == "LookupError: no setting"


def test_an_error_of_the_version_before_is_not_one_of_the_new_image(store: KubeStore) -> None:
    cluster(store, deployment(), [pod(NEW)], one=report(None, error="of the old", updated=1.0))
    rollout = Rollout(store.api, NAMESPACE, "shop", NEW, lambda _: None)
    with pytest.raises(RolloutError, match="waited for the web server to load it"):
        rollout.wait(0.5)


@pytest.mark.parametrize(
    ("reason", "message", "expected"),
    [
        ("CrashLoopBackOff", "back-off", "does not start .CrashLoopBackOff"),
        ("CreateContainerConfigError", "no Secret", "does not start .CreateContainerConfigError"),
        ("ErrImagePull", "not found", "The image cannot be pulled: not found"),
    ],
)
def test_a_pod_that_cannot_start_ends_the_wait(
    store: KubeStore, reason: str, message: str, expected: str
) -> None:
    waiting = {"reason": reason, "message": message}
    server = deployment(updatedReplicas=1, availableReplicas=1, replicas=2)
    cluster(store, server, [pod(OLD), pod(NEW, waiting=waiting)], one=report(OLD))
    with pytest.raises(RolloutError, match=expected):
        wait(store, 10)


def test_a_crash_for_lack_of_memory_says_so(store: KubeStore) -> None:
    crashed = pod(
        NEW,
        waiting={"reason": "CrashLoopBackOff", "message": "back-off"},
        lastState={"terminated": {"reason": "OOMKilled", "exitCode": 137}},
    )
    cluster(store, deployment(replicas=2), [crashed], one=report(OLD))
    with pytest.raises(RolloutError, match="OOM-killed"):
        wait(store, 10)


def test_a_missing_right_ends_the_wait_and_a_silent_api_server_does_not(store: KubeStore) -> None:
    cluster(store, deployment(), [pod(NEW)], one=report(NEW))
    answer, refused = store.answer, [403, 500]

    def refuse(verb: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if refused:
            return refused.pop(), {"kind": "Status", "message": "no"}
        return answer(verb, path, body)

    rollout = Rollout(store.api, NAMESPACE, "shop", NEW, lambda _: None)
    store.answer = refuse
    with pytest.raises(RolloutError, match="rejects a request: 403"):
        rollout.wait(5)
    rollout.wait(5)
