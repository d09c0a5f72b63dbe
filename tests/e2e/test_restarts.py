"""A part of the platform restarts during a run: no run is lost, repeated or left hanging."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from tests.e2e import hello, pods
from tests.e2e.installation import HELLO, HELLO_NAMESPACE
from tests.e2e.waiting import NotYet, until

if TYPE_CHECKING:
    from tests.e2e.cluster import Kube
    from tests.e2e.dagster_client import Dagster
    from tests.e2e.installation import Installation

DOWN = 20
"""Seconds without the part."""

STEPS = 6


@pytest.mark.timeout(480)
@pytest.mark.parametrize(
    ("kind", "part"),
    [("deployment", "daemon"), ("deployment", "webserver"), ("stateful_set", "postgresql")],
    ids=["daemon", "web-server", "database"],
)
def test_a_run_outlives_the_restart_of_a_part_of_the_platform(
    kube: Kube, platform: Installation, dagster: Dagster, kind: str, part: str
) -> None:
    """It is down for 20 s, while the run is between its first and its last step.

    The run itself succeeds. It has no tags or policies for retries.
    """
    job = hello.SEQUENCE
    run = dagster.launch(HELLO, job.job, job.config({}, steps=STEPS, seconds=5))
    until(lambda: _steps_done(dagster, run, 1), 120, "the first step to be done")
    code_servers = pods.long_lived(kube, HELLO_NAMESPACE)

    _scale(kube, kind, f"{platform.release}-{part}", platform.namespace, 0)
    until(lambda: _no_pod(kube, platform, part), 60, f"the {part} to be down")
    time.sleep(DOWN)  # the length of the outage is part of the promise
    _scale(kube, kind, f"{platform.release}-{part}", platform.namespace, 1)
    platform.answers(180)

    dagster.succeed(run, 240)
    assert [each["runId"] for each in dagster.family(run)] == [run]
    pods.at_rest(kube, HELLO_NAMESPACE, run)
    _assert_each_step_ran_once(kube, dagster, run, STEPS)
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
    _assert_each_step_ran_once(kube, dagster, run, len(dagster.run(run)["stepStats"]))
    platform.answers()


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


def _assert_each_step_ran_once(kube: Kube, dagster: Dagster, run: str, steps: int) -> None:
    there = pods.step_pods(kube, HELLO_NAMESPACE, run)
    of_pods = Counter(pod.metadata.labels[pods.STEP_KEY] for pod in there)
    of_events = Counter(e.step for e in dagster.events(run) if e.kind == "STEP_SUCCESS")
    assert len(of_events) == steps
    assert of_events == dict.fromkeys(of_events, 1)
    assert of_pods == of_events
