"""Brings the database's schema to the version of this image, before anything else starts.

Dagster's run, event log and schedule storages share one set of migrations and one table
`alembic_version` (`dagster:_core/storage/alembic`), so the schema has one revision. The platform
turns off `should_autocreate_tables`, because services that start together on an empty database race
to create them; this module does that work instead, once, under a lock.
"""

import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from dagster import DagsterError
from dagster import __version__ as dagster_version
from dagster_postgres import DagsterPostgresStorage
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from bulkhead import names
from bulkhead.dagster_compat import (
    ConfigurableClassData,
    InstanceRef,
    RunStorageSqlMetadata,
    ScheduleStorageSqlMetadata,
    SqlEventLogStorageMetadata,
    pg_alembic_config,
    run_alembic_upgrade,
    run_storage,
    stamp_alembic_rev,
)

Say = Callable[[str], None]

_POLL_SECONDS: Final = 1.0
_REMIND_SECONDS: Final = 15.0

# Without it a database behind a NetworkPolicy that drops packets is waited for by the kernel, two
# minutes and more for each attempt. libpq reads it where the URL says nothing of its own.
_CONNECT_TIMEOUT_ENV: Final = "PGCONNECT_TIMEOUT"
_CONNECT_TIMEOUT_SECONDS: Final = "5"

# Any number will do as long as every version of Bulkhead takes the same: "bulkhead" in ASCII.
_LOCK: Final = int.from_bytes(b"bulkhead", "big")

_METADATA: Final = (
    RunStorageSqlMetadata,
    SqlEventLogStorageMetadata,
    ScheduleStorageSqlMetadata,
)


class MigrationError(Exception):
    """The schema cannot be brought or waited to this image's version; the message says why."""


@dataclass(frozen=True, slots=True)
class Schema:
    """The revision of a schema beside that of this image; None is a schema without a revision."""

    revision: str | None
    head: str
    known: bool
    """Whether this image has the revision among its migrations; if not, the schema is newer."""

    @property
    def is_current(self) -> bool:
        """Whether nothing is to be done."""
        return self.revision == self.head


def migrate(dagster_home: Path, *, timeout: float, say: Say) -> None:
    """Create the schema where there is none, else upgrade it to this image's version.

    Safe to repeat, and safe while another does the same: one works, the others wait for it.

    Args:
        dagster_home: The directory with `dagster.yaml`.
        timeout: Seconds to wait for the database, and again for another migration.
        say: Gets one sentence per thing done or waited for.

    Raises:
        MigrationError: No database in time, another storage than PostgreSQL, or a schema that is
            newer than this image.
    """
    storage = _open_storage(dagster_home)
    engine = _engine(storage)
    _wait_for_database(engine, _Deadline(timeout), say)
    with engine.connect() as connection, _lock(connection, _Deadline(timeout), say):
        schema = _read_schema(connection)
        _refuse_newer(schema)
        if schema.revision is None:
            _create(storage, engine, say)
        elif schema.is_current:
            say(f"The schema is at {schema.head}, this image's version. Nothing to do.")
        else:
            _upgrade(storage, schema, say)


def wait_for_schema(dagster_home: Path, *, timeout: float, say: Say) -> None:
    """Return as soon as the schema is at this image's version.

    Args:
        dagster_home: The directory with `dagster.yaml`.
        timeout: Seconds to wait, for the database and for the schema together.
        say: Gets one sentence per thing waited for.

    Raises:
        MigrationError: Not in time, another storage than PostgreSQL, or a schema that is newer
            than this image.
    """
    engine = _engine(_open_storage(dagster_home))
    deadline = _Deadline(timeout)
    while True:
        _wait_for_database(engine, deadline, say)
        try:
            with engine.connect() as connection:
                schema = _read_schema(connection)
        except OperationalError:
            continue
        _refuse_newer(schema)
        if schema.is_current:
            say(f"The schema is at {schema.head}, this image's version.")
            return
        has = f"is at {schema.revision}" if schema.revision else "has no schema yet"
        deadline.wait(
            f"the migration: the database {has}, this image needs {schema.head}",
            say,
            "Look at the log of the platform's migration Job (`bulkhead migrate`).",
        )


