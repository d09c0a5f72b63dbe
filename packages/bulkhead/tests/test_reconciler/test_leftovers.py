"""The rules, without a cluster."""

from typing import Any

import pytest

from bulkhead import names
from bulkhead.reconciler import leftovers
from bulkhead.reconciler.leftovers import UNKNOWN, Leftover, StepJob

GRACE = 30.0


def step_job(name: str = "job", run: str = "run") -> StepJob:
    return StepJob("ns", name, f"uid-{name}", "7", run, "sleep")


def leftover(name: str = "job") -> Leftover:
    return Leftover(step_job(name), "FAILURE")


def api_object(status: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "dagster-step-1",
            "namespace": "ns",
            "uid": "uid-1",
            "resourceVersion": "7",
            "labels": {
                names.RUN_ID_LABEL: "run",
                names.STEP_KEY_LABEL: names.label_value("square[1]"),
            },
            "annotations": {names.STEP_KEY_ANNOTATION: "square[1]"},
            **metadata,
        },
        "status": {"active": 1} if status is None else status,
    }


def condition(kind: str, status: str = "True") -> dict[str, str]:
    return {"type": kind, "status": status}


# --- Which Jobs are looked at ---------------------------------------------------------------------


def test_a_job_of_a_step_is_read_with_its_step_key_as_people_know_it() -> None:
    job = leftovers.read_job(api_object())
    assert job == StepJob("ns", "dagster-step-1", "uid-1", "7", "run", "square[1]")


@pytest.mark.parametrize(
    "status",
    [
        {},
        {"active": 1, "ready": 0},
        {"active": 1, "failed": 1},
        {"active": 1, "conditions": [condition("Failed", "False")]},
        {"active": 0, "conditions": [condition("Suspended")]},
    ],
    ids=["just made", "pod not ready", "second try", "not failed", "suspended"],
)
def test_a_job_that_has_or_may_get_a_pod_is_looked_at(status: dict[str, Any]) -> None:
    assert leftovers.read_job(api_object(status)) is not None


@pytest.mark.parametrize(
    "job",
    [
        api_object({"failed": 1}),
        api_object({"failed": 1, "conditions": [condition("Failed")]}),
        api_object({"conditions": [condition("Failed")]}),
        api_object({"succeeded": 1, "conditions": [condition("Complete")]}),
        api_object(deletionTimestamp="2030-01-01T00:00:00Z"),
        api_object(labels={names.RUN_ID_LABEL: "run"}),
        api_object(labels={names.STEP_KEY_LABEL: "sleep"}),
        api_object(labels=None),
    ],
    ids=[
        *("pod failed", "failed", "out of time", "succeeded", "being deleted"),
        *("of a run", "of nobody", "no labels"),
    ],
)
def test_any_other_job_is_not(job: dict[str, Any]) -> None:
    assert leftovers.read_job(job) is None


# --- Whose run has ended --------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["SUCCESS", "FAILURE", "CANCELED"])
def test_a_job_whose_run_has_ended_is_a_leftover(status: str) -> None:
    assert leftovers.find([step_job()], {"run": status}) == (Leftover(step_job(), status),)


def test_a_job_whose_run_is_in_no_database_is_a_leftover() -> None:
    assert leftovers.find([step_job()], {"other": "STARTED"}) == (Leftover(step_job(), UNKNOWN),)


# Every status of Dagster but the three last ones, and one that it may have one day.
@pytest.mark.parametrize(
    "status",
    [
        *("QUEUED", "NOT_STARTED", "MANAGED", "STARTING", "STARTED", "CANCELING", "SUSPENDED"),
        "SOMETHING_NEW",
    ],
)
def test_a_job_whose_run_goes_on_is_none(status: str) -> None:
    assert leftovers.find([step_job()], {"run": status}) == ()


def test_people_read_which_step_of_which_run_and_how_the_run_had_ended() -> None:
    assert leftover().message == (
        "Removed step sleep of run run: the run had ended (FAILURE) and the step was still there"
    )
    assert "(not known any more)" in Leftover(step_job(), UNKNOWN).message


# --- When it is removed ---------------------------------------------------------------------------


def row(*looks: tuple[float, tuple[Leftover, ...]], grace: float = GRACE) -> tuple[Leftover, ...]:
    """What is due after looks at these times, which found these leftovers."""
    judgement = leftovers.Judgement((), {})
    for now, found in looks:
        judgement = leftovers.judge(found, judgement.since, now, grace)
    return judgement.due


def test_one_look_removes_nothing_even_without_a_grace() -> None:
    assert row((0.0, (leftover(),)), grace=0.0) == ()
    assert row((0.0, (leftover(),)), (0.0, (leftover(),)), grace=0.0) == (leftover(),)


def test_a_leftover_is_due_when_looks_that_far_apart_and_all_between_found_it() -> None:
    found = (leftover(),)
    assert row((100.0, found), (115.0, found), (129.9, found)) == ()
    assert row((100.0, found), (115.0, found), (130.0, found)) == found
    assert row((100.0, found), (200.0, found)) == found


def test_a_look_that_did_not_find_it_begins_the_row_anew() -> None:
    found = (leftover(),)
    assert row((100.0, found), (115.0, ()), (130.0, found)) == ()
    assert row((100.0, found), (115.0, ()), (130.0, found), (160.0, found)) == found


def test_a_job_that_was_made_after_the_first_look_has_a_row_of_its_own() -> None:
    old, new = leftover("old"), leftover("new")
    assert row((100.0, (old,)), (130.0, (old, new))) == (old,)
    assert row((100.0, (old,)), (130.0, (old, new)), (160.0, (new,))) == (new,)


def test_nothing_is_remembered_of_what_is_gone() -> None:
    judgement = leftovers.judge((leftover(),), {}, 100.0, GRACE)
    assert judgement.since == {"uid-job": 100.0}
    assert leftovers.judge((), judgement.since, 115.0, GRACE).since == {}
