"""A step that ends early, or never starts, says why and what to do."""

from __future__ import annotations

import re
import statistics
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from tests.e2e import pods

if TYPE_CHECKING:
    from datetime import datetime

    from tests.e2e.cluster import Kube, Pod
    from tests.e2e.dagster_client import Dagster, Event

NAMESPACE = "bulkhead-steps"


class Ending(NamedTuple):
    """A job of one step, with the cause and the sentence that the Dagster UI must show."""

    job: str
    cause: str
    sentence: str
    config: dict[str, Any] = {}  # noqa: RUF012 - never changed


def _executor(**settings: int) -> dict[str, Any]:
    return {"execution": {"config": settings}}


ENDINGS = [
    Ending(
        "hog",
        "OutOfMemory",
        r"Step hog ran out of memory \(OOM-killed\): its limit is 256Mi\. Request more, for "
        r'example step_resources\(memory="512Mi"\), or let its limit grow: '
        r'step_resources\(max_memory="1Gi"\)\.',
    ),
    Ending(
        "scribbler",
        "EphemeralStorageExceeded",
        r"Step scribbler exceeded its ephemeral storage limit of 64Mi: .*ephemeral.*64Mi.* "
        r"Request more with step_resources\(ephemeral_storage=…\), or write less\.",
    ),
    Ending(
        "dawdler",
        "DeadlineExceeded",
        r"Step dawdler exceeded its time limit of 15s\. Raise it with "
        r"step_resources\(timeout=…\), or do less in the step\.",
    ),
    Ending(
        "exit_3",
        "ExitCode",
        r"The process of step exit_3 exited with code 3 before the step finished\.",
    ),
    Ending(
        "exit_0",
        "EndedWithoutResult",
        r"The process of step exit_0 exited with code 0 before the step finished, and reported no "
        r"result\. Code in the step may call os\._exit or exec\.",
    ),
    Ending("segfault", "Signal", r"Step segfault was terminated by SIGSEGV \(signal 11\)\."),
    Ending(
        "no_image",
        "ImageCannotBePulled",
        r"The image of step no_image, bulkhead-registry:5000/bulkhead/hello:never-pushed, cannot "
        r"be pulled: .*not found",
    ),
    Ending(
        "too_large_for_any_node",
        "Unschedulable",
        r"No node can run step too_large_for_any_node: 0/\d+ nodes are available: .*Insufficient "
        r"memory.* Timed out after \d+ s\.",
        _executor(scheduling_timeout_seconds=10),
    ),
    Ending(
        "refused_by_limit_range",
        "Rejected",
        r"The API server rejected the pod of step refused_by_limit_range: .*maximum memory "
        r"usage per Container is 64Gi, but limit is 80Gi",
    ),
    Ending(
        "refused_by_pod_security",
        "Rejected",
        r"The API server rejected the pod of step refused_by_pod_security: .*violates "
        r'PodSecurity "restricted',
    ),
    Ending(
        "no_program",
        "ContainerCannotStart",
        r"The container of step no_program cannot start(?: \(\w+\))?: .*/no/such/program",
    ),
]

WITH_LAST_LINES = ("hog", "exit_3", "exit_0", "segfault")
"""Steps whose last line says when they end, to the millisecond."""

ENDED = (*WITH_LAST_LINES, "scribbler", "dawdler")
"""Steps whose container runs and ends; `five_of_each` has five of each."""

PROMISED_SECONDS = 2.0


@pytest.fixture(scope="module")
def runs(dagster: Dagster, endings: str) -> dict[str, str]:
    """A run of each, all at the same time."""
    return {each.job: dagster.launch(endings, each.job, each.config) for each in ENDINGS}


@pytest.mark.timeout(360)
@pytest.mark.parametrize("ending", ENDINGS, ids=[each.job for each in ENDINGS])
def test_a_step_says_why_it_ended(
    kube: Kube, dagster: Dagster, runs: dict[str, str], ending: Ending
) -> None:
    run = runs[ending.job]
    assert dagster.finish(run, 300) == "FAILURE"
    failure = _failure(dagster, run)
    assert re.search(ending.sentence, failure.error, re.DOTALL), failure.error
    assert failure.metadata["cause"] == ending.cause
    assert failure.metadata["attempt"] == 1
    there = [
        pod for pod in pods.step_pods(kube, NAMESPACE, run) if not pod.metadata.deletion_timestamp
    ]
    assert not pods.alive(there), "the step has failed, and its pod still runs"


