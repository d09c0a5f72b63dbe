"""Decides what follows when an attempt at a step has ended without a result."""

from collections.abc import Sequence
from typing import Final

from dagster import DagsterEvent, DagsterEventType, RetryPolicy

from bulkhead.dagster_compat import StepRetryData
from bulkhead.steps.ceiling import Ceiling
from bulkhead.steps.history import History, PlatformRetry, grown_memory
from bulkhead.steps.resources import StepResources
from bulkhead.steps.verdicts import Cause, Verdict

_ATTEMPTS: Final = frozenset(
    {
        DagsterEventType.STEP_WORKER_STARTING,
        DagsterEventType.STEP_WORKER_STARTED,
        DagsterEventType.STEP_START,
        DagsterEventType.STEP_RESTARTED,
        DagsterEventType.STEP_SUCCESS,
        DagsterEventType.STEP_FAILURE,
        DagsterEventType.STEP_UP_FOR_RETRY,
    }
)
"""Events of an attempt that has at least been launched."""


def without_past_delays(events: Sequence[DagsterEvent]) -> list[DagsterEvent]:
    """Return a run's events without the delay of retries that were made.

    Dagster replays the events of a run that is resumed, and counts the delay of each retry from the
    replay. A retry that was made in the meantime would then end before it may start.
    """
    made: set[str] = set()
    replayed: list[DagsterEvent] = []
    for event in reversed(events):
        data, step = event.event_specific_data, event.step_key
        if isinstance(data, StepRetryData) and step in made:
            replayed.append(event._replace(event_specific_data=StepRetryData(data.error)))
        else:
            replayed.append(event)
        if step and event.event_type in _ATTEMPTS:
            made.add(step)
    return replayed[::-1]


def platform_retry(
    verdict: Verdict,
    history: History,
    requested: StepResources,
    ceiling: Ceiling,
    most_infrastructure_retries: int,
) -> PlatformRetry | None:
    """Return the retry that the executor makes by itself; None where it makes none.

    A step that the cluster ended is retried as it is, a limited number of times. A step that ran
    out of memory is retried with more, as far as its tags and the ceiling allow.

    Args:
        verdict: what became of the attempt.
        history: the run's earlier attempts.
        requested: what the step's tags request.
        ceiling: the largest step of the code location.
        most_infrastructure_retries: how often a step is retried that the cluster ended.
    """
    step = verdict.step
    if verdict.cause.is_infrastructure:
        if history.infrastructure_retries(step) >= most_infrastructure_retries:
            return None
        return PlatformRetry(verdict.attempt, verdict.cause, history.memory(step))
    if verdict.cause is not Cause.OUT_OF_MEMORY or verdict.memory_limit is None:
        return None
    allowed = requested.retries_on_oom
    if allowed is not None and history.memory_retries(step) >= allowed:
        return None
    memory = grown_memory(verdict.memory_limit, requested.max_memory, ceiling.memory)
    return PlatformRetry(verdict.attempt, verdict.cause, memory) if memory else None


def own_retry_delay(
    verdict: Verdict, policy: RetryPolicy | None, attempts_before: int, history: History
) -> float | None:
    """Return the delay in seconds before the next retry of the op's own policy.

    Args:
        verdict: what became of the attempt.
        policy: of the op; None where it has none.
        attempts_before: attempts at the step before this one, of every kind.
        history: the run's earlier attempts.

    Returns:
        None where the policy allows no further retry, and where no code of the op can have run.
    """
    if policy is None or verdict.cause.is_before_start:
        return None
    own = attempts_before - len(history.platform_retries(verdict.step))
    return None if own >= policy.max_retries else policy.calculate_delay(own + 1)
