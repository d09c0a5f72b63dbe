"""The schema of the database: its revision, how it is created and how it is upgraded.

Dagster's run, event log and schedule storages share one set of migrations and one table
`alembic_version` (`dagster:_core/storage/alembic`), so the schema has one revision.
"""

from dataclasses import dataclass
from typing import Any, Final

from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from dagster import __version__ as dagster_version
from dagster_postgres import DagsterPostgresStorage
from sqlalchemy.engine import Connection, Engine

from bulkhead.dagster_compat import (
    RunStorageSqlMetadata,
    ScheduleStorageSqlMetadata,
    SqlEventLogStorageMetadata,
    pg_alembic_config,
    run_alembic_upgrade,
    run_storage,
    stamp_alembic_rev,
)
from bulkhead.migrate.deadline import MigrationError, Say

_METADATA: Final = (
    RunStorageSqlMetadata,
    SqlEventLogStorageMetadata,
    ScheduleStorageSqlMetadata,
)


@dataclass(frozen=True, slots=True)
class Schema:
    """The revision of a schema beside that of this image; None is a schema without a revision."""

    revision: str | None
    head: str

    @property
    def is_current(self) -> bool:
        """Whether the schema has this image's version."""
        return self.revision == self.head


def read(connection: Connection) -> Schema:
    """Read the revision of the schema.

    Raises:
        MigrationError: This image does not have the revision among its migrations: the schema is
            newer than the image.
    """
    script = ScriptDirectory.from_config(_alembic())
    revision = MigrationContext.configure(connection).get_current_revision()
    head = script.get_current_head()
    if head is None:
        raise MigrationError(f"dagster {dagster_version} has no migrations; reinstall it.")
    if revision is not None and revision not in {each.revision for each in script.walk_revisions()}:
        raise MigrationError(
            f"The database's schema has revision {revision}, which dagster {dagster_version} of "
            "this image does not know: a newer version has upgraded it. Deploy the newer version "
            "of the platform, or restore the backup from before the upgrade."
        )
    return Schema(revision=revision, head=head)


def create(storage: DagsterPostgresStorage, engine: Engine, say: Say) -> None:
    """Create every table, and the revision with them, in one transaction.

    So a creation that is interrupted leaves nothing. Tables that an older Dagster left without a
    revision stay as they are; what is missing is added.
    """
    with engine.connect().execution_options(isolation_level="READ COMMITTED") as connection:
        with connection.begin():
            for metadata in _METADATA:
                metadata.create_all(connection)
            stamp_alembic_rev(_alembic(), connection)
        schema = read(connection)
    # A new schema has no data to migrate: these calls only record that, as Dagster's own creation
    # does.
    runs, events, schedules = _storages(storage)
    runs.migrate()
    runs.optimize()
    events.reindex_events()
    events.reindex_assets()
    schedules.migrate()
    schedules.optimize()
    say(f"Created the schema with revision {schema.head} (dagster {dagster_version}).")


def upgrade(storage: DagsterPostgresStorage, engine: Engine, schema: Schema, say: Say) -> None:
    """Run the migrations of tables, then those of data that Dagster calls required."""
    say(
        f"Upgrading the schema from {schema.revision} to {schema.head} (dagster {dagster_version})."
    )
    with engine.connect() as connection:
        # AUTOCOMMIT, as Dagster does it: some migrations create indexes CONCURRENTLY.
        run_alembic_upgrade(_alembic(), connection)
    runs, events, schedules = _storages(storage)
    runs.migrate(say)
    events.reindex_assets(say)
    schedules.migrate(say)
    say(f"Upgraded the schema to {schema.head}.")


def _alembic() -> Config:
    # Dagster finds its alembic.ini relative to the file of one of the three storages.
    return pg_alembic_config(run_storage.__file__)


def _storages(storage: DagsterPostgresStorage) -> tuple[Any, Any, Any]:
    """Return the three storages; Dagster declares them by base classes without migrations."""
    return storage.run_storage, storage.event_log_storage, storage.schedule_storage