@pytest.mark.timeout(360)
@pytest.mark.parametrize("job", WITH_LAST_LINES)
def test_a_step_that_ends_without_a_word_shows_its_last_lines(
    dagster: Dagster, runs: dict[str, str], job: str
) -> None:
    dagster.finish(runs[job], 300)
    failure = _failure(dagster, runs[job])
    assert "the last line" in failure.error.partition("Last output:\n")[2]
    assert failure.metadata["node"]
    assert failure.metadata["pod"].startswith("dagster-step-")


@pytest.mark.timeout(480)
def test_the_dagster_ui_shows_an_end_of_any_kind_within_2_s(
    kube: Kube, dagster: Dagster, endings: str
) -> None:
    """The median of five for each kind, from the end of the process to the failed step."""
    run = dagster.launch(endings, "five_of_each", _executor(max_concurrent=2))
    assert dagster.finish(run, 420) == "FAILURE"
    pods.at_rest(kube, NAMESPACE, run)
    there = {pod.metadata.name: pod for pod in pods.step_pods(kube, NAMESPACE, run)}
    delays: dict[str, list[float]] = {kind: [] for kind in ENDED}
    for event in dagster.events(run):
        if event.kind == "STEP_FAILURE":
            kind = event.step.rpartition("_")[0]
            ended = _last_line(event) or _end_of(there[event.metadata["pod"]])
            delays[kind].append(event.time - ended)
    medians = {kind: statistics.median(each) for kind, each in delays.items()}
    shown = ", ".join(f"{kind} {median:.2f} s" for kind, median in medians.items())
    print(f"median of the time from the end of the process to the failed step: {shown}")
    assert {kind: len(each) for kind, each in delays.items()} == dict.fromkeys(ENDED, 5)
    assert max(medians.values()) < PROMISED_SECONDS, delays


def _last_line(failure: Event) -> float | None:
    """When the step printed its last line, in seconds since 1970; `None` if it printed none."""
    times = re.findall(r"the last line, at ([0-9.]+)", failure.error)
    return float(times[-1]) if times else None


def _end_of(pod: Pod) -> float:
    """When a pod's container ended, in seconds since 1970.

    The API has no fractions of a second, so a delay that is measured from it may be 1 s too long.
    Where the kubelet does not report the end, it is the moment when the pod stopped being ready.
    """
    finished = pods.container_end(pod).finished_at
    (ready,) = [each for each in pod.status.conditions if each.type == "Ready"]
    moment: datetime = finished or ready.last_transition_time
    return moment.timestamp()


@pytest.mark.timeout(240)
def test_a_step_that_requests_more_than_the_whole_quota_fails_at_once(
    dagster: Dagster, tight: str
) -> None:
    run = dagster.launch(tight, "never_fits_the_quota")
    assert dagster.finish(run, 120) == "FAILURE"
    failure = _failure(dagster, run)
    assert re.search(
        r"Step never_fits_the_quota requests limits\.cpu 7, but the whole quota of its code "
        r"location is 5, so it can never start\. Request less, or ask the platform admin to raise "
        r"the quota\.",
        failure.error,
    ), failure.error
    assert failure.metadata["cause"] == "QuotaExceeded"


@pytest.mark.timeout(240)
def test_a_step_waits_for_room_in_the_quota_until_its_timeout(dagster: Dagster, small: str) -> None:
    """`small` has room for the code server, one run and one step."""
    job = "fan_out"
    config = {
        **_executor(quota_timeout_seconds=8),
        "ops": {job: {"config": {"steps": 2, "seconds": 40}}},
    }
    run = dagster.launch(small, job, config)
    assert dagster.finish(run, 200) == "FAILURE"
    failure = _failure(dagster, run)
    waits = (
        r"Step branch\[\d\] waits for room in the quota of its code location: it requests \S.*; "
        r".* of .* is in use\."
    )
    assert re.search(rf"{waits} Timed out after \d+ s\.", failure.error), failure.error
    assert failure.metadata["cause"] == "QuotaExceeded"
    messages = [e.message for e in dagster.events(run) if e.kind == "ENGINE_EVENT"]
    assert any(re.fullmatch(waits, message) for message in messages), messages


def _failure(dagster: Dagster, run: str) -> Event:
    (failure,) = [e for e in dagster.events(run) if e.kind == "STEP_FAILURE"]
    return failure
