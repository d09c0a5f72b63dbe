"""Reads the events of a run while its steps write them: each once, and none missed.

PostgreSQL numbers an event before others can see it. Of two steps that write at the same moment the
one with the larger number may be seen first, and who goes on from the largest number that they have
seen never hears of the other. With fifty steps abreast that happens, and what is missed may be the
end of a step. So events are read a second time, from further back, whenever it matters.
"""

import time
from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

from dagster import DagsterEvent, DagsterEventType, DagsterInstance, EventLogRecord

from bulkhead.dagster_compat import EventLogCursor

# From being numbered to being seen it takes one write to the disk of the database.
_LATE_SECONDS: Final = 10.0

_ENDS: Final = frozenset(
    {
        DagsterEventType.STEP_SUCCESS,
        DagsterEventType.STEP_FAILURE,
        DagsterEventType.STEP_SKIPPED,
        DagsterEventType.STEP_UP_FOR_RETRY,
    }
)


class _Read(NamedTuple):
    at: float
    number: int


class EventTail:
    """The events of one run, as they come.

    Whoever is told of a step's end has been told of all that the step wrote before.
    """

    def __init__(self, instance: DagsterInstance, run_id: str, page: int) -> None:
        """Begin before the run's first event.

        Args:
            instance: where the events are.
            run_id: of which run.
            page: how many to read at a time.
        """
        self._instance = instance
        self._run_id = run_id
        self._page = page
        self._newest = -1
        self._oldest_doubt = -1
        self._recent: deque[_Read] = deque()

    def read(self, *, from_further_back: bool = False) -> list[DagsterEvent]:
        """Return what has come since the last time.

        Args:
            from_further_back: look for what came late, too. That is done without being asked for
                where the end of a step is among the new events.
        """
        now = time.monotonic()
        while self._recent and now - self._recent[0].at > _LATE_SECONDS:
            self._oldest_doubt = max(self._oldest_doubt, self._recent.popleft().number)
        new = {} if from_further_back else self._unread(self._newest)
        if from_further_back or any(map(_is_end, new.values())):
            new |= self._unread(self._oldest_doubt)
        numbers = sorted(new)
        self._recent.extend(_Read(now, number) for number in numbers)
        self._newest = max([self._newest, *numbers])
        return [event for number in numbers if (event := new[number].event_log_entry.dagster_event)]

    def _unread(self, after: int) -> dict[int, EventLogRecord]:
        read = {each.number for each in self._recent}
        return {
            record.storage_id: record
            for record in self._after(after)
            if record.storage_id not in read
        }

    def _after(self, number: int) -> Iterator[EventLogRecord]:
        cursor = EventLogCursor.from_storage_id(number).to_string()
        has_more = True
        while has_more:
            page = self._instance.get_records_for_run(
                self._run_id, cursor, of_type=set(DagsterEventType), limit=self._page
            )
            yield from page.records
            cursor, has_more = page.cursor, page.has_more


def _is_end(record: EventLogRecord) -> bool:
    event = record.event_log_entry.dagster_event
    return event is not None and event.event_type in _ENDS
