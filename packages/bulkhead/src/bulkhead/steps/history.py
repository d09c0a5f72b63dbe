"""What a run's own event log tells of the attempts at its steps.

The executor keeps nothing of this in memory alone: a repetition that it decides on is an event
first, and is known here once that event is read. So a run that is taken up again by another pod
knows as much as the one that began it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from dagster import DagsterEvent, DagsterEventType, MetadataValue

from bulkhead.dagster_compat import EngineEventData
from bulkhead.steps.verdicts import Cause

GROWN_KEY: Final = "bulkhead/grown_to"
"""Metadata key, in bytes, of the event that says how far a step has grown while it ran."""

REPEAT_KEY: Final = "bulkhead/repeat"
"""Metadata key of the event that announces a repetition."""

_STARTS: Final = frozenset(
    {
        DagsterEventType.STEP_WORKER_STARTED,
        DagsterEventType.STEP_START,
        DagsterEventType.STEP_RESTARTED,
    }
)


@dataclass(frozen=True)
class Repeat:
    """A repetition that the executor decided on itself; no retry of the step's own is used up."""

    attempt: int
    """The one that it follows; of two that are announced for one attempt, the last is made."""
    cause: Cause
    memory: int | None = None
    """The limit from then on, in bytes; None where it stays."""

    def metadata(self) -> dict[str, MetadataValue]:
        """Return what an event has to carry so that `History` finds this in it."""
        said = {"attempt": self.attempt, "cause": self.cause.value, "memory": self.memory}
        return {REPEAT_KEY: MetadataValue.json(said)}


class History:
    """The attempts at each step of one run."""

    def __init__(self) -> None:
        """Know of nothing yet."""
        self._repeats: dict[str, dict[int, Repeat]] = defaultdict(dict)
        self._started: set[str] = set()
        self._grown: dict[str, int] = {}

    def observe(self, events: Iterable[DagsterEvent]) -> None:
        """Take in events of the run, in the order of its log, each once."""
        for event in events:
            step = event.step_key
            if not step:
                continue
            if event.event_type in _STARTS:
                self._started.add(step)
            elif event.event_type == DagsterEventType.STEP_UP_FOR_RETRY:
                self._started.discard(step)
            elif event.event_type == DagsterEventType.ENGINE_EVENT:
                self._repeats[step].update((each.attempt, each) for each in _announced(event))
                grown = _metadata(event).get(GROWN_KEY)
                if grown:
                    self._grown[step] = cast("int", grown.value)

    def repeats(self, step: str) -> Sequence[Repeat]:
        """Return the repetitions of a step that were the executor's own doing."""
        return tuple(self._repeats[step].values())

    def infrastructure_repeats(self, step: str) -> int:
        """Return how many of them were due to the cluster."""
        return sum(repeat.cause.is_infrastructure for repeat in self.repeats(step))

    def memory_repeats(self, step: str) -> int:
        """Return how many of them were due to too little memory."""
        return sum(repeat.cause is Cause.OUT_OF_MEMORY for repeat in self.repeats(step))

    def memory(self, step: str) -> int | None:
        """Return the memory limit that a step has grown to, in bytes; None where it has not."""
        repeated = [repeat.memory for repeat in self.repeats(step) if repeat.memory]
        return max([*repeated, self._grown.get(step, 0)]) or None

    def has_started(self, step: str) -> bool:
        """Say whether the present attempt at a step has been heard of from its own pod."""
        return step in self._started


def _announced(event: DagsterEvent) -> list[Repeat]:
    metadata = _metadata(event)
    if REPEAT_KEY not in metadata:
        return []
    said = cast("dict[str, Any]", metadata[REPEAT_KEY].value)
    return [Repeat(said["attempt"], Cause(said["cause"]), said["memory"])]


def _metadata(event: DagsterEvent) -> Mapping[str, MetadataValue[Any]]:
    data = event.event_specific_data
    return data.metadata if isinstance(data, EngineEventData) else {}


def grown_memory(limit: int, max_memory: int | None, ceiling: int | None) -> int | None:
    """Return the limit after an end for want of memory: twice as much, as far as it is allowed.

    Args:
        limit: what was too little, in bytes.
        max_memory: how far the step may grow; None: not at all.
        ceiling: the largest step of the code location; None: there is no such limit.

    Returns:
        Bytes; None where it may not grow.
    """
    if max_memory is None:
        return None
    grown = min(2 * limit, max_memory, ceiling or max_memory)
    return grown if grown > limit else None
