"""What a run's event log says about the attempts at its steps.

The executor keeps none of this in memory alone. A retry that it decides on is an event first, and
is known here when that event is read. So a run pod that resumes a run knows as much as the one that
started it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from dagster import DagsterEvent, DagsterEventType, MetadataValue

from bulkhead.dagster_compat import EngineEventData
from bulkhead.steps.verdicts import Cause

GROWN_KEY: Final = "bulkhead/grown_to"
"""Metadata key of the event about a step that has grown while it ran: its new limit in bytes."""

RETRY_KEY: Final = "bulkhead/retry"
"""Metadata key of the event that announces a platform retry."""

_STARTS: Final = frozenset(
    {
        DagsterEventType.STEP_WORKER_STARTED,
        DagsterEventType.STEP_START,
        DagsterEventType.STEP_RESTARTED,
    }
)


@dataclass(frozen=True)
class PlatformRetry:
    """A retry that the executor decides on; it does not use the step's own retries."""

    attempt: int
    """The attempt that it follows. Of two that are announced for one attempt, the last counts."""
    cause: Cause
    memory: int | None = None
    """The memory limit from then on, in bytes; None where it does not change."""

    def metadata(self) -> dict[str, MetadataValue]:
        """Return the metadata of the event that announces this retry to `History`."""
        content = {"attempt": self.attempt, "cause": self.cause.value, "memory": self.memory}
        return {RETRY_KEY: MetadataValue.json(content)}


class History:
    """The attempts at each step of one run."""

    def __init__(self) -> None:
        """Start without any event."""
        self._retries: dict[str, dict[int, PlatformRetry]] = defaultdict(dict)
        self._started: set[str] = set()
        self._grown: dict[str, int] = {}

    def observe(self, events: Iterable[DagsterEvent]) -> None:
        """Read events of the run, in the order of its log, each once."""
        for event in events:
            step = event.step_key
            if not step:
                continue
            if event.event_type in _STARTS:
                self._started.add(step)
            elif event.event_type == DagsterEventType.STEP_UP_FOR_RETRY:
                self._started.discard(step)
            elif event.event_type == DagsterEventType.ENGINE_EVENT:
                self._retries[step].update((each.attempt, each) for each in _announced(event))
                grown = _metadata(event).get(GROWN_KEY)
                if grown:
                    self._grown[step] = cast("int", grown.value)

    def platform_retries(self, step: str) -> Sequence[PlatformRetry]:
        """Return the retries of a step that the executor decided on."""
        return tuple(self._retries[step].values())

    def infrastructure_retries(self, step: str) -> int:
        """Return how many of these the cluster caused."""
        return sum(each.cause.is_infrastructure for each in self.platform_retries(step))

    def memory_retries(self, step: str) -> int:
        """Return how many of these were made because the step ran out of memory."""
        return sum(each.cause is Cause.OUT_OF_MEMORY for each in self.platform_retries(step))

    def memory(self, step: str) -> int | None:
        """Return the memory limit to which a step has grown, in bytes; None where it has not."""
        limits = [each.memory for each in self.platform_retries(step) if each.memory]
        return max([*limits, self._grown.get(step, 0)]) or None

    def has_started(self, step: str) -> bool:
        """Return whether the pod of the current attempt has written to the log."""
        return step in self._started


def _announced(event: DagsterEvent) -> list[PlatformRetry]:
    metadata = _metadata(event)
    if RETRY_KEY not in metadata:
        return []
    content = cast("dict[str, Any]", metadata[RETRY_KEY].value)
    return [PlatformRetry(content["attempt"], Cause(content["cause"]), content["memory"])]


def _metadata(event: DagsterEvent) -> Mapping[str, MetadataValue[Any]]:
    data = event.event_specific_data
    return data.metadata if isinstance(data, EngineEventData) else {}


def grown_memory(limit: int, max_memory: int | None, ceiling: int | None) -> int | None:
    """Return the next memory limit of a step that needs more: twice as much, within its bounds.

    Args:
        limit: the current limit, in bytes.
        max_memory: the largest limit that the step may grow to, in bytes; None: it does not grow.
        ceiling: the ceiling of the code location, in bytes; None: there is none.

    Returns:
        Bytes; None where it may not grow.
    """
    if max_memory is None:
        return None
    grown = min(2 * limit, max_memory, ceiling or max_memory)
    return grown if grown > limit else None
