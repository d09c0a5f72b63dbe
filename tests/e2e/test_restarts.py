"""A part of the platform goes away in the middle of a run: no run is lost, doubled or hung."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e import hello, pods
from tests.e2e.dagster_client import ENDED, GraphQLError
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
    [("deployment", "daemon"), ("deployment", "webserver"), ("stateful_set", "postgresql")],
    ids=["daemon", "web-server", "database"],
)
def test_a_run_outlives_the_restart_of_a_part_of_the_platform(
    kube: Kube, platform: Installation, dagster: Dagster, kind: str, part: str
) -> None:
    """Down for 20 s while the run is between its first and its last step.

    The run may fail where it cannot write down what it did: a step, too, fails without a database.
    Its team has marked it to be retried then; the retry, which the page shows beside it, succeeds.
    """
    job = hello.SEQUENCE
    mark = uuid.uuid4().hex
    run = dagster.launch(
        HELLO,
        job.job,
        job.config({}, steps=STEPS, seconds=5),
        {"e2e": mark, **RETRIED},
    )
    until(lambda: _steps_done(dagster, run, 1), 120, "the first step to be done")
    code_servers = pods.long_lived(kube, HELLO_NAMESPACE)

    _scale(kube, kind, f"{platform.release}-{part}", platform.namespace, 0)
    until(lambda: _no_pod(kube, platform, part), 60, f"the {part} to be down")
    time.sleep(DOWN)  # how long it stays away is the point
    _scale(kube, kind, f"{platform.release}-{part}", platform.namespace, 1)
    platform.answers(180)

    family = until(lambda: _settled(dagster, run), 240, f"run {run} or its retry to end")
    shown = [(each["runId"], each["status"]) for each in family]
    assert [each["status"] for each in family].count("SUCCESS") == 1, shown
    assert family[-1]["status"] == "SUCCESS", f"{shown}: {dagster.why(family[-1]['runId'])}"
    marked = {each["runId"] for each in dagster.runs_with_tag("e2e", mark)}
    assert marked == {each["runId"] for each in family}, "a run that the page does not group"
    for each in family:
        _assert_no_step_ran_twice(kube, each["runId"])
        pods.at_rest(kube, HELLO_NAMESPACE, each["runId"])
    succeeded = [
        event.step
        for each in family
        for event in dagster.events(each["runId"])
        if event.kind == "STEP_SUCCESS"
    ]
    assert set(Counter(succeeded).values()) == {1}, f"a step was repeated after success: {shown}"
    assert len(succeeded) == STEPS
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
    assert len(dagster.family(run)) == 1
    _assert_no_step_ran_twice(kube, run)
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


def _settled(dagster: Dagster, run: str) -> list[dict[str, Any]] | NotYet:
    """The run and its retries, once the last one has ended and no further one will come."""
    try:
        family = dagster.family(run)
        last = dagster.run(family[-1]["runId"])
    except GraphQLError as error:
        return NotYet(error)
    tags = {tag["key"]: tag["value"] for tag in last["tags"]}
    waits = last["status"] == "FAILURE" and tags.get("dagster/will_retry") != "false"
    # Both are asked for: the run may end between the two questions.
    if {family[-1]["status"], last["status"]} - ENDED or waits:
        return NotYet([(each["runId"], each["status"]) for each in family])
    return family


def _assert_no_step_ran_twice(kube: Kube, run: str) -> None:
    steps = Counter(
        pod.metadata.labels[pods.STEP_KEY] for pod in pods.step_pods(kube, HELLO_NAMESPACE, run)
    )
    assert all(count == 1 for count in steps.values()), f"run {run}: {steps}"
