"""What workspace-sync reports to the namespaces of the code locations, and what it leaves alone."""

import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
from packages.bulkhead.tests.test_discovery.api_objects import endpoint_slice, services, slices

from bulkhead.discovery import (
    load_reporter,
    location_facts,
    reloader,
    status_config_map,
    status_writers,
)

OLD, NEW = (f"registry.example.com/hello@sha256:{digit * 64}" for digit in "12")
STATUS = "/api/v1/namespaces/{}/configmaps/bulkhead-status"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for a rollout to settle."""
    monkeypatch.setattr(reloader, "_SETTLE_SECONDS", 0.1)
    monkeypatch.setattr(location_facts, "_CALM_SECONDS", 0.1)


@pytest.fixture
def hello(world: Any) -> Iterator[Any]:
    """A web server that has loaded `hello` from namespace `ns`."""
    yield from web_server(world, hello="ns")


@pytest.fixture
def two(world: Any) -> Iterator[Any]:
    """A web server that has loaded `hello` from namespace `ns` and `ml` from `ns2`."""
    yield from web_server(world, hello="ns", ml="ns2")


def web_server(world: Any, **namespaces: str) -> Iterator[Any]:
    world.register(**namespaces)
    for location, namespace in namespaces.items():
        world.api.put(services(namespace), world.service(location, namespace))
        world.api.put(slices(namespace), endpoint_slice(location, "old"))
    made = world.web_server(read=lambda: world.entries)
    made.loads = {name: world.load(image=OLD) for name in namespaces}
    made.start()
    yield made
    made.stop()


def test_a_web_server_reports_each_location_to_its_own_namespace(world: Any, two: Any) -> None:
    two.loads["ml"] = world.load(image=NEW, updated=2.5)
    world.start(two.url, pod="web-7")
    world.wait_until(lambda: world.report("ns2", "web-7") and world.report("ns2", "web-7").image)
    world.wait_until(lambda: world.report("ns", "web-7") and world.report("ns", "web-7").image)
    assert set(world.status("ns")) == set(world.status("ns2")) == {"web-7"}
    found = world.report("ns2", "web-7")
    assert (found.image, found.updated, found.error, found.loading) == (NEW, 2.5, None, False)
    assert abs(found.checked - time.time()) < 30
    assert world.report("ns", "web-7").image == OLD


def test_a_new_image_is_reported_within_about_a_second(world: Any, hello: Any) -> None:
    running = world.start(hello.url)
    world.wait_until(lambda: world.report("ns") and world.report("ns").image == OLD)
    world.wait_until(lambda: running.sync._rollouts.known.get(("ns", "hello")) == {"old"})
    world.api.put(slices("ns"), endpoint_slice("hello", "new"))
    world.wait_until(lambda: hello.reloaded == ["hello"])
    hello.loads["hello"] = world.load(image=NEW, updated=2.0)
    began = time.monotonic()
    world.wait_until(lambda: world.report("ns").image == NEW, 5)
    took = time.monotonic() - began
    print(f"reported after {took:.2f} s")
    assert took < 2


def test_the_web_server_is_checked_often_only_after_something_changed(
    world: Any, hello: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_reporter, "_BUSY_SECONDS", 1.0)
    monkeypatch.setattr(load_reporter, "_BUSY_CHECK_SECONDS", 0.05)
    monkeypatch.setattr(load_reporter, "_IDLE_CHECK_SECONDS", 1000.0)
    running = world.start(hello.url)
    world.wait_until(lambda: world.report("ns") and world.report("ns").image)
    world.wait_until(lambda: ("ns", "hello") in running.sync._rollouts.known)
    reporter = running.sync._reporter
    world.wait_until(lambda: time.monotonic() > reporter._busy_until + 1)
    checks = hello.checks
    assert checks > 5
    time.sleep(1)  # twenty more checks, if it were still busy
    assert hello.checks == checks
    world.api.put(slices("ns"), endpoint_slice("hello", "new"))
    world.wait_until(lambda: hello.checks > checks + 5)


def test_nothing_is_written_while_nothing_changes(
    world: Any, hello: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_reporter, "_BUSY_CHECK_SECONDS", 0.02)
    world.start(hello.url)
    world.wait_until(lambda: world.report("ns") and world.report("ns").taken is not None)
    written, checks = world.api.patched.count(STATUS.format("ns")), hello.checks
    world.wait_until(lambda: hello.checks > checks + 30)
    assert world.api.patched.count(STATUS.format("ns")) == written


def test_a_report_is_renewed_now_and_then(
    world: Any, hello: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_reporter, "_BUSY_CHECK_SECONDS", 0.02)
    monkeypatch.setattr(status_writers, "RENEWAL_SECONDS", 0.5)
    world.start(hello.url)
    world.wait_until(lambda: world.report("ns") and world.report("ns").taken is not None)
    first, checks = world.report("ns"), hello.checks
    world.wait_until(lambda: world.report("ns").checked > first.checked + 1)
    assert world.report("ns").says_the_same_as(first)
    renewals = len(world.api.patched)
    assert renewals < (hello.checks - checks) / 2, "a renewal is rarer than a check"


def test_the_report_of_a_web_server_that_is_gone_is_removed_and_of_another_kept(
    world: Any, hello: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_reporter, "_BUSY_CHECK_SECONDS", 0.05)
    monkeypatch.setattr(status_writers, "RENEWAL_SECONDS", 0.2)
    monkeypatch.setattr(status_config_map, "_ABANDONED_SECONDS", 2.0)
    status = world.api.objects["/api/v1/namespaces/ns/configmaps"]["bulkhead-status"]
    # Its own clock is years ahead: the time in an entry says nothing.
    status["data"] = {"web-0": '{"image": null, "checked": 9999999999}'}
    world.start(hello.url, pod="web-1")
    world.start(hello.url, pod="web-2")
    world.wait_until(lambda: set(world.status("ns")) == {"web-0", "web-1", "web-2"})
    world.wait_until(lambda: "web-0" not in world.status("ns"))
    checked = {pod: world.report("ns", pod).checked for pod in ("web-1", "web-2")}
    for pod, before in checked.items():
        world.wait_until(lambda pod=pod, b=before: world.report("ns", pod).checked > b + 2.5)
    assert set(world.status("ns")) == {"web-1", "web-2"}


def test_a_web_server_that_stops_removes_its_report(world: Any, hello: Any) -> None:
    running = world.start(hello.url)
    world.wait_until(lambda: world.report("ns"))
    running.stop()
    assert world.status("ns") == {}


def test_a_stop_does_not_wait_for_a_namespace_that_is_slow(
    world: Any, hello: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_reporter, "_STOP_SECONDS", 0.2)
    running = world.start(hello.url)
    world.wait_until(lambda: world.report("ns"))
    world.api.slow[STATUS.format("ns")] = 5.0
    began = time.monotonic()
    running.stop()
    assert time.monotonic() - began < 3


def test_the_workspace_sync_of_the_daemon_writes_nothing(world: Any) -> None:
    world.register(hello="ns")
    world.api.put(services("ns"), world.service("hello", "ns"))
    running = world.start()
    world.wait_until(lambda: running.names == ["hello"])
    assert running.sync._reporter is None
    assert world.api.patched == []


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_namespace_that_rejects_its_report_delays_no_other(
    world: Any, two: Any, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    world.api.refuse[STATUS.format("ns")] = status
    running = world.start(two.url)
    world.wait_until(lambda: world.report("ns2") and world.report("ns2").image)
    line = f"ConfigMap bulkhead-status in namespace ns: {status}: because it is so"
    world.wait_until(lambda: line in running.asks("/healthz")[1]["retrying"])
    assert running.asks("/healthz")[0] == 200
    advice = "Role bulkhead-status in namespace ns does not exist yet"
    assert (advice in caplog.text) == (status != 500)
    del world.api.refuse[STATUS.format("ns")]
    world.wait_until(lambda: world.report("ns") and world.report("ns").image)
    world.wait_until(lambda: not running.asks("/healthz")[1]["retrying"])
    assert caplog.text.count("bulkhead-status in namespace ns cannot be written") == 1


def test_a_namespace_that_is_slow_delays_no_other_and_no_new_location(world: Any, two: Any) -> None:
    running = world.start(two.url)
    world.wait_until(lambda: world.report("ns") and world.report("ns2"))
    world.wait_until(lambda: ("ns2", "ml") in running.sync._rollouts.known)
    world.api.slow[STATUS.format("ns")] = 8.0
    for name in two.loads:
        two.loads[name] = world.load(image=NEW, updated=2.0)
    world.api.put(slices("ns2"), endpoint_slice("ml", "new"))
    world.wait_until(lambda: world.report("ns2").image == NEW, 3)
    world.register(hello="ns", ml="ns2", another="ns3")
    world.api.put(services("ns3"), world.service("another", "ns3"))
    world.wait_until(lambda: world.report("ns3") and world.report("ns3").updated, 3)
    assert world.report("ns").image == OLD


def test_a_location_that_is_struck_off_gets_no_more_reports(
    world: Any, two: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_reporter, "_BUSY_CHECK_SECONDS", 0.05)
    world.start(two.url)
    world.wait_until(lambda: world.report("ns") and world.report("ns2"))
    world.register(ml="ns2")
    world.wait_until(lambda: world.status("ns") == {})  # as after a stop
    written = world.api.patched.count(STATUS.format("ns"))
    two.loads = {name: world.load(image=NEW, updated=2.0) for name in two.loads}
    world.wait_until(lambda: world.report("ns2").image == NEW)
    assert world.api.patched.count(STATUS.format("ns")) == written


def test_a_location_that_is_not_in_the_workspace_is_reported_as_such(world: Any, two: Any) -> None:
    world.api.delete(services("ns"), "hello")
    two.loads["ml"].assets = {"model": []}
    world.start(two.url)
    world.wait_until(lambda: world.report("ns") and world.report("ns").taken)
    found = world.report("ns")
    assert (found.image, found.error, found.updated, found.is_loaded) == (None, None, None, False)
    assert found.taken == {"model": "ml"}, "it is known before the first deploy"
    assert found.dependents is None


def test_a_load_error_is_reported_at_a_bounded_length(world: Any, hello: Any) -> None:
    hello.loads["hello"] = world.load(error="first " + "x" * 100_000 + " last", updated=2.0)
    world.start(hello.url)
    world.wait_until(lambda: world.report("ns") and world.report("ns").error)
    found = world.report("ns")
    assert found.error.startswith("first xx")
    assert found.error.endswith("xx last")
    assert len(found.error) < 5_000
    assert not found.is_loaded
    assert not found.unreachable
    unreachable = "DagsterUserCodeUnreachableError"
    hello.loads["hello"] = world.load(error="no", error_class=unreachable, updated=3.0)
    world.wait_until(lambda: world.report("ns").unreachable)


def test_a_web_server_that_failed_for_a_while_is_reported_again(world: Any, hello: Any) -> None:
    running = world.start(hello.url)
    world.wait_until(lambda: world.report("ns") and world.report("ns").image == OLD)
    hello.broken = True
    world.wait_until(
        lambda: any("load statuses" in each for each in running.asks("/healthz")[1]["retrying"])
    )
    assert running.asks("/healthz")[0] == 200
    hello.loads["hello"] = world.load(image=NEW, updated=2.0)
    hello.broken = False
    world.wait_until(lambda: world.report("ns").image == NEW)


def test_neighbours_and_what_runs_are_read_after_a_change_and_not_before(
    world: Any, two: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_reporter, "_BUSY_CHECK_SECONDS", 0.02)
    two.loads["hello"].assets = {"orders": [], "shop/sums": ["orders"]}
    two.loads["hello"].schedules = {"nightly": "RUNNING", "never": "STOPPED"}
    two.loads["hello"].sensors = {"files": "RUNNING", "mail": "STOPPED"}
    two.loads["ml"].assets = {"model": ["shop/sums"]}
    world.start(two.url)
    world.wait_until(lambda: world.report("ns") and world.report("ns").dependents)
    world.wait_until(lambda: world.report("ns").running_schedules)
    found = world.report("ns")
    assert found.dependents == {"shop/sums": ("ml",)}
    assert found.taken == {"model": "ml"}, "what ml only depends on is not taken"
    assert (found.running_schedules, found.running_sensors) == (("nightly",), ("files",))
    world.wait_until(lambda: world.report("ns2") and world.report("ns2").taken)
    assert world.report("ns2").taken == {"orders": "hello", "shop/sums": "hello"}
    assert world.report("ns2").dependents == {}
    checks = two.checks
    world.wait_until(lambda: two.checks > checks + 30)
    every = [(document, name) for name in ("hello", "ml") for document in ("Assets", "Running")]
    assert sorted(two.definitions_read) == sorted(every), "each once"
    two.loads["ml"] = world.load(image=NEW, updated=2.0, assets={"orders": []})
    world.wait_until(lambda: world.report("ns").taken == {"orders": "ml"})
    assert world.report("ns").dependents == {}
    assert ("Assets", "hello") not in two.definitions_read[4:], "only what changed is read again"


def test_what_runs_is_read_again_after_a_while(
    world: Any, hello: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(location_facts, "_RUNNING_SECONDS", 0.5)
    hello.loads["hello"].schedules = {"nightly": "RUNNING"}
    world.start(hello.url)
    world.wait_until(lambda: world.report("ns") and world.report("ns").running_schedules)
    hello.loads["hello"].schedules = {"nightly": "STOPPED"}
    world.wait_until(lambda: world.report("ns").running_schedules == ())


def test_a_location_that_cannot_be_loaded_keeps_its_neighbours(
    world: Any, two: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_reporter, "_BUSY_CHECK_SECONDS", 0.02)
    two.loads["hello"].assets = {"orders": []}
    two.loads["ml"].assets = {"model": ["orders"]}
    world.start(two.url)
    world.wait_until(lambda: world.report("ns") and world.report("ns").dependents)
    two.loads["hello"] = world.load(error="a mistake", updated=2.0)
    world.wait_until(lambda: world.report("ns").error)
    checks = two.checks
    world.wait_until(lambda: two.checks > checks + 30)
    assert world.report("ns").dependents == {"orders": ("ml",)}


def test_definitions_that_cannot_be_read_are_read_later_and_delay_nothing(
    world: Any, hello: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(location_facts, "_RETRY_SECONDS", 0.5)
    hello.loads["hello"].assets = {"orders": []}
    answer, hello.definitions = hello.definitions, lambda *_: {"__typename": "PythonError"}
    world.start(hello.url)
    world.wait_until(lambda: "The assets of location hello cannot be read" in caplog.text)
    assert world.report("ns").image == OLD
    assert world.report("ns").dependents is None
    hello.definitions = answer
    world.wait_until(lambda: world.report("ns").dependents == {})
