"""The database that `dagster.yaml` names: its storage, its connections, its lock."""

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import sqlalchemy
from dagster import DagsterError
from dagster_postgres import DagsterPostgresStorage
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from bulkhead import names
from bulkhead.dagster_compat import ConfigurableClassData, InstanceRef
from bulkhead.migrate.deadline import Deadline, MigrationError

# Without it an attempt takes two minutes and more where a NetworkPolicy drops the packets: the
# kernel decides then. libpq reads the variable where the URL sets no timeout.
_CONNECT_TIMEOUT_ENV: Final = "PGCONNECT_TIMEOUT"
_CONNECT_TIMEOUT_SECONDS: Final = "5"

# Every version of Bulkhead must use the same number; this one is "bulkhead" in ASCII.
_LOCK: Final = int.from_bytes(b"bulkhead", "big")


def open_storage(dagster_home: Path) -> DagsterPostgresStorage:
    """Read the storage of `dagster.yaml`; nothing is connected.

    Raises:
        MigrationError: `dagster.yaml` is missing or invalid, or names another storage.
    """
    file = dagster_home / names.INSTANCE_CONFIG_KEY
    if not file.is_file():
        raise MigrationError(
            f"{file} is missing. Set {names.DAGSTER_HOME_ENV} to the directory of dagster.yaml "
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
    """Reject a storage before it is made: making one may create files or tables."""
    if data.class_name != DagsterPostgresStorage.__name__:
        raise MigrationError(
            f"{file} names {data.class_name}, but a platform needs PostgreSQL. "
            "Configure `storage: postgres:`."
        )
    if data.config_dict.get("should_autocreate_tables", True):
        raise MigrationError(
            f"In {file} storage.postgres.should_autocreate_tables is true, so services that start "
            "together would all create the tables. Set it to false."
        )


def engine(storage: DagsterPostgresStorage) -> Engine:
    """Return an engine for the database; nothing is connected yet."""
    os.environ.setdefault(_CONNECT_TIMEOUT_ENV, _CONNECT_TIMEOUT_SECONDS)
    return sqlalchemy.create_engine(
        storage.postgres_url, isolation_level="AUTOCOMMIT", poolclass=NullPool
    )


def wait_until_reachable(engine: Engine, deadline: Deadline) -> None:
    """Return as soon as the database accepts a connection.

    Raises:
        MigrationError: The deadline is over.
    """
    url = engine.url
    where = f"the database {url.database} at {url.host}:{url.port or names.DATABASE_PORT}"
    advice = (
        "Check that the database runs, that its address in dagster.yaml and the Secret "
        f"{names.DATABASE_SECRET} are right, and that no NetworkPolicy blocks the connection."
    )
    while (reason := _unreachable(engine)) is not None:
        deadline.wait(f"{where}: {reason}", advice)


def _unreachable(engine: Engine) -> str | None:
    """Return why the database cannot be reached; None where it can."""
    try:
        with engine.connect():
            return None
    except OperationalError as error:
        return " ".join(str(error.orig).split())


@contextmanager
def migration_lock(connection: Connection, deadline: Deadline) -> Generator[None]:
    """Hold the database's lock for migrations; it ends with the connection at the latest.

    The lock is polled. A statement that waits for it inside the database would hold a snapshot, and
    the migration that has the lock would wait for this snapshot in CREATE INDEX CONCURRENTLY.

    Raises:
        MigrationError: The deadline is over.
    """
    key = {"key": _LOCK}
    while not connection.scalar(sqlalchemy.text("SELECT pg_try_advisory_lock(:key)"), key):
        deadline.wait("another migration of this database", "Check the log of that migration.")
    try:
        yield
    finally:
        # A connection that broke has released the lock already.
        with suppress(OperationalError):
            connection.execute(sqlalchemy.text("SELECT pg_advisory_unlock(:key)"), key)
