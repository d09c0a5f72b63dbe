"""What follows when an attempt at a step has ended without a result."""

from dataclasses import replace

import pytest
from dagster import DagsterEvent, DagsterEventType, RetryPolicy

from bulkhead.dagster_compat import EngineEventData, SerializableErrorInfo, StepRetryData
from bulkhead.kube.quantities import GIB, MIB
from bulkhead.steps.ceiling import Ceiling
from bulkhead.steps.history import History, PlatformRetry
from bulkhead.steps.resources import StepResources
from bulkhead.steps.retries import own_retry_delay, platform_retry, without_past_delays
from bulkhead.steps.verdicts import Cause, Verdict

OOM = Verdict(Cause.OUT_OF_MEMORY, "train", attempt=2, memory_limit=512 * MIB)
EVICTED = Verdict(Cause.EVICTED, "train", attempt=3)
GROWS = StepResources(max_memory=4 * GIB)


def history(*retries: PlatformRetry) -> History:
    found = History()
    found.observe(
        DagsterEvent(
            event_type_value=DagsterEventType.ENGINE_EVENT.value,
            job_name="job",
            step_key="train",
            event_specific_data=EngineEventData(metadata=retry.metadata()),
        )
        for retry in retries
    )
    return found


def decide(
    verdict: Verdict,
    requested: StepResources = GROWS,
    past: History | None = None,
    ceiling: str | None = None,
) -> PlatformRetry | None:
    amounts = {"memory": ceiling} if ceiling else {}
    return platform_retry(verdict, past or history(), requested, Ceiling("ml", amounts), 3)


def test_a_step_that_ran_out_of_memory_is_retried_with_twice_as_much() -> None:
    assert decide(OOM) == PlatformRetry(2, Cause.OUT_OF_MEMORY, GIB)


def test_it_gets_no_more_than_its_max_memory_and_the_ceiling() -> None:
    assert decide(OOM, StepResources(max_memory=600 * MIB)) == PlatformRetry(
        2, Cause.OUT_OF_MEMORY, 600 * MIB
    )
    assert decide(OOM, ceiling="700Mi") == PlatformRetry(2, Cause.OUT_OF_MEMORY, 700 * MIB)


@pytest.mark.parametrize(
    ("requested", "ceiling"),
    [
        (StepResources(), None),
        (StepResources(max_memory=512 * MIB), None),
        (StepResources(max_memory=4 * GIB, retries_on_oom=0), None),
        (GROWS, "512Mi"),
    ],
)
def test_it_is_not_retried_where_it_could_not_have_more(
    requested: StepResources, ceiling: str | None
) -> None:
    assert decide(OOM, requested, ceiling=ceiling) is None


def test_without_a_known_limit_there_is_nothing_to_double() -> None:
    assert decide(replace(OOM, memory_limit=None)) is None


def test_retries_on_oom_counts_only_its_own() -> None:
    requested = StepResources(max_memory=4 * GIB, retries_on_oom=1)
    assert decide(OOM, requested, history(PlatformRetry(1, Cause.EVICTED)))
    assert decide(OOM, requested, history(PlatformRetry(1, Cause.OUT_OF_MEMORY, GIB))) is None


def test_a_step_that_the_cluster_ended_is_retried_with_the_memory_that_it_had_grown_to() -> None:
    grown = history(PlatformRetry(1, Cause.OUT_OF_MEMORY, GIB))
    assert decide(EVICTED) == PlatformRetry(3, Cause.EVICTED)
    assert decide(EVICTED, past=grown) == PlatformRetry(3, Cause.EVICTED, GIB)


def test_the_cluster_may_end_a_step_so_often_and_not_more() -> None:
    before = [PlatformRetry(number, Cause.NODE_LOST) for number in (1, 2)]
    assert decide(EVICTED, past=history(*before))
    assert decide(EVICTED, past=history(*before, PlatformRetry(3, Cause.DELETED))) is None


@pytest.mark.parametrize(
    "cause", [cause for cause in Cause if not cause.is_infrastructure and cause != OOM.cause]
)
def test_no_other_end_is_the_platforms_to_retry(cause: Cause) -> None:
    assert decide(replace(OOM, cause=cause)) is None


POLICY = RetryPolicy(max_retries=2, delay=5)
FAILED = Verdict(Cause.EXIT_CODE, "train", exit_code=3)


def test_the_ops_own_policy_counts_only_its_own_retries() -> None:
    evicted = history(PlatformRetry(1, Cause.EVICTED), PlatformRetry(2, Cause.EVICTED))
    assert own_retry_delay(FAILED, POLICY, 0, history()) == 5
    assert own_retry_delay(FAILED, POLICY, 2, history()) is None
    assert own_retry_delay(FAILED, POLICY, 3, evicted) == 5
    assert own_retry_delay(FAILED, POLICY, 4, evicted) is None


def test_there_is_no_own_retry_without_a_policy_or_where_no_code_can_have_run() -> None:
    assert own_retry_delay(FAILED, None, 0, history()) is None
    rejected = replace(FAILED, cause=Cause.REJECTED)
    assert own_retry_delay(rejected, POLICY, 0, history()) is None


# --- Runs that are resumed ------------------------------------------------------------------------


def event(kind: DagsterEventType, step: str = "train", delay: float | None = None) -> DagsterEvent:
    is_retry = kind == DagsterEventType.STEP_UP_FOR_RETRY
    error = SerializableErrorInfo("it failed", [], None)
    return DagsterEvent(
        event_type_value=kind.value,
        job_name="job",
        step_key=step,
        event_specific_data=StepRetryData(error, delay) if is_retry else None,
    )


def delays(events: list[DagsterEvent]) -> list[float | None]:
    found = (each.event_specific_data for each in without_past_delays(events))
    return [data.seconds_to_wait for data in found if isinstance(data, StepRetryData)]


RETRY, START = DagsterEventType.STEP_UP_FOR_RETRY, DagsterEventType.STEP_START


def test_the_delay_of_a_retry_that_was_made_does_not_count_again() -> None:
    assert delays([event(START), event(RETRY, delay=9), event(START)]) == [None]
    assert delays([event(RETRY, delay=9), event(RETRY, delay=9), event(START)]) == [None, None]


def test_the_delay_of_a_retry_that_is_still_to_be_made_counts() -> None:
    assert delays([event(START), event(RETRY, delay=9)]) == [9]
    assert delays([event(RETRY, delay=9), event(START, step="report")]) == [9]


def test_nothing_else_of_the_log_changes() -> None:
    events = [event(START), event(RETRY, delay=9), event(START), event(START, step="report")]
    assert [each.event_type for each in without_past_delays(events)] == [START, RETRY, START, START]
    assert without_past_delays(events)[::3] == events[::3]