class _Deadline:
    """Counts down, and says now and then what is being waited for."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._started = time.monotonic()
        self._reminded: tuple[str, float] | None = None

    def wait(self, what: str, say: Say, advice: str) -> None:
        """Pause once.

        Raises:
            MigrationError: The time is up.
        """
        now = time.monotonic()
        elapsed = now - self._started
        if elapsed >= self._seconds:
            raise MigrationError(f"Waited {elapsed:.0f} s in vain for {what}. {advice}")
        kind = what.partition(":")[0]
        if self._reminded is None or self._reminded[0] != kind:
            say(f"Waiting (at most {self._seconds - elapsed:.0f} s) for {what}")
            self._reminded = (kind, now)
        elif now - self._reminded[1] >= _REMIND_SECONDS:
            say(f"Waiting since {elapsed:.0f} s for {what}")
            self._reminded = (kind, now)
        time.sleep(min(_POLL_SECONDS, max(0.05, self._seconds - elapsed)))


def _open_storage(dagster_home: Path) -> DagsterPostgresStorage:
    """Read the storage of `dagster.yaml`; nothing is connected."""
    file = dagster_home / names.INSTANCE_CONFIG_KEY
    if not file.is_file():
        raise MigrationError(
            f"{file} is missing. Set {names.DAGSTER_HOME_ENV} to the directory that has it "
            f"(in the platform's pods {names.DAGSTER_HOME})."
        )
    try:
        data = InstanceRef.from_dir(str(dagster_home)).storage_data
        if data is None:
            raise MigrationError(f"{file} names no storage. Configure `storage: postgres:`.")
        _check_storage(file, data)
        return data.rehydrate(as_type=DagsterPostgresStorage)
    except DagsterError as error:
        raise MigrationError(f"{file} cannot be read: {error}") from error


def _check_storage(file: Path, data: ConfigurableClassData) -> None:
    """Refuse a storage before it is built, for building one may create files or tables."""
    if data.class_name != DagsterPostgresStorage.__name__:
        raise MigrationError(
            f"{file} names {data.class_name}; the schema of a platform is kept in PostgreSQL. "
            "Configure `storage: postgres:`."
        )
    if data.config_dict.get("should_autocreate_tables", True):
        raise MigrationError(
            f"{file} leaves storage.postgres.should_autocreate_tables on; set it to false, "
            "else every service races to create the tables."
        )


def _engine(storage: DagsterPostgresStorage) -> Engine:
    os.environ.setdefault(_CONNECT_TIMEOUT_ENV, _CONNECT_TIMEOUT_SECONDS)
    return sqlalchemy.create_engine(
        storage.postgres_url, isolation_level="AUTOCOMMIT", poolclass=NullPool
    )


def _wait_for_database(engine: Engine, deadline: _Deadline, say: Say) -> None:
    url = engine.url
    where = f"the database {url.database} at {url.host}:{url.port or names.DATABASE_PORT}"
    advice = (
        "Check that it runs, that its address in dagster.yaml and the Secret "
        f"{names.DATABASE_SECRET} are right, and that no NetworkPolicy stands between."
    )
    while (reason := _unreachable(engine)) is not None:
        deadline.wait(f"{where}: {reason}", say, advice)


def _unreachable(engine: Engine) -> str | None:
    """Say why the database cannot be reached; None where it can."""
    try:
        with engine.connect():
            return None
    except OperationalError as error:
        return " ".join(str(error.orig).split())


@contextmanager
def _lock(connection: Connection, deadline: _Deadline, say: Say) -> Generator[None]:
    """Hold the database's lock for migrations; it ends with the connection at the latest.

    It is tried again and again, not waited for inside the database: a waiting statement holds a
    snapshot, and CREATE INDEX CONCURRENTLY of the migration that has the lock would wait for it.
    """
    key = {"key": _LOCK}
    while not connection.scalar(sqlalchemy.text("SELECT pg_try_advisory_lock(:key)"), key):
        deadline.wait("another migration of this database", say, "Look at its log.")
    try:
        yield
    finally:
        # A connection that broke has given the lock back already.
        with suppress(OperationalError):
            connection.execute(sqlalchemy.text("SELECT pg_advisory_unlock(:key)"), key)


def _alembic() -> Config:
    # Dagster finds its alembic.ini relative to the file of one of the three storages.
    return pg_alembic_config(run_storage.__file__)


def _read_schema(connection: Connection) -> Schema:
    script = ScriptDirectory.from_config(_alembic())
    revision = MigrationContext.configure(connection).get_current_revision()
    head = script.get_current_head()
    if head is None:
        raise MigrationError(f"dagster {dagster_version} brings no migrations; reinstall it.")
    known = revision is None or revision in {each.revision for each in script.walk_revisions()}
    return Schema(revision=revision, head=head, known=known)


def _refuse_newer(schema: Schema) -> None:
    if not schema.known:
        raise MigrationError(
            f"The database's schema is at revision {schema.revision}, which dagster "
            f"{dagster_version} of this image does not know: a newer version has upgraded it. "
            "Deploy that version of the platform again, or restore the backup made before."
        )


def _create(storage: DagsterPostgresStorage, engine: Engine, say: Say) -> None:
    """Create every table, and the revision with them, in one transaction.

    So an interrupted creation leaves nothing. Tables that an older Dagster left without a
    revision stay as they are; what is missing beside them is added.
    """
    with engine.connect().execution_options(isolation_level="READ COMMITTED") as connection:
        with connection.begin():
            for metadata in _METADATA:
                metadata.create_all(connection)
            stamp_alembic_rev(_alembic(), connection)
        schema = _read_schema(connection)
    # A new schema needs no data moved: these calls only note that, as Dagster's own creation does.
    runs, events, schedules = _storages(storage)
    runs.migrate()
    runs.optimize()
    events.reindex_events()
    events.reindex_assets()
    schedules.migrate()
    schedules.optimize()
    say(f"Created the schema at {schema.head} (dagster {dagster_version}).")


def _upgrade(storage: DagsterPostgresStorage, schema: Schema, say: Say) -> None:
    """Run the migrations of tables, then those of data that Dagster calls required."""
    say(
        f"Upgrading the schema from {schema.revision} to {schema.head} (dagster {dagster_version})."
    )
    with _engine(storage).connect() as connection:
        # AUTOCOMMIT, as Dagster does it: some migrations create indexes CONCURRENTLY.
        run_alembic_upgrade(_alembic(), connection)
    runs, events, schedules = _storages(storage)
    runs.migrate(say)
    events.reindex_assets(say)
    schedules.migrate(say)
    say(f"Upgraded the schema to {schema.head}.")


def _storages(storage: DagsterPostgresStorage) -> tuple[Any, Any, Any]:
    """Return the three storages; Dagster declares them by base classes without migrations."""
    return storage.run_storage, storage.event_log_storage, storage.schedule_storage
