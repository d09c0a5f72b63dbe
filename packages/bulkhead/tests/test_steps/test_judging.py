"""When an attempt at a step is over, and what a run does about one that waits: a table.

Each row is an attempt, what is known of its pod, and a time; no cluster is needed.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bulkhead.kube.pods import StepPod
from bulkhead.steps.judging import (
    Judgement,
    Observation,
    Timeouts,
    judge,
    judge_rejected_job,
)
from bulkhead.steps.launch import Launch
from bulkhead.steps.verdicts import Cause

FIXTURES = Path(__file__).with_name("fixtures")
TIMEOUTS = Timeouts(scheduling=300, start=900, quota=3600, image_pull=60, node=600)
NOW = 10_000.0

QUOTA = "Error creating: exceeded quota: bulkhead, requested: pods=1, used: pods=2, limited: pods=2"
TOO_LARGE = (
    "Error creating: exceeded quota: bulkhead, requested: pods=3, used: pods=0, limited: pods=2"
)
FORBIDDEN = 'Error creating: pods "step" is forbidden: not today'
NO_ANSWER = "no answer: timed out"


def pod(name: str, *, is_gone: bool = False) -> StepPod:
    return StepPod(json.loads((FIXTURES / f"{name}.json").read_text()), is_gone=is_gone)


def pulling() -> StepPod:
    value = json.loads((FIXTURES / "secret_missing.json").read_text())
    value["status"]["containerStatuses"][0]["state"] = {"waiting": {"reason": "ContainerCreating"}}
    return StepPod(value)


def refused_by_registry() -> StepPod:
    """Its image cannot be pulled now, but perhaps later."""
    value = json.loads((FIXTURES / "secret_missing.json").read_text())
    waiting = {"reason": "ImagePullBackOff", "message": "429 Too Many Requests"}
    value["status"]["containerStatuses"][0]["state"] = {"waiting": waiting}
    return StepPod(value)


@dataclass(frozen=True)
class Row:
    """An attempt that waits for something since some seconds, and what is made of it."""

    what: str
    seen: Observation
    expected: tuple[Cause | None, Cause | None]
    """The cause of the verdict, and what it waits for."""
    waited: dict[Cause, float] = field(default_factory=dict[Cause, float])
    actions: frozenset[str] = frozenset()
    reports: Cause | None = None

    def __str__(self) -> str:
        return self.what


def actions(judgement: Judgement) -> frozenset[str]:
    names = ("deletes_job", "retriggers", "checks_job")
    return frozenset(name for name in names if getattr(judgement, name))


def launch(waited: dict[Cause, float] | None = None, **more: Any) -> Launch:
    since = {cause: NOW - seconds for cause, seconds in (waited or {}).items()}
    return Launch("train", 2, "dagster-step-1a4d", since=since, job_checked_at=NOW - 1, **more)


DELETES = frozenset({"deletes_job"})
RETRIGGERS = frozenset({"retriggers"})

ROWS = (
    Row("a running pod", Observation(pod("running")), (None, None)),
    Row("no pod yet", Observation(), (None, None)),
    # --- Pods that have ended
    Row("ended, its log not read yet", Observation(pod("oom_killed")), (None, None)),
    Row(
        "out of memory",
        Observation(pod("oom_killed"), is_settled=True),
        (Cause.OUT_OF_MEMORY, None),
    ),
    Row(
        "evicted: its Job could start another pod",
        Observation(pod("drained"), is_settled=True),
        (Cause.EVICTED, None),
        actions=DELETES,
    ),
    Row(
        "removed at once: its processes may still run",
        Observation(pod("running", is_gone=True), is_settled=True),
        (None, Cause.DELETED),
    ),
    Row(
        "removed, within its grace period",
        Observation(pod("running", is_gone=True), is_settled=True),
        (None, Cause.DELETED),
        {Cause.DELETED: 29},
    ),
    Row(
        "removed, its grace period is over",
        Observation(pod("running", is_gone=True), is_settled=True),
        (Cause.DELETED, None),
        {Cause.DELETED: 30},
        actions=DELETES,
    ),
    # --- Pods that wait
    Row(
        "no node, for the first time",
        Observation(pod("unschedulable")),
        (None, Cause.UNSCHEDULABLE),
    ),
    Row(
        "no node for long enough to report it",
        Observation(pod("unschedulable")),
        (None, Cause.UNSCHEDULABLE),
        {Cause.UNSCHEDULABLE: 3},
        reports=Cause.UNSCHEDULABLE,
    ),
    Row(
        "no node until the timeout",
        Observation(pod("unschedulable")),
        (Cause.UNSCHEDULABLE, Cause.UNSCHEDULABLE),
        {Cause.UNSCHEDULABLE: 300},
        actions=DELETES,
        reports=Cause.UNSCHEDULABLE,
    ),
    Row(
        "a large image: nobody need read of it",
        Observation(pulling()),
        (None, Cause.NEVER_STARTED),
        {Cause.NEVER_STARTED: 899},
    ),
    Row(
        "a container that never starts",
        Observation(pulling()),
        (Cause.NEVER_STARTED, Cause.NEVER_STARTED),
        {Cause.NEVER_STARTED: 900},
        actions=DELETES,
    ),
    Row(
        "an image that does not exist fails at once",
        Observation(pod("image_not_found")),
        (Cause.IMAGE, Cause.IMAGE),
        actions=DELETES,
    ),
    Row(
        "a name that no image can have fails at once",
        Observation(pod("image_name_invalid")),
        (Cause.IMAGE, Cause.IMAGE),
        actions=DELETES,
    ),
    Row(
        "a registry that is busy is waited for",
        Observation(refused_by_registry()),
        (None, Cause.IMAGE),
        {Cause.IMAGE: 59},
        reports=Cause.IMAGE,
    ),
    Row(
        "a registry that stays busy",
        Observation(refused_by_registry()),
        (Cause.IMAGE, Cause.IMAGE),
        {Cause.IMAGE: 60},
        actions=DELETES,
        reports=Cause.IMAGE,
    ),
    Row(
        "a missing Secret is waited for as long as an image",
        Observation(pod("secret_missing")),
        (Cause.CANNOT_START, Cause.CANNOT_START),
        {Cause.CANNOT_START: 60},
        actions=DELETES,
        reports=Cause.CANNOT_START,
    ),
    Row(
        "a silent node is waited for longer",
        Observation(pod("node_silent")),
        (None, Cause.NODE_SILENT),
        {Cause.NODE_SILENT: 599},
        reports=Cause.NODE_SILENT,
    ),
    Row(
        "a node that stays silent",
        Observation(pod("node_silent")),
        (Cause.NODE_SILENT, Cause.NODE_SILENT),
        {Cause.NODE_SILENT: 600},
        actions=DELETES,
        reports=Cause.NODE_SILENT,
    ),
    # --- Pods that the API server refuses
    Row(
        "a full quota",
        Observation(refusal=QUOTA),
        (None, Cause.QUOTA),
        actions=RETRIGGERS,
    ),
    Row(
        "a full quota is waited for the longest",
        Observation(refusal=QUOTA),
        (None, Cause.QUOTA),
        {Cause.QUOTA: 3599},
        actions=RETRIGGERS,
        reports=Cause.QUOTA,
    ),
    Row(
        "a quota that stays full",
        Observation(refusal=QUOTA),
        (Cause.QUOTA, Cause.QUOTA),
        {Cause.QUOTA: 3600},
        actions=DELETES | RETRIGGERS,
        reports=Cause.QUOTA,
    ),
    Row(
        "more than the whole quota fails at once",
        Observation(refusal=TOO_LARGE),
        (Cause.QUOTA, None),
        actions=DELETES,
    ),
    Row(
        "what is forbidden fails at once",
        Observation(refusal=FORBIDDEN),
        (Cause.REJECTED, None),
        actions=DELETES,
    ),
    Row(
        "a pod that exists counts more than an old refusal",
        Observation(pod("running"), refusal=FORBIDDEN),
        (None, None),
    ),
)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_what_is_known_of_an_attempt_decides_what_becomes_of_it(row: Row) -> None:
    judgement = judge(launch(row.waited), row.seen, TIMEOUTS, NOW)
    verdict = judgement.verdict
    assert (verdict and verdict.cause, judgement.waits_for) == row.expected
    assert actions(judgement) == row.actions
    assert (judgement.report and judgement.report.cause) == row.reports
    if verdict:
        assert (verdict.step, verdict.attempt) == ("train", 2)


def test_a_timeout_is_part_of_the_verdict() -> None:
    seen = Observation(pod("unschedulable"))
    verdict = judge(launch({Cause.UNSCHEDULABLE: 301}), seen, TIMEOUTS, NOW).verdict
    assert verdict
    assert verdict.waited == 301


def test_a_wait_is_reported_once() -> None:
    waiting = launch({Cause.UNSCHEDULABLE: 5})
    seen = Observation(pod("unschedulable"))
    assert judge(waiting, seen, TIMEOUTS, NOW).report
    waiting.reported.add(Cause.UNSCHEDULABLE)
    assert judge(waiting, seen, TIMEOUTS, NOW).report is None


def test_judging_changes_nothing() -> None:
    waiting = launch({Cause.UNSCHEDULABLE: 5})
    before = repr(waiting)
    for row in ROWS:
        judge(waiting, row.seen, TIMEOUTS, NOW)
    assert repr(waiting) == before


def test_a_job_without_a_pod_is_checked_now_and_then() -> None:
    checked = Launch("train", 1, "dagster-step-1a4d", job_checked_at=NOW)
    assert not judge(checked, Observation(), TIMEOUTS, NOW + 19.9).checks_job
    assert judge(checked, Observation(), TIMEOUTS, NOW + 20).checks_job


def test_a_refused_pod_is_not_retriggered_before_its_time() -> None:
    waiting = launch(next_request_at=NOW + 1)
    seen = Observation(refusal=QUOTA)
    assert not judge(waiting, seen, TIMEOUTS, NOW).retriggers
    assert judge(waiting, seen, TIMEOUTS, NOW + 1).retriggers


@pytest.mark.parametrize(
    ("message", "may_pass", "waited", "cause"),
    [
        (FORBIDDEN, False, 0, Cause.REJECTED),
        (TOO_LARGE, False, 0, Cause.QUOTA),
        (QUOTA, False, 0, None),
        (NO_ANSWER, True, 0, None),
        (NO_ANSWER, True, 299, None),
        (NO_ANSWER, True, 300, Cause.API),
        # The status of the answer says that the next request may succeed, whatever its words.
        (FORBIDDEN, True, 0, None),
    ],
)
def test_a_job_that_is_not_accepted_is_requested_again_where_that_can_help(
    message: str, may_pass: bool, waited: float, cause: Cause | None
) -> None:
    waiting = launch({Cause.API: waited})
    judgement = judge_rejected_job(waiting, message, TIMEOUTS, NOW, may_pass=may_pass)
    assert (judgement.verdict and judgement.verdict.cause) == cause
    assert actions(judgement) == frozenset()


# --- The clocks of an attempt ---------------------------------------------------------------------


def test_a_wait_lasts_from_when_it_was_first_seen() -> None:
    waiting = launch()
    waiting.waits_for(Cause.UNSCHEDULABLE, NOW)
    assert waiting.waited(Cause.UNSCHEDULABLE, NOW + 7) == 7
    waiting.waits_for(Cause.UNSCHEDULABLE, NOW + 7)
    assert waiting.waited(Cause.UNSCHEDULABLE, NOW + 9) == 9
    assert waiting.waited(Cause.QUOTA, NOW + 9) == 0


def test_a_wait_that_ended_starts_from_zero_when_it_comes_back() -> None:
    waiting = launch()
    waiting.waits_only_for(Cause.UNSCHEDULABLE, NOW)
    waiting.waits_only_for(None, NOW + 7)
    assert waiting.waited(Cause.UNSCHEDULABLE, NOW + 8) == 0


def test_a_wait_that_goes_on_is_not_cut_short_by_the_end_of_another() -> None:
    waiting = launch()
    waiting.waits_for(Cause.UNSCHEDULABLE, NOW)
    waiting.waits_for(Cause.IMAGE, NOW)
    waiting.waits_only_for(Cause.IMAGE, NOW + 7)
    assert waiting.waited(Cause.IMAGE, NOW + 7) == 7
    assert waiting.waited(Cause.UNSCHEDULABLE, NOW + 7) == 0


def test_no_attempt_shares_its_clocks_with_another() -> None:
    first, second = launch(), launch()
    first.waits_for(Cause.UNSCHEDULABLE, NOW)
    first.reported.add(Cause.UNSCHEDULABLE)
    assert second.since == {}
    assert second.reported == set()
