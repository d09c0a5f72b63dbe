"""What a run's event log tells of the attempts at its steps."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from dagster import DagsterEvent, DagsterEventType, DagsterInstance
from dagster._core.events import EngineEventData
from dagster._core.events.log import EventLogEntry
from dagster._core.execution.plan.objects import StepRetryData
from dagster_shared.error import SerializableErrorInfo

from bulkhead.kube.quantities import GIB, MIB
from bulkhead.steps.history import GROWN_KEY, History, PlatformRetry, grown_memory
from bulkhead.steps.verdicts import Cause

RUN = "299af3e0-5caa-41ea-a586-1cc8704a48a6"


DATA: Mapping[DagsterEventType, Any] = {
    DagsterEventType.STEP_WORKER_STARTING: EngineEventData(),
    DagsterEventType.STEP_WORKER_STARTED: EngineEventData(),
    DagsterEventType.STEP_UP_FOR_RETRY: StepRetryData(
        SerializableErrorInfo("too little", [], None)
    ),
}


def event(kind: DagsterEventType, step: str | None = "train", data: Any = None) -> DagsterEvent:
    return DagsterEvent(
        kind.value,
        job_name="nightly",
        step_key=step,
        event_specific_data=data or DATA.get(kind),
    )


def engine_event(metadata: Mapping[str, Any], step: str | None = "train") -> DagsterEvent:
    return event(DagsterEventType.ENGINE_EVENT, step, EngineEventData(metadata=metadata))


def announced(retry: PlatformRetry, step: str = "train") -> DagsterEvent:
    """What the executor writes: the facts of the verdict, and the retry beside them."""
    facts = {"cause": retry.cause.value, "attempt": retry.attempt}
    return engine_event({**facts, **retry.metadata()}, step)


def history_of(*events: DagsterEvent) -> History:
    history = History()
    history.observe(events)
    return history


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as instance:
        yield instance


OUT_OF_MEMORY = PlatformRetry(1, Cause.OUT_OF_MEMORY, 512 * MIB)
EVICTED = PlatformRetry(2, Cause.EVICTED)


# --- Repetitions ----------------------------------------------------------------------------------


def test_retries_are_counted_by_what_they_were_made_for() -> None:
    history = history_of(
        announced(OUT_OF_MEMORY),
        announced(EVICTED),
        announced(PlatformRetry(3, Cause.NODE_LOST)),
        announced(PlatformRetry(4, Cause.OUT_OF_MEMORY, GIB)),
        announced(PlatformRetry(5, Cause.DELETED)),
    )
    assert len(history.platform_retries("train")) == 5
    assert history.infrastructure_retries("train") == 3
    assert history.memory_retries("train") == 2


def test_retries_are_kept_in_their_order_with_all_that_was_decided() -> None:
    history = history_of(announced(OUT_OF_MEMORY), announced(EVICTED))
    assert history.platform_retries("train") == (OUT_OF_MEMORY, EVICTED)


def test_a_retry_that_is_announced_twice_is_made_once() -> None:
    """A run's pod may end after it has announced one; the next pod of the run then decides anew."""
    assert history_of(announced(EVICTED), announced(EVICTED)).platform_retries("train") == (
        EVICTED,
    )
    history = history_of(
        announced(OUT_OF_MEMORY), announced(EVICTED), announced(PlatformRetry(2, Cause.DELETED))
    )
    assert history.platform_retries("train") == (OUT_OF_MEMORY, PlatformRetry(2, Cause.DELETED))
    assert history.infrastructure_retries("train") == 1


def test_each_step_has_its_own_retries() -> None:
    history = history_of(announced(OUT_OF_MEMORY), announced(EVICTED, "square[1]"))
    assert history.platform_retries("train") == (OUT_OF_MEMORY,)
    assert history.platform_retries("square[1]") == (EVICTED,)
    assert history.memory("square[1]") is None


def test_a_step_of_which_nothing_was_heard_has_no_past() -> None:
    history = History()
    assert history.platform_retries("train") == ()
    assert history.infrastructure_retries("train") == 0
    assert history.memory_retries("train") == 0
    assert history.memory("train") is None
    assert not history.has_started("train")


def test_what_else_is_written_about_a_step_is_no_retry() -> None:
    history = history_of(
        engine_event({}),
        engine_event({"cause": "OutOfMemory", "memory_limit": "256Mi"}),
        engine_event({"peak_memory": 1, "cpu_seconds": 0.5}),
        engine_event(EVICTED.metadata(), step=None),
        event(DagsterEventType.STEP_UP_FOR_RETRY),
        event(DagsterEventType.STEP_WORKER_STARTED),
    )
    assert history.platform_retries("train") == ()


