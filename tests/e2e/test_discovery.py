"""Code locations appear and disappear automatically, and nothing else restarts."""

from __future__ import annotations

import time
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e import pods, team_code
from tests.e2e.installation import HELLO, HELLO_NAMESPACE
from tests.e2e.waiting import NotYet, until

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from tests.e2e.cluster import Event, Kube
    from tests.e2e.dagster_client import Dagster
    from tests.e2e.installation import Installation

IN_TIME = 10
"""Seconds from the start of helm until the Dagster UI shows the change."""


def one_job(name: str) -> str:
    return f"""
    import dagster as dg

    @dg.op
    def greet():
        print("from {name}")

    @dg.job
    def {name}():
        greet()

    defs = dg.Definitions(jobs=[{name}])
    """


@pytest.fixture
def newcomer(platform: Installation) -> Iterator[str]:
    """The name of a new code location; removed when the test ends."""
    name = f"new-{uuid.uuid4().hex[:6]}"
    yield name
    platform.helm.uninstall(name, f"bulkhead-{name}", wait=False)
    platform.unregister([name])


@pytest.mark.timeout(300)
def test_a_code_location_appears_changes_and_disappears_within_10_s_and_nothing_else_restarts(
    kube: Kube, platform: Installation, dagster: Dagster, newcomer: str
) -> None:
    dagster.loaded(HELLO)
    namespace = f"bulkhead-{newcomer}"
    before = pods.long_lived(kube, platform.namespace, HELLO_NAMESPACE)

    platform.register({newcomer: {"namespace": namespace}})
    first = team_code.values(kube, namespace, one_job("first"))
    delays: dict[str, float] = {}
    with _timed(delays, "appear"):
        # Without `wait`: the clock starts when the objects are applied, not when they are ready.
        platform.deploy(newcomer, namespace, "hello", first, wait=False)
        until(lambda: _has_job(dagster, newcomer, "first"), 60, "the new code location")

    second = team_code.values(kube, namespace, one_job("second"))
    with _timed(delays, "change"):
        platform.deploy(newcomer, namespace, "hello", second, wait=False)
        until(lambda: _has_job(dagster, newcomer, "second"), 60, "the changed code")
    run = dagster.launch(newcomer, "second")
    dagster.succeed(run)
    assert "from second" in dagster.captured_logs(run, "greet").stdout

    with _timed(delays, "disappear"):
        platform.helm.uninstall(newcomer, namespace, wait=False)
        until(lambda: newcomer not in dagster.locations() or NotYet("it is listed"), 60, "it to go")
    assert pods.long_lived(kube, platform.namespace, HELLO_NAMESPACE) == before
    print(", ".join(f"{what} {delay:.1f} s" for what, delay in delays.items()))
    assert max(delays.values()) < IN_TIME, delays


@contextmanager
def _timed(delays: dict[str, float], what: str) -> Generator[None]:
    """Note how many seconds the block takes."""
    started = time.monotonic()
    yield
    delays[what] = time.monotonic() - started


def _has_job(dagster: Dagster, location: str, job: str) -> bool | NotYet:
    there = dagster.locations().get(location)
    return (there is not None and job in there.jobs) or NotYet(there)


@pytest.mark.timeout(300)
def test_a_broken_code_location_shows_its_own_traceback_and_the_others_work(
    kube: Kube, platform: Installation, dagster: Dagster, registered: dict[str, Any]
) -> None:
    namespace = registered["broken"]["namespace"]
    source = """
    def read_settings():
        raise LookupError("the team forgot WAREHOUSE_URL")

    defs = read_settings()
    """
    platform.deploy("broken", namespace, "hello", team_code.values(kube, namespace, source))

    def shows_error() -> str | NotYet:
        location = dagster.locations().get("broken")
        if location is None or "code server" in location.error.lower() or not location.error:
            return NotYet(location)
        return location.error

    error = until(shows_error, 30, "the load error of code location broken")
    assert "LookupError" in error
    assert "the team forgot WAREHOUSE_URL" in error
    assert f"{team_code.FOLDER}/definitions.py" in error
    assert "in read_settings" in error

    others = {name: each for name, each in dagster.locations().items() if name != "broken"}
    assert not any("WAREHOUSE_URL" in each.error for each in others.values())
    dagster.succeed(dagster.launch(HELLO, "hello_dagster"))


@pytest.mark.timeout(120)
def test_a_service_that_claims_the_name_of_another_location_is_refused_with_an_event(
    kube: Kube, dagster: Dagster, registered: dict[str, Any]
) -> None:
    dagster.loaded(HELLO)
    namespace = registered["broken"]["namespace"]
    pretender = f"pretender-{uuid.uuid4().hex[:6]}"
    kube.core.create_namespaced_service(
        namespace,
        {
            "metadata": {"name": pretender, "labels": {pods.LOCATION: HELLO}},
            "spec": {"ports": [{"name": "grpc", "port": 3030}]},
        },
    )
    try:
        event = until(
            lambda: _refusal(kube, namespace, pretender),
            IN_TIME,
            f"an event about the Service {pretender}",
        )
        assert event.type == "Warning"
        assert HELLO in event.message
        assert HELLO_NAMESPACE in event.message
        run = dagster.launch(HELLO, "hello_dagster")
        dagster.succeed(run)
        assert pods.run_pods(kube, HELLO_NAMESPACE, run), "hello's runs went to the pretender"
    finally:
        kube.core.delete_namespaced_service(pretender, namespace)


def _refusal(kube: Kube, namespace: str, service: str) -> Event | NotYet:
    found = pods.events(kube, namespace, "Service", service)
    refused = [event for event in found if "Refused" in event.reason]
    return refused[0] if refused else NotYet([event.reason for event in found])
