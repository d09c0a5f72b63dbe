"""The shop's database and the warehouse: DuckDB files on a laptop, PostgreSQL on a cluster.

Statements are SQL that both understand, with values as `$name`. Rows move in bulk as Arrow tables.
"""
# ruff: noqa: S608 - the names in a statement come from tables.py, values are parameters

import contextlib
import fcntl
import io
import re
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingestion.tables import Table

Value = str | int | float | date | list[str] | None
"""What a statement may be given; a moment is a date, too."""

if TYPE_CHECKING:
    import duckdb
    import psycopg2.extensions
    import pyarrow as pa
    from dlt.common.destination import Destination

LOCK_SECONDS = 600.0
"""How long a step waits for a DuckDB file that another process writes to."""

ROWS_PER_BATCH = 100_000
"""Rows that are sent to PostgreSQL at a time; as text, some 10 MB."""

SYNONYMS = {
    "double": "double precision",
    "varchar": "text",
    "character varying": "text",
    "timestamp without time zone": "timestamp",
}
"""How the databases' catalogues call the types of tables.py."""


class DatabaseUnreachableError(ConnectionError):
    """A database does not answer, or not to this user; `str()` says which, and what to look at."""


class DatabaseBusyError(TimeoutError):
    """Another process holds a DuckDB file for too long; `str()` says which."""


class Connection(ABC):
    """One transaction on a database."""

    @abstractmethod
    def rows(self, statement: str, **values: Value) -> list[tuple[Any, ...]]:
        """Return what a query returns, for a few rows."""

    @abstractmethod
    def read(self, table: Table, where: str = "true", **values: Value) -> "pa.Table":
        """Return the rows of a table for which the condition holds, in bulk."""

    @abstractmethod
    def execute(self, statement: str, **values: Value) -> None:
        """Run a statement that returns nothing."""

    @abstractmethod
    def insert(self, table: Table, rows: "pa.Table") -> None:
        """Append rows in bulk."""

    def make_schema(self, name: str) -> None:
        """Make a schema, unless it is there."""
        self.execute(f"CREATE SCHEMA IF NOT EXISTS {name}")

    def replace(self, table: Table, rows: "pa.Table", where: str = "true", **values: Value) -> None:
        """Put rows in place of those for which the condition holds; make the table if need be.

        Raises:
            ValueError: a column that is required has a null.
        """
        rows = rows.select(list(table.columns)).cast(table.arrow_schema())
        schema, _, _ = table.name.rpartition(".")
        if schema:
            self.make_schema(schema)
        columns = ", ".join(
            f"{name} {kind}{' NOT NULL' if name in table.required else ''}"
            for name, kind in table.columns.items()
        )
        self.execute(f"CREATE TABLE IF NOT EXISTS {table.name} ({columns})")
        self.execute(f"DELETE FROM {table.name} WHERE {where}", **values)
        self.insert(table, rows)

    def columns(self, table: Table) -> dict[str, str]:
        """Return the columns that a table has and their types; none where there is no table."""
        schema, _, name = table.name.rpartition(".")
        found = self.rows(
            "SELECT column_name, lower(data_type) FROM information_schema.columns "
            "WHERE table_name = $name AND table_schema = coalesce(nullif($schema, ''), "
            "current_schema()) ORDER BY ordinal_position",
            name=name,
            schema=schema,
        )
        return {column: SYNONYMS.get(kind, kind) for column, kind in found}

    def count(self, table: Table) -> int:
        """Return how many rows a table has; 0 where there is no table."""
        if not self.columns(table):
            return 0
        ((count,),) = self.rows(f"SELECT count(*) FROM {table.name}")
        return count


class Database(ABC):
    """A database that may be connected to, one transaction at a time."""

    @abstractmethod
    def exclusive(self) -> contextlib.AbstractContextManager[None]:
        """Keep other processes out meanwhile, where the database does not see to that itself."""

    @abstractmethod
    def connect(self) -> contextlib.AbstractContextManager[Connection]:
        """Open a transaction, which is rolled back where the block raises.

        Raises:
            DatabaseUnreachableError: it does not answer, or not to this user.
            DatabaseBusyError: another process holds it for longer than `LOCK_SECONDS`.
        """

    @abstractmethod
    def dlt_destination(self) -> "Destination[Any, Any]":
        """Return what dlt calls this database."""

    @property
    @abstractmethod
    def dlt_file_format(self) -> str:
        """The format in which dlt loads into this database in bulk."""


@dataclass(frozen=True)
class DuckDB(Database):
    """A DuckDB file; a lock beside it lets one process in at a time."""

    path: Path
    lock_seconds: float = LOCK_SECONDS

    @property
    def dlt_file_format(self) -> str:
        """The format in which dlt loads into this database in bulk."""
        return "parquet"

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the lock of the file."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = self.path.with_name(f"{self.path.name}.lock")
        deadline = time.monotonic() + self.lock_seconds
        with lock.open("w") as handle:
            while not _locked(handle.fileno()):
                if time.monotonic() > deadline:
                    raise DatabaseBusyError(
                        f"{self.path} has been in use for {self.lock_seconds:g} s by another "
                        f"process, which holds {lock.name}. See whether a step hangs, then run "
                        "again."
                    )
                time.sleep(0.05)
            yield

    @contextlib.contextmanager
    def connect(self) -> Iterator["DuckDBConnection"]:
        """Open a transaction."""
        import duckdb

        with self.exclusive(), duckdb.connect(self.path) as connection:
            connection.begin()
            yield DuckDBConnection(connection)
            # Without it, closing rolls back.
            connection.commit()

    def dlt_destination(self) -> "Destination[Any, Any]":
        """Return what dlt calls this database."""
        from dlt.destinations import duckdb

        return duckdb(str(self.path))


