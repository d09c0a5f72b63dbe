"""workspace-sync against real HTTP servers that drop, repeat, reorder and lie."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from packages.bulkhead.tests.test_discovery.api_objects import endpoint_slice, services, slices

from bulkhead.discovery import (
    code_servers,
    collection,
    registry_follower,
    reloader as reloader_module,
    sync,
)

CONFIG_MAPS = "/api/v1/namespaces/bulkhead/configmaps"


def test_a_platform_without_locations_gets_an_empty_workspace(world: Any) -> None:
    world.register()
    running = world.start()
    world.wait_until(lambda: running.names == [])
    assert running.asks("/readyz")[0] == 200


def test_locations_appear_move_and_disappear_within_two_seconds(world: Any) -> None:
    world.register(hello="ns")
    running = world.start()
    world.wait_until(lambda: running.names == [])
    world.api.put(services("ns"), world.service("hello", "ns"))
    world.wait_until(lambda: running.names == ["hello"], 2)
    world.api.put(services("ns"), world.service("hello", "ns", port=4040))
    world.wait_until(lambda: running.entries[0]["port"] == 4040, 2)
    world.api.delete(services("ns"), "hello")
    world.wait_until(lambda: running.names == [], 2)


def test_a_newly_registered_namespace_is_watched_and_one_struck_off_is_left(world: Any) -> None:
    world.register(hello="ns")
    world.api.put(services("ns"), world.service("hello", "ns"))
    world.api.put(services("ns2"), world.service("ml", "ns2"))
    running = world.start()
    world.wait_until(lambda: running.names == ["hello"])
    world.register(hello="ns", ml="ns2")
    world.wait_until(lambda: running.names == ["hello", "ml"], 2)
    world.register(ml="ns2")
    world.wait_until(lambda: running.names == ["ml"], 2)


def test_the_first_workspace_is_whole(world: Any) -> None:
    world.register(**{f"l{n}": f"ns{n}" for n in range(8)})
    for n in range(8):
        world.api.put(services(f"ns{n}"), world.service(f"l{n}", f"ns{n}"))
    running = world.start()
    world.wait_until(lambda: running.names is not None)
    assert len(running.names) == 8


def test_the_file_is_written_only_when_its_content_changes(world: Any) -> None:
    world.register(hello="ns")
    world.api.put(services("ns"), world.service("hello", "ns"))
    running = world.start()
    world.wait_until(lambda: running.names == ["hello"])
    inode = running.output.stat().st_ino
    world.api.put(services("ns"), world.service("hello", "ns"))  # a new version, the same address
    world.register(hello="ns", other="ns")
    world.api.put(services("ns"), world.service("other", "ns"))
    world.wait_until(lambda: running.names == ["hello", "other"])
    changed = running.output.stat().st_ino
    assert changed != inode
    lists = world.api.lists
    world.api.expire(services("ns"))
    world.wait_until(lambda: world.api.lists > lists)
    world.api.put(services("ns"), world.service("hello", "ns"))
    world.api.put(
        services("ns"), world.service("stranger", "ns")
    )  # shows when all before it was taken in
    world.wait_until(lambda: world.api.events)
    assert running.output.stat().st_ino == changed


def test_a_refused_claim_gets_one_event_per_version_however_many_tell_it(world: Any) -> None:
    world.register(hello="ns", ml="ns2")
    first = world.api.put(services("ns2"), world.service("impostor", "ns2", location="hello"))
    running = world.start()
    world.wait_until(lambda: world.api.events)
    second = world.start()  # the daemon's sidecar sees the same
    world.wait_until(lambda: world.api.posts == 2)
    world.api.hang_up(services("ns2"))
    world.register(hello="ns", ml="ns2", another="ns")
    event = world.api.events[0]
    assert event["reason"] == sync.REFUSED
    assert event["type"] == "Warning"
    assert event["involvedObject"]["name"] == "impostor"
    assert event["metadata"]["namespace"] == "ns2"
    assert "belongs to namespace ns" in event["message"]
    version = first["metadata"]["resourceVersion"]
    world.api.put(services("ns2"), world.service("impostor", "ns2", location="hello"))
    world.wait_until(lambda: len(world.api.events) >= 2)
    assert [each["involvedObject"]["resourceVersion"] for each in world.api.events].count(
        version
    ) == 1
    world.wait_until(lambda: world.api.posts >= 4)
    # Time for a storm, if there were one: the next change is taken in by both processes.
    world.register(hello="ns")
    world.wait_until(lambda: "ns2" not in running.sync.watched and "ns2" not in second.sync.watched)
    assert world.api.posts == 4, "two processes, two versions"
    assert running.names == []


def test_an_api_server_that_restarts_is_found_again_and_nothing_is_lost_meanwhile(
    world: Any,
) -> None:
    world.register(hello="ns", ml="ns")
    world.api.put(services("ns"), world.service("hello", "ns"))
    running = world.start()
    world.wait_until(lambda: running.names == ["hello"])
    world.api.stop()
    world.wait_until(lambda: running.asks("/healthz")[1]["retrying"])
    assert running.names == ["hello"]
    assert running.asks("/healthz")[0] == 200, "an API that is away is no reason to be restarted"
    world.api.put(services("ns"), world.service("ml", "ns"))  # happened while we could not see it
    world.api.start()
    world.wait_until(lambda: running.names == ["hello", "ml"], 10)
    world.wait_until(lambda: running.asks("/healthz")[1]["retrying"] == [])


def test_a_start_while_the_api_is_away_keeps_the_file_that_is_there(world: Any) -> None:
    world.register(hello="ns")
    world.api.put(services("ns"), world.service("hello", "ns"))
    first = world.start()
    world.wait_until(lambda: first.names == ["hello"])
    first.stop()
    world.api.stop()
    second = world.start()
    world.wait_until(lambda: second.asks("/healthz")[1]["retrying"])
    assert second.names == ["hello"]
    assert second.asks("/readyz")[0] == 200
    world.api.delete(services("ns"), "hello")
    world.api.start()
    world.wait_until(lambda: second.names == [])


def test_a_start_while_the_api_is_away_and_without_a_file_is_not_ready(world: Any) -> None:
    world.api.stop()
    running = world.start()
    world.wait_until(lambda: running.asks("/healthz")[1]["retrying"])
    assert running.asks("/readyz")[0] == 503
    assert running.asks("/healthz")[0] == 200
    assert running.names is None


def test_a_namespace_that_is_forbidden_holds_up_no_other(
    world: Any, caplog: pytest.LogCaptureFixture
) -> None:
    world.register(hello="ns", ml="ns2")
    world.api.put(services("ns"), world.service("hello", "ns"))
    world.api.put(services("ns2"), world.service("ml", "ns2"))
    world.api.refuse[services("ns2")] = 403
    running = world.start()
    world.wait_until(lambda: running.names == ["hello"], 2)
    assert "Role bulkhead-discovery in namespace ns2" in caplog.text
    del world.api.refuse[services("ns2")]
    world.wait_until(lambda: running.names == ["hello", "ml"], 10)


def test_a_namespace_that_is_forbidden_after_a_restart_keeps_its_location(world: Any) -> None:
    world.register(hello="ns", ml="ns2")
    world.api.put(services("ns"), world.service("hello", "ns"))
    world.api.put(services("ns2"), world.service("ml", "ns2"))
    first = world.start()
    world.wait_until(lambda: first.names == ["hello", "ml"])
    first.stop()
    world.api.refuse[services("ns2")] = 403
    world.api.delete(services("ns"), "hello")
    second = world.start()
    world.wait_until(lambda: second.names == ["ml"])


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}\n',
        b"not json\n",
        b'{"type":"ADDED","object":{}}\n',
        b'{"type":"BOOKMARK","object":{"metadata":{}}}\n',
        b'{"type":"RENAMED","object":{"metadata":{"name":"hello","resourceVersion":"9999"}}}\n',
        b"[]\n",
    ],
    ids=["410", "no JSON", "no object", "bookmark without version", "unknown type", "no event"],
)
def test_a_watch_that_breaks_is_made_good_by_a_list(world: Any, line: bytes) -> None:
    world.register(hello="ns", ml="ns")
    world.api.put(services("ns"), world.service("hello", "ns"))
    running = world.start()
    world.wait_until(lambda: running.names == ["hello"])
    world.api.say(services("ns"), line)
    world.api.hang_up(services("ns"))
    world.api.forget(services("ns"), "hello")  # and its event got lost in the break
    world.api.put(services("ns"), world.service("ml", "ns"))
    world.wait_until(lambda: running.names == ["ml"], 5)


@pytest.mark.parametrize("line", [b"", b'{"type":"ADDED","object":{"metada'])
def test_a_watch_that_the_server_ends_is_resumed_and_nothing_is_lost(
    world: Any, line: bytes
) -> None:
    world.register(hello="ns", ml="ns")
    world.api.put(services("ns"), world.service("hello", "ns"))
    running = world.start()
    world.wait_until(lambda: running.names == ["hello"])
    lists = world.api.lists
    world.api.put(services("ns"), world.service("hello", "ns", port=4040))
    version = world.api.version
    world.wait_until(lambda: running.entries[0]["port"] == 4040)
    with world.api.changed:  # the rest happens while nobody watches
        world.api.say(services("ns"), line or b"\n")
        world.api.hang_up(services("ns"))
        world.api.delete(services("ns"), "hello")
        world.api.put(services("ns"), world.service("ml", "ns"))
    world.wait_until(lambda: running.names == ["ml"], 5)
    assert (services("ns"), version) in world.api.watches
    assert world.api.lists == lists


def test_a_watch_is_resumed_from_its_last_bookmark(world: Any) -> None:
    world.register(hello="ns")
    running = world.start()
    world.wait_until(lambda: (running.names, "ns" in running.sync.watched) == ([], True))
    world.wait_until(lambda: services("ns") in dict(world.api.watches))
    lists = world.api.lists
    # Other objects moved the version on; the watch hears of it by a bookmark alone.
    world.api.put("/api/v1/namespaces/ns/pods", world.service("another", "ns"))
    version = world.api.version
    bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(version)}}}
    world.api.say(services("ns"), json.dumps(bookmark).encode() + b"\n")
    world.api.hang_up(services("ns"))
    world.wait_until(lambda: (services("ns"), version) in world.api.watches)
    world.api.put(services("ns"), world.service("hello", "ns"))
    world.wait_until(lambda: running.names == ["hello"])
    assert world.api.lists == lists


def test_repeated_and_reordered_events_do_not_bring_the_past_back(world: Any) -> None:
    world.register(hello="ns", last="ns")
    running = world.start()
    world.wait_until(lambda: running.names == [])
    old = world.api.put(services("ns"), world.service("hello", "ns", port=1))
    past = json.dumps({"type": "ADDED", "object": old}).encode() + b"\n"
    world.api.put(services("ns"), world.service("hello", "ns", port=2))
    world.api.say(services("ns"), past)
    world.wait_until(lambda: running.names == ["hello"])
    world.api.delete(services("ns"), "hello")
    world.api.say(services("ns"), past + past)
    lists = world.api.lists
    world.api.put(services("ns"), world.service("last", "ns"))
    world.wait_until(lambda: "last" in running.names)
    assert running.names == ["last"]
    assert world.api.lists == lists, "it was the events, not a new list, that this test is about"


@pytest.mark.parametrize(
    "answer", [b"{}", b"<html>maintenance</html>", b'{"kind":"Status"}', b'{"kind":"ServiceList",']
)
def test_an_answer_that_is_no_list_is_not_an_empty_one(world: Any, answer: bytes) -> None:
    world.register(hello="ns")
    world.api.put(services("ns"), world.service("hello", "ns"))
    running = world.start()
    world.wait_until(lambda: running.names == ["hello"])
    world.api.instead_of_list = answer
    world.api.expire(services("ns"))
    world.wait_until(lambda: running.asks("/healthz")[1]["retrying"])
    assert running.names == ["hello"]


def test_a_list_in_pages_is_read_to_its_end(world: Any) -> None:
    world.api.page = 2
    world.register(**{f"l{n}": "ns" for n in range(5)})
    for n in range(5):
        world.api.put(services("ns"), world.service(f"l{n}", "ns"))
    running = world.start()
    world.wait_until(lambda: running.names == [f"l{n}" for n in range(5)])


def test_thousands_of_events_end_in_the_last_state(world: Any) -> None:
    world.register(**{f"l{n}": "ns" for n in range(50)})
    running = world.start()
    world.wait_until(lambda: running.names == [])
    for n in range(3000):
        name = f"l{n % 50}"
        if n % 3:
            world.api.put(services("ns"), world.service(name, "ns", port=1000 + n))
        elif name in world.api.objects.get(services("ns"), {}):
            world.api.delete(services("ns"), name)
    expected = {
        name: item["spec"]["ports"][0]["port"]
        for name, item in world.api.objects[services("ns")].items()
    }
    world.wait_until(lambda: {e["location_name"]: e["port"] for e in running.entries} == expected)


@pytest.mark.parametrize("text", ["codeLocations: [", "", "codeLocation: {}"])
def test_a_malformed_registry_changes_nothing_and_says_so(world: Any, text: str) -> None:
    world.register(hello="ns")
    world.api.put(services("ns"), world.service("hello", "ns"))
    running = world.start()
    world.wait_until(lambda: running.names == ["hello"])
    world.put_registry(text)
    world.wait_until(lambda: world.api.events)
    assert world.api.events[0]["reason"] == registry_follower.REGISTRY_UNREADABLE
    assert world.api.events[0]["involvedObject"]["kind"] == "ConfigMap"
    assert running.names == ["hello"]
    world.register(other="ns")
    world.wait_until(lambda: running.names == [])


def test_a_registry_that_is_gone_changes_nothing_and_says_so(world: Any) -> None:
    world.register(hello="ns")
    world.api.put(services("ns"), world.service("hello", "ns"))
    running = world.start()
    world.wait_until(lambda: running.names == ["hello"])
    world.api.delete(CONFIG_MAPS, "registry")
    world.wait_until(lambda: world.api.events)
    assert world.api.events[0]["reason"] == registry_follower.REGISTRY_MISSING
    assert running.names == ["hello"]


def test_a_disk_that_is_full_for_a_while_is_tried_again(
    world: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world.register(hello="ns")
    blocked = tmp_path / "workspace.yaml"
    blocked.mkdir()  # a directory cannot be replaced by a file
    running = world.start()
    world.wait_until(lambda: "cannot write" in caplog.text)
    assert running.asks("/readyz")[0] == 503
    blocked.rmdir()
    world.wait_until(lambda: running.names == [], 5)
    assert list(tmp_path.iterdir()) == [blocked], "no temporary file stays behind"


def test_a_thread_that_dies_is_ill_health(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world.register(hello="ns")
    running = world.start()
    world.wait_until(lambda: running.names == [])
    assert running.asks("/healthz")[0] == 200

    def mistake(*_: object) -> None:
        raise AssertionError("a mistake in the program")

    monkeypatch.setattr(collection.Collection, "apply", mistake)
    world.put_registry("codeLocations: {}")
    world.wait_until(lambda: running.asks("/healthz")[0] == 503)
    assert "ConfigMap registry" in running.asks("/healthz")[1]["problems"][0]


def test_a_web_server_that_starts_late_is_reloaded_once_it_answers(world: Any) -> None:
    web_server = world.web_server(read=lambda: running.entries)
    web_server.reserve()
    world.register(hello="ns")
    world.api.put(services("ns"), world.service("hello", "ns"))
    running = world.start(web_server.url)
    world.wait_until(lambda: running.asks("/healthz")[1]["retrying"])
    web_server.start()
    world.wait_until(lambda: [each["location_name"] for each in web_server.known] == ["hello"])
    world.wait_until(lambda: not running.asks("/healthz")[1]["retrying"])
    assert web_server.reloads == 1
    web_server.stop()


def test_a_web_server_that_already_has_the_workspace_is_left_alone(
    world: Any, caplog: pytest.LogCaptureFixture
) -> None:
    web_server = world.web_server(read=lambda: running.entries)
    web_server.known = [{"location_name": "hello", "host": "hello.ns.svc", "port": 3030}]
    web_server.start()
    caplog.set_level("INFO")
    world.register(hello="ns")
    world.api.put(services("ns"), world.service("hello", "ns"))
    running = world.start(web_server.url)
    world.wait_until(lambda: "web server is up to date" in caplog.text)
    assert web_server.reloads == 0
    world.api.delete(services("ns"), "hello")
    world.wait_until(lambda: web_server.known == [])
    assert web_server.reloads == 1
    web_server.stop()


def test_a_reload_that_fails_is_tried_again(world: Any) -> None:
    web_server = world.web_server(read=lambda: running.entries, broken=True)
    web_server.start()
    world.register(hello="ns")
    world.api.put(services("ns"), world.service("hello", "ns"))
    running = world.start(web_server.url)
    world.wait_until(
        lambda: any("PythonError" in each for each in running.asks("/healthz")[1]["retrying"])
    )
    web_server.broken = False
    world.wait_until(lambda: [each["location_name"] for each in web_server.known] == ["hello"])
    web_server.stop()


def test_two_hundred_refusals_do_not_delay_a_new_location(world: Any) -> None:
    world.register(hello="ns")
    for n in range(200):
        world.api.put(services("ns"), world.service(f"stranger{n}", "ns"))
    running = world.start()
    world.wait_until(lambda: running.names == [])
    world.api.put(services("ns"), world.service("hello", "ns"))
    began = time.monotonic()
    world.wait_until(lambda: running.names == ["hello"], 2)
    assert time.monotonic() - began < 2


def test_a_location_is_reloaded_once_when_its_rollout_has_ended(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reloader_module, "_SETTLE_SECONDS", 0.5)
    web_server = world.web_server(read=lambda: running.entries)
    web_server.start()
    world.register(hello="ns")
    world.api.put(services("ns"), world.service("hello", "ns"))
    world.api.put(slices("ns"), endpoint_slice("hello", "old"))
    running = world.start(web_server.url)
    world.wait_until(lambda: running.sync._rollouts.known.get(("ns", "hello")) == {"old"})
    world.wait_until(lambda: web_server.known)
    assert web_server.reloaded == []
    world.api.put(slices("ns"), endpoint_slice("hello", "old", "new"))
    world.api.put(slices("ns"), endpoint_slice("hello", "new"))
    world.wait_until(lambda: web_server.reloaded)
    # A second reload for the same rollout would come before this one.
    world.api.put(slices("ns"), endpoint_slice("hello", "newest"))
    world.wait_until(lambda: len(web_server.reloaded) > 1)
    assert web_server.reloaded == ["hello", "hello"]
    web_server.stop()


def test_a_namespace_cannot_have_the_location_of_another_reloaded(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reloader_module, "_SETTLE_SECONDS", 0.1)
    web_server = world.web_server(read=lambda: running.entries)
    web_server.start()
    world.register(hello="ns", other="ns2")
    world.api.put(services("ns"), world.service("hello", "ns"))
    for location in ("hello", "other"):
        world.api.put(slices("ns2"), endpoint_slice(location, "old"))
    running = world.start(web_server.url)
    world.wait_until(lambda: len(running.sync._rollouts.known) == 2)
    world.wait_until(lambda: web_server.known)
    world.api.put(slices("ns2"), endpoint_slice("hello", "theirs"))
    world.api.put(slices("ns2"), endpoint_slice("other", "new"))
    world.wait_until(lambda: web_server.reloaded)
    assert web_server.reloaded == ["other"]
    web_server.stop()


def test_a_pod_that_is_not_ready_answers_for_nobody() -> None:
    found = code_servers.read_slice(endpoint_slice("hello", "starting", ready=False))
    assert found == code_servers.CodeServers("hello", frozenset())


def test_a_location_that_could_not_be_reloaded_is_retried(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reloader_module, "_SETTLE_SECONDS", 0.1)
    monkeypatch.setattr(reloader_module, "_LONGEST_PAUSE_SECONDS", 0.1)
    web_server, reloads = start_with_a_rollout(world, "PythonError")
    world.wait_until(lambda: len(reloads) > 1)
    web_server.stop()


def test_a_location_that_the_web_server_does_not_have_is_not_reloaded_again(
    world: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(reloader_module, "_SETTLE_SECONDS", 0.1)
    monkeypatch.setattr(reloader_module, "_LONGEST_PAUSE_SECONDS", 0.1)
    web_server, reloads = start_with_a_rollout(world, "RepositoryLocationNotFound")
    world.wait_until(lambda: "Location hello was not reloaded" in caplog.text)
    # A second attempt would come before this change is in the workspace.
    world.api.delete(services("ns"), "hello")
    world.wait_until(lambda: web_server.known == [])
    assert reloads == ["hello"]
    web_server.stop()


def start_with_a_rollout(world: Any, answer_to_reload: str) -> tuple[Any, list[str]]:
    """Start with a location whose pods change; return the web server and what it reloaded."""
    web_server = world.web_server(read=lambda: running.entries, answer_to_reload=answer_to_reload)
    web_server.start()
    world.register(hello="ns")
    world.api.put(services("ns"), world.service("hello", "ns"))
    world.api.put(slices("ns"), endpoint_slice("hello", "old"))
    running = world.start(web_server.url)
    world.wait_until(lambda: running.sync._rollouts.known.get(("ns", "hello")) == {"old"})
    world.wait_until(lambda: web_server.known)
    world.api.put(slices("ns"), endpoint_slice("hello", "new"))
    return web_server, web_server.reloaded
