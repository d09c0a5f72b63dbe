"""Reads the events of a run while its steps write them: each event once, and none is missed.

PostgreSQL numbers an event before other connections can see it. When two steps write at the same
moment, the event with the larger number can become visible first. A reader that continues from the
largest number that it has seen then never reads the other. With fifty steps at the same time that
happens, and the missed event can be the end of a step. So events are read a second time, from
further back, whenever it matters.
"""

import time
from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

from dagster import DagsterEvent, DagsterEventType, DagsterInstance, EventLogRecord

from bulkhead.dagster_compat import EventLogCursor

# Between its number and its visibility there is one write to the disk of the database.
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
    """The events of one run, in the order in which they become visible.

    When the end of a step has been returned, all events that the step wrote before have been, too.
    """

    def __init__(self, instance: DagsterInstance, run_id: str, page: int) -> None:
        """Start before the first event of the run.

        Args:
            instance: the instance that stores the events.
            run_id: the run.
            page: how many events one query reads.
        """
        self._instance = instance
        self._run_id = run_id
        self._page = page
        self._newest = -1
        self._oldest_doubt = -1
        self._recent: deque[_Read] = deque()

    def read(self, *, from_further_back: bool = False) -> list[DagsterEvent]:
        """Return the events that are new since the last call.

        Args:
            from_further_back: read events again that may have become visible late. This happens
                anyway when the end of a step is among the new events.
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