@dataclass(frozen=True)
class DuckDBConnection(Connection):
    """One transaction on a DuckDB file."""

    connection: "duckdb.DuckDBPyConnection"

    def rows(self, statement: str, **values: Value) -> list[tuple[Any, ...]]:
        """Return what a query returns."""
        return self.connection.execute(statement, values).fetchall()

    def read(self, table: Table, where: str = "true", **values: Value) -> "pa.Table":
        """Return the rows of a table for which the condition holds."""
        query = f"SELECT {', '.join(table.columns)} FROM {table.name} WHERE {where}"
        found = self.connection.execute(query, values).fetch_arrow_table()
        return found.cast(table.arrow_schema())

    def execute(self, statement: str, **values: Value) -> None:
        """Run a statement."""
        self.connection.execute(statement, values)

    def insert(self, table: Table, rows: "pa.Table") -> None:
        """Append rows with SQL over the Arrow table."""
        self.connection.register("incoming", rows)
        self.connection.execute(f"INSERT INTO {table.name} BY NAME SELECT * FROM incoming")
        self.connection.unregister("incoming")


@dataclass(frozen=True)
class PostgreSQL(Database):
    """A PostgreSQL database.

    Attributes:
        settings: what the environment variables that lead to it begin with, for messages.
    """

    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)
    settings: str

    @property
    def dlt_file_format(self) -> str:
        """The format in which dlt loads into this database in bulk, with COPY."""
        return "csv"

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Do nothing: PostgreSQL keeps its clients apart itself."""
        yield

    @contextlib.contextmanager
    def connect(self) -> Iterator["PostgreSQLConnection"]:
        """Open a transaction."""
        import psycopg2

        try:
            connection = psycopg2.connect(
                host=self.host,
                port=self.port,
                dbname=self.database,
                user=self.user,
                password=self.password,
                connect_timeout=10,
            )
        except psycopg2.OperationalError as error:
            raise DatabaseUnreachableError(
                f"PostgreSQL at {self.host}:{self.port} did not let user {self.user!r} into "
                f"database {self.database!r}: {str(error).strip()}. The environment variables "
                f"{self.settings}_HOST, _PORT, _DATABASE, _USER and _PASSWORD lead there."
            ) from error
        try:
            yield PostgreSQLConnection(connection)
            connection.commit()
        finally:
            # Without the commit, closing rolls back.
            connection.close()

    def dlt_destination(self) -> "Destination[Any, Any]":
        """Return what dlt calls this database."""
        from dlt.destinations import postgres
        from dlt.destinations.impl.postgres.configuration import PostgresCredentials

        return postgres(
            PostgresCredentials(
                {
                    "host": self.host,
                    "port": self.port,
                    "database": self.database,
                    "username": self.user,
                    "password": self.password,
                }
            )
        )


@dataclass(frozen=True)
class PostgreSQLConnection(Connection):
    """One transaction on a PostgreSQL database."""

    connection: "psycopg2.extensions.connection"

    def rows(self, statement: str, **values: Value) -> list[tuple[Any, ...]]:
        """Return what a query returns."""
        with self.connection.cursor() as cursor:
            cursor.execute(_pyformat(statement), values)
            return cursor.fetchall()

    def read(self, table: Table, where: str = "true", **values: Value) -> "pa.Table":
        """Return the rows of a table for which the condition holds, with COPY."""
        from pyarrow import csv

        query = f"SELECT {', '.join(table.columns)} FROM {table.name} WHERE {where}"
        schema = table.arrow_schema()
        # On disk: as text, 1.5 million order lines take more memory than as Arrow.
        with self.connection.cursor() as cursor, tempfile.TemporaryFile() as file:
            bound = cursor.mogrify(_pyformat(query), values).decode()
            cursor.copy_expert(f"COPY ({bound}) TO STDOUT (FORMAT csv, HEADER)", file)
            file.seek(0)
            read = csv.read_csv(
                file,
                convert_options=csv.ConvertOptions(
                    column_types=schema,
                    null_values=[""],
                    strings_can_be_null=True,
                    # COPY writes null as nothing, and an empty text as "".
                    quoted_strings_can_be_null=False,
                ),
            )
        return read.cast(schema)

    def execute(self, statement: str, **values: Value) -> None:
        """Run a statement."""
        with self.connection.cursor() as cursor:
            cursor.execute(_pyformat(statement), values)

    def make_schema(self, name: str) -> None:
        """Make a schema, unless it is there."""
        if not self.rows("SELECT FROM pg_namespace WHERE nspname = $name", name=name):
            # Of two that make it at the same time, one would fail in spite of IF NOT EXISTS.
            self.rows("SELECT pg_advisory_xact_lock(hashtext($name))", name=name)
            super().make_schema(name)

    def insert(self, table: Table, rows: "pa.Table") -> None:
        """Append rows with COPY."""
        from pyarrow import csv

        copy = f"COPY {table.name} ({', '.join(rows.column_names)}) FROM STDIN (FORMAT csv)"
        with self.connection.cursor() as cursor:
            for batch in rows.to_batches(max_chunksize=ROWS_PER_BATCH):
                text = io.BytesIO()
                csv.write_csv(batch, text, csv.WriteOptions(include_header=False))
                text.seek(0)
                cursor.copy_expert(copy, text)


def _locked(descriptor: int) -> bool:
    """Try to take a lock; it goes when the file is closed."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _pyformat(statement: str) -> str:
    """Write `$name` as psycopg2 reads it."""
    return re.sub(r"\$([a-z_]+)", r"%(\1)s", statement.replace("%", "%%"))
