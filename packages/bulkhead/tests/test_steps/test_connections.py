"""Connections that are kept, to a real PostgreSQL server that restarts and refuses.

How many there were is read from the server's own log.
"""

import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy
from dagster import AssetKey, AssetMaterialization, DagsterEvent, DagsterEventType, DagsterInstance
from dagster._core.events import StepMaterializationData
from dagster._core.test_utils import create_run_for_test
from dagster_postgres import PostgresRunStorage, PostgresScheduleStorage
from packages.bulkhead.tests.postgresql_server import Database
from packages.bulkhead.tests.waiting import wait_until
from sqlalchemy.exc import OperationalError

from bulkhead.steps import connections
from bulkhead.steps.connections import keep_connections

DEADLINE_SECONDS = 10


class Client:
    """An instance of Dagster, and the connections that it has had."""

    def __init__(self, server: Any, name: str, home: Path) -> None:
        self.server = server
        self._name = name
        self._sessions = f"FROM pg_stat_activity WHERE application_name = '{name}'"
        self._database = Database(server, "postgres", home)
        self.url = f"{self._database.url}?application_name={name}"
        self._database.url = self.url
        self._database.configure()
        self.instance = DagsterInstance.from_config(str(home))

    @property
    def connections_now(self) -> int:
        return self._database.scalar(f"SELECT count(*) {self._sessions}")

    def end_connections(self) -> None:
        self._database.execute(f"SELECT pg_terminate_backend(pid) {self._sessions}")

    @property
    def connections_made(self) -> int:
        return len(self._opened())

    @property
    def most_connections(self) -> int:
        """How many there were at the same time."""
        opened, open_now, most = self._opened(), set[str](), 0
        for process, what in self._log("connection authorized|disconnection"):
            if what == "disconnection":
                open_now.discard(process)
            elif process in opened:
                open_now.add(process)
            most = max(most, len(open_now))
        return most

    def _opened(self) -> set[str]:
        said = f"connection authorized: .*application_name={self._name}$"
        return {process for process, _ in self._log(said)}

    def _log(self, said: str) -> list[tuple[str, str]]:
        text = (self.server._data / "log").read_text()
        return re.findall(rf"^(\d+) LOG:  ({said})", text, re.MULTILINE)


