"""`ListWatch` keeps its store equal to a collection; see also what steps and discovery promise."""

import threading
from collections.abc import Iterator
from http import HTTPStatus
from itertools import pairwise
from typing import Any

import pytest
from packages.bulkhead.tests.test_steps import fake_api as fake
from packages.bulkhead.tests.test_steps.fake_api import LIST, PODS, WATCH
from packages.bulkhead.tests.waiting import wait_until

from bulkhead.kube import list_watch
from bulkhead.kube.api import KubernetesApi, KubernetesApiError
from bulkhead.kube.list_watch import ListWatch

Object = dict[str, Any]


class Store:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.replaced: list[int] = []
        self.applied: list[tuple[str, str]] = []

    def replace(self, objects: list[Any]) -> None:
        self.replaced.append(len(objects))
        self.objects = {each["metadata"]["name"]: each for each in objects}

    def apply(self, change: str, value: Any) -> None:
        name = value["metadata"]["name"]
        if name == "unreadable":
            raise KubernetesApiError("this one cannot be read")
        if name == "mistake":
            raise AssertionError("a mistake in the program")
        self.applied.append((change, value["note"]))
        if change == "DELETED":
            self.objects.pop(name, None)
        else:
            self.objects[name] = value

    @property
    def notes(self) -> dict[str, str]:
        return {name: value["note"] for name, value in self.objects.items()}


class Running:
    """A list-and-watch in a thread."""

    def __init__(self, address: str) -> None:
        self.store = Store()
        self.errors: list[KubernetesApiError] = []
        self.heartbeats = 0
        self.list_watch = ListWatch(
            KubernetesApi(address),
            "/api/v1/namespaces/ns/pods",
            {},
            self.store,
            on_heartbeat=self._beat,
            on_failure=self.errors.append,
        )
        self.died_of: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _beat(self) -> None:
        self.heartbeats += 1

    def _run(self) -> None:
        try:
            self.list_watch.run()
        except AssertionError as error:
            self.died_of = error


@pytest.fixture
def api() -> Iterator[Any]:
    api = fake.FakeApi()
    yield api
    api.leave()


