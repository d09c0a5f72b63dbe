"""Brings the database's schema to the version of this image, before anything else starts.

The platform turns off `should_autocreate_tables`, because services that start together on an empty
database all try to create the tables. This module creates them instead, once, under a lock.
"""

from pathlib import Path

from sqlalchemy.exc import OperationalError

from bulkhead.migrate import database, schema
from bulkhead.migrate.deadline import Deadline, MigrationError, Say

__all__ = ["MigrationError", "migrate", "wait_for_schema"]


def migrate(dagster_home: Path, *, timeout: float, say: Say) -> None:
    """Create the schema if there is none, else upgrade it to this image's version.

    Safe to repeat, and safe while another migration runs: one works, the others wait for it.

    Args:
        dagster_home: The directory with `dagster.yaml`.
        timeout: Seconds to wait for the database, and then for another migration.
        say: Gets one sentence for each thing that is done or waited for.

    Raises:
        MigrationError: The timeout is over, the storage is not PostgreSQL, or the schema is newer
            than this image.
    """
    storage = database.open_storage(dagster_home)
    engine = database.engine(storage)
    database.wait_until_reachable(engine, Deadline(timeout, say))
    with (
        engine.connect() as connection,
        database.migration_lock(connection, Deadline(timeout, say)),
    ):
        found = schema.read(connection)
        if found.revision is None:
            schema.create(storage, engine, say)
        elif found.is_current:
            say(f"The schema has revision {found.head}, this image's version. Nothing to do.")
        else:
            schema.upgrade(storage, engine, found, say)


def wait_for_schema(dagster_home: Path, *, timeout: float, say: Say) -> None:
    """Return as soon as the schema has this image's version.

    Args:
        dagster_home: The directory with `dagster.yaml`.
        timeout: Seconds to wait, for the database and the schema together.
        say: Gets one sentence for each thing that is waited for.

    Raises:
        MigrationError: The timeout is over, the storage is not PostgreSQL, or the schema is newer
            than this image.
    """
    engine = database.engine(database.open_storage(dagster_home))
    deadline = Deadline(timeout, say)
    while True:
        database.wait_until_reachable(engine, deadline)
        try:
            with engine.connect() as connection:
                found = schema.read(connection)
        except OperationalError:
            continue
        if found.is_current:
            say(f"The schema has revision {found.head}, this image's version.")
            return
        has = f"has revision {found.revision}" if found.revision else "has no schema yet"
        deadline.wait(
            f"the migration: the database {has}, this image needs {found.head}",
            "Check the log of the platform's migration Job (`bulkhead migrate`).",
        )
