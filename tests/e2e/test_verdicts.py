"""A step that ends, or never begins, says why in words that a person can act on."""

from __future__ import annotations

import re
import statistics
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from tests.e2e import pods

if TYPE_CHECKING:
    from tests.e2e.cluster import Kube
    from tests.e2e.dagster_client import Dagster, Event

NAMESPACE = "bulkhead-steps"


class Ending(NamedTuple):
    """A job of one step, and what the page must say of its end."""

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
        r"Step hog was killed for memory: it used all of its 256Mi\. Give it more, such as "
        r'step_resources\(memory="512Mi"\), or let it grow when it needs to: '
        r'step_resources\(max_memory="1Gi"\)\.',
    ),
    Ending(
        "scribbler",
        "EphemeralStorageExceeded",
        r"Step scribbler was ended because it wrote more to its file system than its limit of "
        r"64Mi: .*ephemeral.*64Mi",
    ),
    Ending(
        "dawdler",
        "DeadlineExceeded",
        r"Step dawdler was ended after its time limit of 15s\. Give it more with "
        r"step_resources\(timeout=…\)",
    ),
    Ending(
        "exit_3",
        "ExitCode",
        r"The process of step exit_3 ended with exit code 3 before the step was done\.",
    ),
    Ending(
        "exit_0",
        "EndedWithoutResult",
        r"The process of step exit_0 ended with exit code 0 before the step was done",
    ),
    Ending("segfault", "Signal", r"Step segfault was ended by SIGSEGV \(signal 11\)\."),
    Ending(
        "no_image",
        "ImageCannotBePulled",
        r"The image of step no_image, bulkhead-registry:5000/bulkhead/hello:never-pushed, can't be "
        r"pulled: .*not found",
    ),
    Ending(
        "too_large_for_any_node",
        "Unschedulable",
        r"Step too_large_for_any_node finds no node: 0/\d+ nodes are available: .*Insufficient "
        r"memory.* It has waited \d+ s\.",
        _executor(scheduling_timeout_seconds=10),
    ),
    Ending(
        "refused_by_limit_range",
        "Rejected",
        r"The pod of step refused_by_limit_range is refused by the API server: .*maximum memory "
        r"usage per Container is 64Gi, but limit is 80Gi",
    ),
    Ending(
        "refused_by_pod_security",
        "Rejected",
        r"The pod of step refused_by_pod_security is refused by the API server: .*violates "
        r'PodSecurity "restricted',
    ),
    Ending(
        "no_program",
        "ContainerCannotStart",
        r"The container of step no_program can't be started: .*/no/such/program",
    ),
]

WITH_TIME = ("exit_3", "exit_0", "segfault")
"""Steps that print when they end, to the millisecond."""


@pytest.fixture(scope="module")
def runs(dagster: Dagster, endings: str) -> dict[str, str]:
    """A run of each, all at once: they have nothing to do with each other."""
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
    assert not pods.alive(there), "the step is said to have failed, and its pod goes on"


@pytest.mark.timeout(360)
@pytest.mark.parametrize("job", WITH_TIME)
def test_a_step_that_ends_without_a_word_shows_its_last_lines(
    dagster: Dagster, runs: dict[str, str], job: str
) -> None:
    dagster.finish(runs[job], 300)
    failure = _failure(dagster, runs[job])
    assert "the last line" in failure.error.partition("The last it printed:")[2]
    assert failure.metadata["node"]
    assert failure.metadata["pod"].startswith("dagster-step-")


@pytest.mark.timeout(360)
def test_the_page_knows_of_an_end_within_seconds(dagster: Dagster, runs: dict[str, str]) -> None:
    delays = {}
    for job in WITH_TIME:
        dagster.finish(runs[job], 300)
        failure = _failure(dagster, runs[job])
        ended = float(re.search(r"the last line, at ([0-9.]+)", failure.error)[1])
        delays[job] = failure.time - ended
    said = ", ".join(f"{job} {delay:.2f} s" for job, delay in delays.items())
    print(f"from the end of the process to the failed step in the page: {said}")
    # Promised are 2 s; a machine that starts eleven runs at once may take longer.
    assert statistics.median(delays.values()) < 6, said


@pytest.mark.timeout(240)
def test_a_step_that_no_quota_has_room_for_fails_at_once(dagster: Dagster, tight: str) -> None:
    run = dagster.launch(tight, "never_fits_the_quota")
    assert dagster.finish(run, 120) == "FAILURE"
    failure = _failure(dagster, run)
    assert re.search(
        r"Step never_fits_the_quota asks for limits\.cpu 7, and the quota of its whole code "
        r"location is 5 \(set by the platform admin\)",
        failure.error,
    ), failure.error
    assert failure.metadata["cause"] == "QuotaExceeded"


@pytest.mark.timeout(240)
def test_a_step_waits_for_room_in_the_quota_no_longer_than_it_may(
    dagster: Dagster, small: str
) -> None:
    """`small` has room for the code server, one run and one step."""
    job = "fan_out"
    config = {
        **_executor(quota_timeout_seconds=8),
        "ops": {job: {"config": {"steps": 2, "seconds": 40}}},
    }
    run = dagster.launch(small, job, config)
    assert dagster.finish(run, 200) == "FAILURE"
    failure = _failure(dagster, run)
    assert "waits for room in the quota of its code location" in failure.error
    assert failure.metadata["cause"] == "QuotaExceeded"
    told = [e.message for e in dagster.events(run) if e.kind == "ENGINE_EVENT"]
    assert any("waits for room in the quota" in message for message in told)


def _failure(dagster: Dagster, run: str) -> Event:
    (failure,) = [e for e in dagster.events(run) if e.kind == "STEP_FAILURE"]
    return failure