@pytest.fixture(scope="module")
def server(postgresql: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server that has Dagster's tables and writes down who connects."""
    home = tmp_path_factory.mktemp("home")
    database = Database(postgresql, "postgres", home)
    database.configure(autocreate=True)
    with DagsterInstance.from_config(str(home)):
        pass
    engine = sqlalchemy.create_engine(database.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for setting in ("log_connections = on", "log_disconnections = on", "log_line_prefix='%p '"):
            connection.execute(sqlalchemy.text(f"ALTER SYSTEM SET {setting}"))
        connection.execute(sqlalchemy.text("SELECT pg_reload_conf()"))
    engine.dispose()
    wait_until(lambda: database.scalar("SHOW log_line_prefix") == "%p ")
    return postgresql


@pytest.fixture
def step(server: Any, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Client]:
    client = Client(server, f"step-{abs(hash(request.node.name))}", tmp_path)
    with client.instance:
        yield client
        for storage in storages(client.instance):
            storage._engine.dispose()


def storages(instance: DagsterInstance) -> list[Any]:
    return [instance.run_storage, instance.event_log_storage, instance.schedule_storage]


def materialization(asset: str) -> DagsterEvent:
    return DagsterEvent(
        DagsterEventType.ASSET_MATERIALIZATION.value,
        job_name="nightly",
        step_key="train",
        event_specific_data=StepMaterializationData(AssetMaterialization(AssetKey(asset))),
    )


def work_of_a_step(instance: DagsterInstance) -> None:
    """Ten operations, of the kinds of which a step has some twenty."""
    run = create_run_for_test(instance)
    assert instance.get_run_by_id(run.run_id)
    instance.report_dagster_event(materialization("model"), run.run_id)
    instance.report_engine_event("It used 87Mi of memory", run, step_key="train")
    assert instance.get_run_step_stats(run.run_id, step_keys=["train"])
    assert instance.get_latest_materialization_event(AssetKey("model"))
    assert instance.get_asset_records([AssetKey("model")])
    instance.add_run_tags(run.run_id, {"quarter": "3"})
    assert len(instance.all_logs(run.run_id)) == 2
    instance.schedule_storage.all_instigator_state()


# --- As few as possible ---------------------------------------------------------------------------


def test_without_it_every_operation_opens_a_connection(step: Client) -> None:
    work_of_a_step(step.instance)
    assert step.connections_made >= 10
    assert step.connections_now == 0


def test_fifty_operations_open_no_more_than_two_connections_and_one_stays(step: Client) -> None:
    keep_connections(step.instance, 2)
    for _ in range(5):
        work_of_a_step(step.instance)
    assert step.most_connections <= 2
    assert step.connections_now == 1


def test_one_thread_that_asks_one_thing_after_the_other_needs_one_connection(step: Client) -> None:
    keep_connections(step.instance, 2)
    run = create_run_for_test(step.instance)
    for _ in range(20):
        step.instance.get_run_by_id(run.run_id)
        step.instance.all_logs(run.run_id)
        step.instance.schedule_storage.all_instigator_state()
    assert step.connections_made == 1


def test_nothing_is_opened_before_it_is_needed(step: Client) -> None:
    keep_connections(step.instance, 2)
    assert step.connections_made == 0


def test_what_needs_a_second_connection_while_it_holds_one_gets_it(step: Client) -> None:
    keep_connections(step.instance, 2)
    run = create_run_for_test(step.instance)
    began = time.monotonic()
    # Dagster does so for the first materialization that a process stores.
    step.instance.report_dagster_event(materialization("model"), run.run_id)
    with step.instance.event_log_storage.index_connection():
        assert step.instance.get_run_step_stats(run.run_id, step_keys=["train"])
    # Who waits for a connection that he holds himself gives up after 30 s.
    assert time.monotonic() - began < DEADLINE_SECONDS
    assert step.most_connections == 2


def test_many_threads_share_the_connections_and_all_of_them_get_on(step: Client) -> None:
    keep_connections(step.instance, 3)
    work_of_a_step(step.instance)
    with ThreadPoolExecutor(8) as threads:
        done = [threads.submit(work_of_a_step, step.instance) for _ in range(16)]
        assert [each.result(DEADLINE_SECONDS) for each in done] == 16 * [None]
    assert step.most_connections <= 3


def test_what_is_written_is_there_for_others_at_once(step: Client, tmp_path: Path) -> None:
    keep_connections(step.instance, 2)
    run = create_run_for_test(step.instance)
    step.instance.report_engine_event("begun", run, step_key="train")
    with DagsterInstance.from_config(str(tmp_path)) as other:
        assert len(other.all_logs(run.run_id)) == 1
        other.report_engine_event("seen", run, step_key="train")
    assert len(step.instance.all_logs(run.run_id)) == 2


# --- A database that comes and goes ---------------------------------------------------------------


def test_a_connection_that_a_restart_of_the_server_broke_is_replaced(step: Client) -> None:
    keep_connections(step.instance, 2)
    work_of_a_step(step.instance)
    step.server.stop()
    step.server.start()
    work_of_a_step(step.instance)
    assert step.connections_now == 1


def test_a_connection_that_the_server_ended_is_replaced(step: Client) -> None:
    keep_connections(step.instance, 2)
    work_of_a_step(step.instance)
    step.end_connections()
    work_of_a_step(step.instance)


class Waits:
    """Time in which one who waits for the database is seen to do so."""

    def __init__(self) -> None:
        self.monotonic = time.monotonic
        self.begun = threading.Event()

    def sleep(self, seconds: float) -> None:
        self.begun.set()
        time.sleep(min(seconds, 0.01))


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    waits = Waits()
    monkeypatch.setattr(connections, "time", waits)
    return waits


@pytest.mark.parametrize("has_connection", [True, False])
def test_a_database_that_is_away_is_waited_for(
    has_connection: bool, step: Client, waits: Waits
) -> None:
    keep_connections(step.instance, 2)
    if has_connection:
        work_of_a_step(step.instance)
    step.server.stop()
    with ThreadPoolExecutor(1) as threads:
        done = threads.submit(work_of_a_step, step.instance)
        try:
            assert waits.begun.wait(DEADLINE_SECONDS)
        finally:
            step.server.start()
        done.result(DEADLINE_SECONDS)


def test_a_database_that_does_not_come_back_is_given_up(
    step: Client, waits: Waits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_DATABASE_TIMEOUT_SECONDS", 0.1)
    keep_connections(step.instance, 2)
    step.server.stop()
    try:
        with pytest.raises(OperationalError, match="refused"):
            step.instance.run_storage._engine.connect()
    finally:
        step.server.start()
    assert waits.begun.is_set()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("postgresql://test@127.0.0.1:{port}/nowhere", 'database "nowhere" does not exist'),
        ("postgresql://nobody@127.0.0.1:{port}/postgres", 'role "nobody" does not exist'),
    ],
)
def test_what_waiting_does_not_mend_is_not_waited_for(
    wrong: str, said: str, step: Client, waits: Waits
) -> None:
    for storage in storages(step.instance):
        storage.postgres_url = wrong.format(port=step.server.port)
    keep_connections(step.instance, 2)
    with pytest.raises(OperationalError, match=said):
        step.instance.run_storage._engine.connect()
    assert not waits.begun.is_set()


# --- Whose connections ----------------------------------------------------------------------------


def test_run_storage_event_log_and_schedules_share_their_connections(step: Client) -> None:
    keep_connections(step.instance, 2)
    engines = {id(storage._engine) for storage in storages(step.instance)}
    assert len(engines) == 1


def test_storages_on_different_databases_share_nothing() -> None:
    one, other = "postgresql://test@127.0.0.1:1/one", "postgresql://test@127.0.0.1:1/other"
    instance: Any = SimpleNamespace(
        run_storage=PostgresRunStorage(one, should_autocreate_tables=False),
        event_log_storage=PostgresRunStorage(one, should_autocreate_tables=False),
        schedule_storage=PostgresScheduleStorage(other, should_autocreate_tables=False),
    )
    keep_connections(instance, 2)
    assert instance.run_storage._engine is instance.event_log_storage._engine
    assert instance.run_storage._engine is not instance.schedule_storage._engine
    assert instance.schedule_storage._engine.url.database == "other"


def test_storages_with_short_lived_passwords_stay_as_they_are(step: Client) -> None:
    with_token = step.instance.run_storage
    with_token._token_provider = object()
    before = with_token._engine
    keep_connections(step.instance, 2)
    assert with_token._engine is before
    assert step.instance.event_log_storage._engine is not before


def test_storages_that_are_no_postgresql_stay_as_they_are(tmp_path: Path) -> None:
    with DagsterInstance.local_temp(str(tmp_path)) as instance:
        keep_connections(instance, 2)
        run = create_run_for_test(instance)
        assert instance.get_run_by_id(run.run_id)
