"""Events that a real PostgreSQL server shows in another order than it numbered them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy
from dagster import DagsterEvent, DagsterEventType, DagsterInstance, DagsterRun
from dagster._core.events import EngineEventData
from dagster._core.execution.plan.objects import StepSuccessData
from dagster._core.test_utils import create_run_for_test
from packages.bulkhead.tests.postgresql_server import Database

from bulkhead.steps import event_tail
from bulkhead.steps.event_tail import EventTail


class Log:
    """A run's log: what its steps write, and what is read of it."""

    def __init__(self, instance: DagsterInstance, page: int) -> None:
        self.instance = instance
        self.run: DagsterRun = create_run_for_test(instance)
        self._tail = EventTail(instance, self.run.run_id, page)

    def say(self, *steps: str) -> None:
        for step in steps:
            self.instance.report_engine_event("at work", self.run, EngineEventData(), step_key=step)

    def end(self, step: str) -> None:
        event = DagsterEvent(
            DagsterEventType.STEP_SUCCESS.value,
            job_name=self.run.job_name,
            step_key=step,
            event_specific_data=StepSuccessData(1.0),
        )
        self.instance.report_dagster_event(event, self.run.run_id)

    @contextmanager
    def late(self, step: str) -> Iterator[None]:
        """An event that is numbered now, and is seen by others once the context ends."""
        storage: Any = self.instance.event_log_storage
        engine = sqlalchemy.create_engine(storage.postgres_url, isolation_level="READ COMMITTED")
        kept, storage._engine = storage._engine, engine
        connection = engine.connect()
        storage._connect = lambda: _kept_open(connection)
        try:
            self.end(step)
        finally:
            del storage._connect
            storage._engine = kept
        yield
        connection.commit()
        connection.close()
        engine.dispose()

    def read(self, **kwargs: bool) -> list[str | None]:
        return [event.step_key for event in self._tail.read(**kwargs)]


@contextmanager
def _kept_open(connection: Any) -> Iterator[Any]:
    yield connection


@pytest.fixture(params=[1000, 2], ids=["one page", "many pages"])
def log(request: pytest.FixtureRequest, database: Database) -> Iterator[Log]:
    database.configure(autocreate=True)
    with DagsterInstance.from_config(str(database.home)) as instance:
        yield Log(instance, request.param)


def test_each_event_is_read_once_in_order(log: Log) -> None:
    assert log.read() == []
    log.say("a", "b", "c")
    assert log.read() == ["a", "b", "c"]
    assert log.read() == []
    log.say("d")
    assert log.read() == ["d"]
    assert log.read(from_further_back=True) == []


def test_other_runs_are_not_read(log: Log) -> None:
    other = Log(log.instance, 1000)
    other.say("theirs")
    log.say("ours")
    assert log.read() == ["ours"]


def test_an_event_that_is_seen_late_is_read_when_asked_for(log: Log) -> None:
    with log.late("late"):
        log.say("sooner")
        assert log.read() == ["sooner"]
    assert log.read() == []
    assert log.read(from_further_back=True) == ["late"]
    assert log.read(from_further_back=True) == []


def test_with_the_end_of_a_step_comes_whatever_was_late(log: Log) -> None:
    with log.late("late"):
        log.say("sooner")
        assert log.read() == ["sooner"]
    log.end("sooner")
    assert log.read() == ["late", "sooner"]
    assert log.read() == []


def test_what_was_read_long_ago_is_not_looked_through_again(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.say("long ago")
    assert log.read() == ["long ago"]
    monkeypatch.setattr(event_tail, "_LATE_SECONDS", 0.0)
    time.sleep(0.01)
    asked: list[str] = []
    records = log.instance.get_records_for_run

    def counting(run_id: str, cursor: str, **kwargs: Any) -> Any:
        found = records(run_id, cursor, **kwargs)
        asked.extend(str(each.storage_id) for each in found.records)
        return found

    monkeypatch.setattr(log.instance, "get_records_for_run", counting)
    assert log.read(from_further_back=True) == []
    assert asked == []