def test_the_memory_grown_to_is_the_last_that_was_granted() -> None:
    history = history_of(announced(OUT_OF_MEMORY))
    assert history.memory("train") == 512 * MIB
    history.observe([announced(PlatformRetry(2, Cause.OUT_OF_MEMORY, GIB))])
    assert history.memory("train") == GIB


def test_memory_grown_to_stays_through_a_retry_for_another_reason() -> None:
    history = history_of(announced(OUT_OF_MEMORY), announced(EVICTED))
    assert history.memory("train") == 512 * MIB


def grew(memory: int, step: str = "train") -> DagsterEvent:
    return engine_event({"grown_from": 256 * MIB, GROWN_KEY: memory}, step)


def test_memory_that_a_step_grew_to_while_it_ran_is_its_own_from_then_on() -> None:
    history = history_of(grew(512 * MIB), grew(2 * GIB, "report"), announced(EVICTED))
    assert history.memory("train") == 512 * MIB
    assert history.memory("report") == 2 * GIB
    assert history.platform_retries("report") == ()


def test_of_memory_grown_to_in_both_ways_the_larger_counts() -> None:
    assert history_of(announced(OUT_OF_MEMORY), grew(GIB)).memory("train") == GIB
    grown_after_growing = PlatformRetry(1, Cause.OUT_OF_MEMORY, 2 * GIB)
    assert history_of(grew(GIB), announced(grown_after_growing)).memory("train") == 2 * GIB


def test_a_run_that_is_taken_up_again_knows_as_much_as_the_one_that_began_it(
    instance: DagsterInstance,
) -> None:
    events = [
        event(DagsterEventType.STEP_WORKER_STARTED),
        announced(OUT_OF_MEMORY),
        event(DagsterEventType.STEP_UP_FOR_RETRY),
        event(DagsterEventType.STEP_WORKER_STARTED),
        announced(EVICTED),
    ]
    for number, each in enumerate(events):
        instance.event_log_storage.store_event(
            EventLogEntry(None, logging.INFO, "", RUN, float(number), dagster_event=each)
        )

    history = History()
    history.observe(entry.dagster_event for entry in instance.all_logs(RUN) if entry.dagster_event)

    assert history.platform_retries("train") == (OUT_OF_MEMORY, EVICTED)
    assert history.memory("train") == 512 * MIB
    assert history.has_started("train")


# --- Whether an attempt has begun -----------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [
        DagsterEventType.STEP_WORKER_STARTED,
        DagsterEventType.STEP_START,
        DagsterEventType.STEP_RESTARTED,
    ],
)
def test_an_attempt_has_started_once_its_own_pod_was_heard_of(kind: DagsterEventType) -> None:
    history = history_of(event(kind))
    assert history.has_started("train")
    assert not history.has_started("report")


def test_that_a_pod_is_to_be_made_is_no_word_from_it() -> None:
    history = history_of(
        event(DagsterEventType.STEP_WORKER_STARTING), engine_event({"pod": "train-abcde"})
    )
    assert not history.has_started("train")


def test_a_retry_has_not_started_because_the_attempt_before_it_had() -> None:
    history = history_of(
        event(DagsterEventType.STEP_START), event(DagsterEventType.STEP_UP_FOR_RETRY)
    )
    assert not history.has_started("train")
    history.observe([event(DagsterEventType.STEP_WORKER_STARTED)])
    assert history.has_started("train")


# --- Growth ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "max_memory", "ceiling", "grown"),
    [
        (256 * MIB, GIB, None, 512 * MIB),
        (256 * MIB, 512 * MIB, None, 512 * MIB),
        (256 * MIB, 300 * MIB, None, 300 * MIB),
        (256 * MIB, 8 * GIB, 400 * MIB, 400 * MIB),
        (256 * MIB, 400 * MIB, 8 * GIB, 400 * MIB),
        (512 * MIB, GIB, GIB, GIB),
    ],
)
def test_memory_doubles_as_far_as_the_step_and_the_ceiling_allow(
    limit: int, max_memory: int, ceiling: int | None, grown: int
) -> None:
    assert grown_memory(limit, max_memory, ceiling) == grown


@pytest.mark.parametrize(
    ("limit", "max_memory", "ceiling"),
    [
        (256 * MIB, None, None),
        (256 * MIB, None, 8 * GIB),
        (GIB, GIB, None),
        (GIB, 512 * MIB, None),
        (GIB, 8 * GIB, GIB),
        (2 * GIB, 8 * GIB, GIB),
    ],
)
def test_memory_never_grows_unasked_nor_to_less_nor_to_the_same(
    limit: int, max_memory: int | None, ceiling: int | None
) -> None:
    assert grown_memory(limit, max_memory, ceiling) is None
