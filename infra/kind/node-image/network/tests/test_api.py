"""Following a collection through everything that goes wrong between an agent and its API server."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from fake_api import CUT, END, FakeApi
from network_objects import raw_namespace

from bulkhead_network import api
from bulkhead_network.api import ApiServer, Follower
from bulkhead_network.model import Json


class Names:
    """A sink that holds the names of its objects and how often they were listed."""

    def __init__(self) -> None:
        self.held: set[str] = set()
        self.fillings = 0
        self.changed = threading.Condition()

    def replace(self, objects: Iterable[Json]) -> None:
        self._change(lambda: {obj["metadata"]["name"] for obj in objects})
        self.fillings += 1

    def put(self, obj: Json) -> None:
        self._change(lambda: self.held | {obj["metadata"]["name"]})

    def remove(self, obj: Json) -> None:
        self._change(lambda: self.held - {obj["metadata"]["name"]})

    def wait_for(self, *names: str) -> None:
        with self.changed:
            is_there = self.changed.wait_for(lambda: self.held == set(names), 10)
        assert is_there, f"holds {self.held}, expected {names}"

    def _change(self, new: Callable[[], set[str]]) -> None:
        with self.changed:
            self.held = new()
            self.changed.notify_all()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApi]:
    monkeypatch.setattr(api, "FIRST_PAUSE", 0.01)
    fake = FakeApi()
    fake.objects = [raw_namespace("a"), raw_namespace("b")]
    yield fake
    fake.shutdown()
    fake.server_close()


@pytest.fixture
def names() -> Names:
    return Names()


def follow(server: FakeApi, names: Names, folder: Path) -> None:
    token = folder / "token"
    token.write_text("secret\n")
    address = ApiServer("127.0.0.1", server.server_port, None, token)
    run = Follower(address, "/api/v1/namespaces", names).run
    threading.Thread(target=run, daemon=True).start()


@pytest.fixture
def followed(server: FakeApi, names: Names, tmp_path: Path) -> FakeApi:
    follow(server, names, tmp_path)
    server.wait_for_watches(1)
    names.wait_for("a", "b")
    return server


def test_takes_additions_changes_and_deletions(followed: FakeApi, names: Names) -> None:
    followed.send("ADDED", raw_namespace("c"))
    followed.send("MODIFIED", raw_namespace("c", team="x"))
    names.wait_for("a", "b", "c")
    followed.send("DELETED", raw_namespace("a"))
    names.wait_for("b", "c")


def test_a_long_list_comes_in_pages(server: FakeApi, names: Names, tmp_path: Path) -> None:
    server.page_size = 3
    server.objects = [raw_namespace(f"n{n}") for n in range(10)]
    follow(server, names, tmp_path)
    names.wait_for(*(f"n{n}" for n in range(10)))
    assert (server.lists, names.fillings) == (1, 1)


@pytest.mark.parametrize("ending", [END, CUT])
def test_a_watch_that_ends_is_resumed_without_listing_again(
    followed: FakeApi, names: Names, ending: str
) -> None:
    followed.send("ADDED", raw_namespace("c"), version=7)
    followed.events.put(ending)
    followed.wait_for_watches(2)
    followed.send("ADDED", raw_namespace("d"))
    names.wait_for("a", "b", "c", "d")
    assert followed.watched_from == ["1", "7"]
    assert followed.lists == 1


def test_bookmarks_move_the_place_to_resume_at(followed: FakeApi) -> None:
    bookmark: Json = {"metadata": {}}
    followed.send("BOOKMARK", bookmark, version=42)
    followed.events.put(END)
    followed.wait_for_watches(2)
    assert followed.watched_from == ["1", "42"]


def test_events_that_come_twice_change_nothing(followed: FakeApi, names: Names) -> None:
    for _ in range(2):
        followed.send("ADDED", raw_namespace("c"), version=5)
    for _ in range(2):
        followed.send("DELETED", raw_namespace("a"), version=6)
    names.wait_for("b", "c")


def test_lists_again_when_a_running_watch_is_too_old(followed: FakeApi, names: Names) -> None:
    followed.objects, followed.version = [raw_namespace("x")], 99
    followed.send_gone()
    names.wait_for("x")
    followed.wait_for_watches(2)
    assert followed.watched_from == ["1", "99"]


def test_lists_again_when_a_watch_cannot_be_resumed(followed: FakeApi, names: Names) -> None:
    followed.objects, followed.version = [raw_namespace("x")], 99
    followed.refusals = [410]
    followed.events.put(CUT)
    names.wait_for("x")
    followed.wait_for_watches(2)
    assert followed.watched_from == ["1", "99"]


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_a_rejected_request_is_retried(
    server: FakeApi, names: Names, tmp_path: Path, status: int
) -> None:
    server.refusals = [status, status]
    follow(server, names, tmp_path)
    names.wait_for("a", "b")


def test_an_api_server_that_is_away_is_waited_for(followed: FakeApi, names: Names) -> None:
    """As at a restart of the API server: no process listens, then another one does."""
    followed.send("ADDED", raw_namespace("c"), version=7)
    names.wait_for("a", "b", "c")
    followed.shutdown()
    followed.server_close()
    followed.events.put(CUT)
    returned = FakeApi(followed.server_port)
    returned.wait_for_watches(1)
    returned.send("ADDED", raw_namespace("d"), version=8)
    names.wait_for("a", "b", "c", "d")
    assert (returned.watched_from, returned.lists) == (["7"], 0)
    returned.shutdown()
    returned.server_close()


def test_one_connection_serves_list_and_watches(followed: FakeApi) -> None:
    followed.send("ADDED", raw_namespace("c"))
    followed.events.put(END)
    followed.wait_for_watches(2)
    assert followed.connections == 1


def test_a_server_that_ends_every_watch_at_once_is_not_stormed(
    server: FakeApi, names: Names, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "FIRST_PAUSE", 0.1)
    for _ in range(1000):
        server.events.put(END)
    follow(server, names, tmp_path)
    server.wait_for_watches(2)
    time.sleep(0.5)
    assert len(server.watched_from) < 10


def test_the_token_is_read_again_for_each_request(followed: FakeApi, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("renewed")
    followed.events.put(END)
    followed.wait_for_watches(2)
    assert followed.tokens[0] == "Bearer secret"
    assert followed.tokens[-1] == "Bearer renewed"