@pytest.fixture
def running(api: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setattr(list_watch, "_FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(list_watch, "_LONGEST_PAUSE_SECONDS", 0.05)
    running = Running(api.address)
    yield running
    running.list_watch.stop()


def follow(running: Running, api: Any) -> None:
    running.thread.start()
    wait_until(lambda: running.store.replaced and api.is_watched(PODS))


def pod(name: str, note: str = "") -> Object:
    return {"metadata": {"name": name, "namespace": "ns", "uid": name}, "note": note}


def test_a_list_comes_in_pages_and_is_taken_as_a_whole(running: Running, api: Any) -> None:
    api.longest_page = 2
    for number in range(5):
        api.put(PODS, pod(f"pod-{number}"))
    follow(running, api)
    assert running.store.replaced == [5]
    assert len(running.store.objects) == 5
    queries = [each.query for each in api.requests if each.verb == LIST]
    assert [each.get("continue") for each in queries] == [None, "2", "4"]
    assert {each["limit"] for each in queries} == {"500"}


def test_a_list_that_breaks_in_its_midst_changes_nothing_and_is_reported(
    running: Running, api: Any
) -> None:
    for number in range(3):
        api.put(PODS, pod(f"pod-{number}", "old"))
    follow(running, api)
    api.longest_page = 2
    first = fake.Answer(
        HTTPStatus.OK,
        b'{"kind": "List", "metadata": {"resourceVersion": "9", "continue": "2"}, "items": []}',
    )
    api.answer_next(PODS, LIST, first, fake.Answer(HTTPStatus.GONE))
    with api.deaf_watches():
        api.put(PODS, pod("pod-1", "new"))
    api.cut_watches(PODS)
    wait_until(lambda: running.errors)
    assert running.errors[0].status == 410
    wait_until(lambda: running.store.notes["pod-1"] == "new")
    assert running.store.replaced == [3, 3]


def test_an_event_that_is_older_than_what_is_known_is_dropped(running: Running, api: Any) -> None:
    old = api.put(PODS, pod("a", "old"))
    api.put(PODS, pod("a", "new"))
    follow(running, api)
    gone = api.put(PODS, pod("b", "before its deletion"))
    api.remove(PODS, "b")
    api.send(PODS, fake.line("MODIFIED", old), fake.line("ADDED", gone))
    api.put(PODS, pod("last", "last"))
    wait_until(lambda: "last" in running.store.notes)
    assert running.store.notes == {"a": "new", "last": "last"}
    assert [note for _, note in running.store.applied] == [
        "before its deletion",
        "before its deletion",
        "last",
    ]


def test_versions_that_are_no_numbers_order_nothing(running: Running, api: Any) -> None:
    api.put(PODS, pod("a", "listed"))
    follow(running, api)
    strange = pod("a", "watched")
    strange["metadata"]["resourceVersion"] = "one-more"
    api.send(PODS, fake.line("MODIFIED", strange))
    wait_until(lambda: running.store.notes == {"a": "watched"})


def test_an_object_that_the_store_cannot_read_leads_to_a_list(running: Running, api: Any) -> None:
    follow(running, api)
    api.put(PODS, pod("a"))
    api.put(PODS, pod("unreadable"))
    wait_until(lambda: running.store.replaced == [0, 2])


def test_a_mistake_in_the_store_is_not_hidden(running: Running, api: Any) -> None:
    follow(running, api)
    api.put(PODS, pod("mistake"))
    running.thread.join(10)
    assert str(running.died_of) == "a mistake in the program"


def test_after_a_stop_nothing_changes(running: Running, api: Any) -> None:
    api.put(PODS, pod("a", "old"))
    follow(running, api)
    running.list_watch.stop()
    api.put(PODS, pod("a", "new"))
    running.thread.join(10)
    assert not running.thread.is_alive()
    assert running.store.notes == {"a": "old"}


def test_every_request_and_event_is_a_heartbeat(running: Running, api: Any) -> None:
    follow(running, api)
    before = running.heartbeats
    assert before > 0
    api.send(PODS, fake.bookmark(api.version))
    wait_until(lambda: running.heartbeats == before + 1)
    api.end_watches(PODS)
    wait_until(lambda: running.heartbeats == before + 2)


def test_a_reason_that_repeats_is_logged_once(
    running: Running, api: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", list_watch.__name__)
    api.answer_next(PODS, WATCH, *3 * [fake.Answer(HTTPStatus.FORBIDDEN)])
    follow(running, api)
    assert api.count(PODS, LIST) == 4
    assert len(caplog.records) == 1
    assert "/api/v1/namespaces/ns/pods: the watch ended, listing again: 403" in caplog.text


class _Pauses:
    """Stands for the event that `stop` sets; notes how long it was waited for."""

    def __init__(self, count: int) -> None:
        self.seconds: list[float] = []
        self._count = count

    def is_set(self) -> bool:
        return len(self.seconds) == self._count

    def wait(self, seconds: float) -> None:
        self.seconds.append(seconds)


def test_pauses_double_up_to_five_seconds_and_differ_between_watchers() -> None:
    def pauses() -> list[float]:
        running = Running("http://127.0.0.1:9")  # nobody listens there
        noted = _Pauses(40)
        running.list_watch._stopped = noted  # pyright: ignore[reportAttributeAccessIssue]
        running.list_watch.run()
        assert len(running.errors) >= 39
        return noted.seconds

    some, others = pauses(), pauses()
    assert 0.15 <= some[0] <= 0.25
    assert all(later >= earlier for earlier, later in pairwise(some[:5]))
    assert max(some + others) <= 5
    assert min(some[6:]) >= 3
    assert some != others


def test_a_watch_that_brought_news_resets_the_pause(api: Any) -> None:
    running = Running(api.address)
    noted = _Pauses(8)
    running.list_watch._stopped = noted  # pyright: ignore[reportAttributeAccessIssue]
    news = fake.line("ADDED", {**pod("a"), "metadata": {"name": "a", "resourceVersion": "900"}})
    nothing = fake.Answer(HTTPStatus.OK, b"")
    api.answer_next(PODS, WATCH, *4 * [nothing], fake.Answer(HTTPStatus.OK, news), *4 * [nothing])
    running.list_watch.run()
    assert noted.seconds[3] > 1
    assert noted.seconds[4] <= 0.25
    assert api.count(PODS, LIST) == 1
    assert api.last_request(PODS, WATCH).version == "900"
