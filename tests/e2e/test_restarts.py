"""A part of the platform restarts during a run: no run is lost or hangs, and no step runs twice."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e import hello, pods
from tests.e2e.dagster_client import ENDED, FAILURE, SUCCESS, GraphQLError
from tests.e2e.installation import HELLO, HELLO_NAMESPACE
from tests.e2e.waiting import NotYet, until

if TYPE_CHECKING:
    from tests.e2e.cluster import Kube
    from tests.e2e.dagster_client import Dagster
    from tests.e2e.installation import Installation

DOWN = 20
"""Seconds without the part."""

STEPS = 6

RETRIED = {"dagster/max_retries": "2", "dagster/retry_on_asset_or_op_failure": "true"}


@pytest.mark.timeout(480)
@pytest.mark.parametrize(
    ("kind", "part"),
    [("deployment", "daemon"), ("deployment", "webserver")],
    ids=["daemon", "web-server"],
)
def test_a_run_outlives_the_restart_of_the_daemon_or_the_web_server(
    kube: Kube, platform: Installation, dagster: Dagster, kind: str, part: str
) -> None:
    """It is down for 20 s, while the run is between its first and its last step.

    The run itself succeeds. It has no tags or policies for retries.
    """
    run = _launch(dagster, {})
    code_servers = pods.long_lived(kube, HELLO_NAMESPACE)
    _restart(kube, platform, kind, part)
    dagster.succeed(run, 240)
    assert [each["runId"] for each in dagster.family(run)] == [run]
    pods.at_rest(kube, HELLO_NAMESPACE, run)
    _assert_each_step_ran_once(kube, dagster, [run], STEPS)
    assert pods.long_lived(kube, HELLO_NAMESPACE) == code_servers


@pytest.mark.timeout(480)
def test_a_run_or_its_retry_outlives_the_restart_of_the_database(
    kube: Kube, platform: Installation, dagster: Dagster
) -> None:
    """It is down for 20 s, while the run is between its first and its last step.

    A query that runs when the server stops fails, and with it the step or the run that sent it. So
    the run has the tags with which Dagster retries it; the retry continues after its last step.
    """
    run = _launch(dagster, RETRIED)
    code_servers = pods.long_lived(kube, HELLO_NAMESPACE)
    _restart(kube, platform, "stateful_set", "postgresql")
    family = until(lambda: _settled(dagster, run), 240, f"run {run} or its retry to end")
    shown = [(each["runId"], each["status"]) for each in family]
    statuses = [each["status"] for each in family]
    assert statuses == [FAILURE] * (len(family) - 1) + [SUCCESS], shown
    print(f"runs: {shown}")
    for each in family:
        pods.at_rest(kube, HELLO_NAMESPACE, each["runId"])
    _assert_each_step_ran_once(kube, dagster, [each["runId"] for each in family], STEPS)
    assert pods.long_lived(kube, HELLO_NAMESPACE) == code_servers


@pytest.mark.timeout(300)
def test_a_run_launched_while_the_daemon_is_down_starts_when_it_is_back(
    kube: Kube, platform: Installation, dagster: Dagster
) -> None:
    name = f"{platform.release}-daemon"
    _scale(kube, "deployment", name, platform.namespace, 0)
    until(lambda: _no_pod(kube, platform, "daemon"), 60, "the daemon to be down")
    run = dagster.launch(HELLO, hello.GREETING.job)
    assert dagster.status(run) == "QUEUED"
    _scale(kube, "deployment", name, platform.namespace, 1)
    dagster.succeed(run)
    assert [each["runId"] for each in dagster.family(run)] == [run]
    _assert_each_step_ran_once(kube, dagster, [run], len(dagster.run(run)["stepStats"]))
    platform.answers()


def _launch(dagster: Dagster, tags: dict[str, str]) -> str:
    """Launch a run of six steps, and wait until the first one has succeeded."""
    job = hello.SEQUENCE
    run = dagster.launch(HELLO, job.job, job.config({}, steps=STEPS, seconds=5), tags)
    until(lambda: _steps_done(dagster, run, 1), 120, "the first step to be done")
    return run


def _restart(kube: Kube, platform: Installation, kind: str, part: str) -> None:
    """Stop a part of the platform, start it after 20 s, and wait until the platform is healthy."""
    name = f"{platform.release}-{part}"
    _scale(kube, kind, name, platform.namespace, 0)
    until(lambda: _no_pod(kube, platform, part), 60, f"the {part} to be down")
    time.sleep(DOWN)  # the length of the outage is part of the promise
    _scale(kube, kind, name, platform.namespace, 1)
    platform.answers(180)


def _settled(dagster: Dagster, run: str) -> list[dict[str, Any]] | NotYet:
    """The run and its retries, once the last one has ended and no further one will come."""
    try:
        family = dagster.family(run)
        last = dagster.run(family[-1]["runId"])
    except GraphQLError as error:
        return NotYet(error)
    tags = {tag["key"]: tag["value"] for tag in last["tags"]}
    waits = last["status"] == FAILURE and tags.get("dagster/will_retry") != "false"
    # Both statuses count: the run may end between the two queries.
    if {family[-1]["status"], last["status"]} - ENDED or waits:
        return NotYet([(each["runId"], each["status"]) for each in family])
    return family


def _scale(kube: Kube, kind: str, name: str, namespace: str, replicas: int) -> None:
    patch = getattr(kube.apps, f"patch_namespaced_{kind}_scale")
    patch(name, namespace, {"spec": {"replicas": replicas}})


def _no_pod(kube: Kube, platform: Installation, part: str) -> bool | NotYet:
    there = [
        pod
        for pod in kube.core.list_namespaced_pod(platform.namespace).items
        if pod.metadata.name.startswith(f"{platform.release}-{part}-")
    ]
    return not there or NotYet([pods.describe(pod) for pod in there])


def _steps_done(dagster: Dagster, run: str, count: int) -> bool | NotYet:
    statuses = [step["status"] for step in dagster.run(run)["stepStats"]]
    return statuses.count("SUCCESS") >= count or NotYet(statuses)


def _assert_each_step_ran_once(kube: Kube, dagster: Dagster, family: list[str], steps: int) -> None:
    """Assert that each step succeeded once over all runs, and ran at most once in each."""
    succeeded = Counter(
        e.step for run in family for e in dagster.events(run) if e.kind == "STEP_SUCCESS"
    )
    assert len(succeeded) == steps
    assert succeeded == dict.fromkeys(succeeded, 1)
    for run in family:
        there = pods.step_pods(kube, HELLO_NAMESPACE, run)
        ran = Counter(pod.metadata.labels[pods.STEP_KEY] for pod in there)
        assert ran == dict.fromkeys(ran, 1), run
