"""`bulkhead migrate` against a real PostgreSQL server."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from dagster import DagsterInstance, DagsterRun
from dagster._core.storage.sql import run_alembic_downgrade
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.run_storage import run_storage
from dagster_postgres.utils import pg_alembic_config

from bulkhead.migrate.migration import MigrationError, migrate, wait_for_schema

# Three migrations before the newest of dagster 1.13: one of them makes an index CONCURRENTLY.
OLDER = "1aca709bba64"


class Said(list[str]):
    """What a person was told."""

    def __call__(self, sentence: str) -> None:
        self.append(sentence)


@pytest.fixture
def said() -> Said:
    return Said()


def in_background(work: Callable[[], None]) -> tuple[threading.Thread, list[BaseException]]:
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - shown by the test
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, failures


def downgrade(database: Any, revision: str) -> None:
    engine = sqlalchemy.create_engine(database.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        run_alembic_downgrade(pg_alembic_config(run_storage.__file__), connection, revision)
    engine.dispose()


def until(holds: Callable[[], Any], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.02)


def test_an_empty_database_gets_the_schema_that_dagster_itself_would_make(
    database: Any, said: Said
) -> None:
    migrate(database.home, timeout=10, say=said)
    assert "Created the schema" in said[-1]
    ours, revision = database.tables, database.revision
    marks = database.scalar("SELECT count(*) FROM secondary_indexes")
    database.execute("DROP SCHEMA public CASCADE")
    database.execute("CREATE SCHEMA public")
    DagsterPostgresStorage(database.url, should_autocreate_tables=True)
    assert database.tables == ours
    assert database.revision == revision
    assert database.scalar("SELECT count(*) FROM secondary_indexes") == marks


def test_an_instance_works_on_the_schema(database: Any, said: Said) -> None:
    migrate(database.home, timeout=10, say=said)
    with DagsterInstance.from_config(str(database.home)) as instance:
        run = DagsterRun(job_name="job")
        instance.add_run(run)
        assert instance.get_run_by_id(run.run_id) is not None
        assert instance.all_instigator_state() == []
        assert instance.all_asset_keys() == []


def test_a_second_migration_changes_nothing(database: Any, said: Said) -> None:
    migrate(database.home, timeout=10, say=said)
    before = database.revision
    migrate(database.home, timeout=10, say=said)
    assert "Nothing to do" in said[-1]
    assert database.revision == before


def test_an_older_schema_is_upgraded_with_its_data(database: Any, said: Said) -> None:
    migrate(database.home, timeout=10, say=said)
    head, tables = database.revision, database.tables
    with DagsterInstance.from_config(str(database.home)) as instance:
        run = DagsterRun(job_name="job")
        instance.add_run(run)
    downgrade(database, OLDER)
    assert database.revision == OLDER
    migrate(database.home, timeout=10, say=said)
    assert database.revision == head
    assert database.tables == tables
    assert any(f"from {OLDER} to {head}" in each for each in said)
    with DagsterInstance.from_config(str(database.home)) as instance:
        assert instance.get_run_by_id(run.run_id) is not None


def test_a_newer_schema_is_refused_and_left_as_it_is(database: Any, said: Said) -> None:
    migrate(database.home, timeout=10, say=said)
    database.execute("UPDATE alembic_version SET version_num = 'fromthefuture'")
    with pytest.raises(MigrationError, match=r"fromthefuture.*a newer version has upgraded it"):
        migrate(database.home, timeout=10, say=said)
    with pytest.raises(MigrationError, match="fromthefuture"):
        wait_for_schema(database.home, timeout=10, say=said)
    assert database.revision == "fromthefuture"


def test_two_migrations_of_an_older_schema_at_once_do_not_disturb_each_other(
    database: Any, said: Said
) -> None:
    migrate(database.home, timeout=10, say=said)
    head = database.revision
    downgrade(database, OLDER)
    script = (
        "import pathlib, sys; from bulkhead.migrate.migration import migrate; "
        "migrate(pathlib.Path(sys.argv[1]), timeout=60, say=print)"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(database.home)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for _ in range(3)
    ]
    outputs = [process.communicate(timeout=90)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], outputs
    assert database.revision == head
    assert sum("Upgraded the schema" in output for output in outputs) == 1, outputs


def test_a_migration_waits_for_the_one_at_work_and_says_so(database: Any, said: Said) -> None:
    lock = int.from_bytes(b"bulkhead", "big")
    with database.engine.connect() as other:
        other.execute(sqlalchemy.text(f"SELECT pg_advisory_lock({lock})"))
        work, failures = in_background(lambda: migrate(database.home, timeout=30, say=said))
        until(lambda: any("another migration" in each for each in said))
        assert "alembic_version" not in database.tables
    work.join(30)
    assert failures == []
    assert database.revision


def test_a_creation_that_is_interrupted_leaves_nothing(
    database: Any, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        assert "runs" not in database.tables, "nobody sees half a schema"
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("bulkhead.migrate.schema.stamp_alembic_rev", interrupted)
        with pytest.raises(KeyboardInterrupt):
            migrate(database.home, timeout=10, say=said)
    assert database.tables == set()
    migrate(database.home, timeout=10, say=said)
    assert database.revision


def test_a_schema_whose_parts_are_missing_is_completed(database: Any, said: Said) -> None:
    migrate(database.home, timeout=10, say=said)
    whole = database.tables
    database.execute("DROP TABLE alembic_version, jobs, event_logs CASCADE")
    migrate(database.home, timeout=10, say=said)
    assert database.tables == whole


def test_the_database_is_waited_for_and_named(
    database: Any, said: Said, request: pytest.FixtureRequest
) -> None:
    database.server.stop()
    request.addfinalizer(lambda: None if started else database.server.start())
    started = False
    work, failures = in_background(lambda: migrate(database.home, timeout=60, say=said))
    until(lambda: said)
    assert f"at 127.0.0.1:{database.server.port}" in said[0]
    assert "refused" in said[0]
    database.server.start()
    started = True
    work.join(60)
    assert failures == []
    assert database.revision


def test_a_database_that_never_comes_is_given_up_with_what_to_do(
    tmp_path: Path, said: Said, database: Any
) -> None:
    nowhere = database.url.replace(str(database.server.port), "1")
    file = tmp_path / "dagster.yaml"
    file.write_text(file.read_text().replace(database.url, nowhere))
    with pytest.raises(
        MigrationError, match=r"Timed out after 0 s, waiting for the database .*bulkhead-database"
    ):
        migrate(tmp_path, timeout=0.2, say=said)


def test_waiting_ends_when_the_schema_is_there(database: Any, said: Said) -> None:
    work, failures = in_background(lambda: wait_for_schema(database.home, timeout=60, say=said))
    until(lambda: said)
    assert "has no schema yet" in said[0]
    assert work.is_alive()
    migrate(database.home, timeout=10, say=said)
    work.join(20)
    assert not work.is_alive()
    assert failures == []


def test_waiting_goes_on_while_the_schema_is_older(database: Any, said: Said) -> None:
    migrate(database.home, timeout=10, say=said)
    downgrade(database, OLDER)
    with pytest.raises(
        MigrationError, match=rf"the database has revision {OLDER}.*`bulkhead migrate`"
    ):
        wait_for_schema(database.home, timeout=0.2, say=said)


def test_a_storage_that_creates_its_own_tables_is_refused(database: Any, said: Said) -> None:
    database.configure(autocreate=True)
    with pytest.raises(MigrationError, match="should_autocreate_tables"):
        migrate(database.home, timeout=10, say=said)
    assert database.tables == set(), "it was refused before it did so"


def test_another_storage_than_postgresql_is_refused(tmp_path: Path, said: Said) -> None:
    (tmp_path / "dagster.yaml").write_text(f"storage: {{sqlite: {{base_dir: {tmp_path}/db}}}}\n")
    with pytest.raises(MigrationError, match=r"SqliteStorage.*PostgreSQL"):
        migrate(tmp_path, timeout=1, say=said)
    assert not (tmp_path / "db").exists()


def test_a_missing_dagster_yaml_is_named(tmp_path: Path, said: Said) -> None:
    with pytest.raises(MigrationError, match=r"dagster.yaml is missing.*DAGSTER_HOME"):
        migrate(tmp_path, timeout=1, say=said)


def test_a_missing_password_variable_is_named(
    tmp_path: Path, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_PG_PASSWORD", raising=False)
    (tmp_path / "dagster.yaml").write_text(
        "storage: {postgres: {should_autocreate_tables: false, postgres_db: "
        "{hostname: h, db_name: d, username: u, password: {env: DAGSTER_PG_PASSWORD}}}}\n"
    )
    with pytest.raises(MigrationError, match="DAGSTER_PG_PASSWORD"):
        migrate(tmp_path, timeout=1, say=said)
