"""The shop's database and the warehouse: DuckDB files on a laptop, PostgreSQL on a cluster.

Statements are SQL for both, with values as `$name`. Rows are moved in bulk as Arrow tables.
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
"""A value of a statement; a datetime is a date too."""

if TYPE_CHECKING:
    import duckdb
    import psycopg2.extensions
    import pyarrow as pa
    from dlt.common.destination import Destination

LOCK_SECONDS = 600.0
"""Timeout for the lock of a DuckDB file."""

ROWS_PER_BATCH = 100_000
"""Rows that are sent to PostgreSQL at a time, about 10 MB of text."""

SYNONYMS = {
    "double": "double precision",
    "varchar": "text",
    "character varying": "text",
    "timestamp without time zone": "timestamp",
}
"""Names of types in the databases' catalogues → names in tables.py."""


class DatabaseUnreachableError(ConnectionError):
    """A database does not respond, or rejects the user; `str()` says which, and what to check."""


class DatabaseBusyError(TimeoutError):
    """Another process holds a DuckDB file for too long; `str()` has its path."""


class Connection(ABC):
    """One transaction on a database."""

    @abstractmethod
    def rows(self, statement: str, **values: Value) -> list[tuple[Any, ...]]:
        """Return the rows of a query; for few rows."""

    @abstractmethod
    def read(self, table: Table, where: str = "true", **values: Value) -> "pa.Table":
        """Return the rows of a table that match a condition, in bulk."""

    @abstractmethod
    def execute(self, statement: str, **values: Value) -> None:
        """Run a statement that returns nothing."""

    @abstractmethod
    def insert(self, table: Table, rows: "pa.Table") -> None:
        """Append rows in bulk."""

    def make_schema(self, name: str) -> None:
        """Create a schema if it does not exist."""
        self.execute(f"CREATE SCHEMA IF NOT EXISTS {name}")

    def replace(self, table: Table, rows: "pa.Table", where: str = "true", **values: Value) -> None:
        """Replace the rows that match a condition; create the table if it does not exist.

        Raises:
            ValueError: a required column has a null.
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
        """Return the columns of a table and their types; empty if it does not exist."""
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
        """Return the number of rows of a table; 0 if it does not exist."""
        if not self.columns(table):
            return 0
        ((count,),) = self.rows(f"SELECT count(*) FROM {table.name}")
        return count


class Database(ABC):
    """A database."""

    @abstractmethod
    def exclusive(self) -> contextlib.AbstractContextManager[None]:
        """Exclude other processes during a `with` block, if the database needs that."""

    @abstractmethod
    def connect(self) -> contextlib.AbstractContextManager[Connection]:
        """Open a transaction, which is rolled back if the block raises.

        Raises:
            DatabaseUnreachableError: it does not respond, or rejects the user.
            DatabaseBusyError: another process holds it for longer than `LOCK_SECONDS`.
        """

    @abstractmethod
    def dlt_destination(self) -> "Destination[Any, Any]":
        """Return the dlt destination of this database."""

    @property
    @abstractmethod
    def dlt_file_format(self) -> str:
        """The format in which dlt loads into this database in bulk."""


@dataclass(frozen=True)
class DuckDB(Database):
    """A DuckDB file, with a lock file that admits one process at a time."""

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
                        f"process, which holds {lock.name}. Wait for the running steps, then "
                        "retry."
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
            # Without this, closing rolls back.
            connection.commit()

    def dlt_destination(self) -> "Destination[Any, Any]":
        """Return the dlt destination of this database."""
        from dlt.destinations import duckdb

        return duckdb(str(self.path))


@dataclass(frozen=True)
class DuckDBConnection(Connection):
    """One transaction on a DuckDB file."""

    connection: "duckdb.DuckDBPyConnection"

    def rows(self, statement: str, **values: Value) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        return self.connection.execute(statement, values).fetchall()

    def read(self, table: Table, where: str = "true", **values: Value) -> "pa.Table":
        """Return the rows of a table that match a condition."""
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
        settings: prefix of its environment variables, for messages.
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
        """Do nothing: PostgreSQL handles concurrent clients."""
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
                f"User {self.user!r} cannot connect to database {self.database!r} of PostgreSQL at "
                f"{self.host}:{self.port}: {str(error).strip()}. Check {self.settings}_HOST, "
                "_PORT, _DATABASE, _USER and _PASSWORD."
            ) from error
        try:
            yield PostgreSQLConnection(connection)
            connection.commit()
        finally:
            # Without the commit, closing rolls back.
            connection.close()

    def dlt_destination(self) -> "Destination[Any, Any]":
        """Return the dlt destination of this database."""
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
        """Return the rows of a query."""
        with self.connection.cursor() as cursor:
            cursor.execute(_pyformat(statement), values)
            return cursor.fetchall()

    def read(self, table: Table, where: str = "true", **values: Value) -> "pa.Table":
        """Return the rows of a table that match a condition, with COPY."""
        from pyarrow import csv

        query = f"SELECT {', '.join(table.columns)} FROM {table.name} WHERE {where}"
        schema = table.arrow_schema()
        # On disk: as text, 1.5 million order lines need more memory than as Arrow.
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
                    # COPY writes null as an empty field, and an empty text as "".
                    quoted_strings_can_be_null=False,
                ),
            )
        return read.cast(schema)

    def execute(self, statement: str, **values: Value) -> None:
        """Run a statement."""
        with self.connection.cursor() as cursor:
            cursor.execute(_pyformat(statement), values)

    def make_schema(self, name: str) -> None:
        """Create a schema if it does not exist."""
        if not self.rows("SELECT FROM pg_namespace WHERE nspname = $name", name=name):
            # Concurrent creation can fail in spite of IF NOT EXISTS.
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
    """Try to take a lock, which is released when the file is closed."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _pyformat(statement: str) -> str:
    """Return a statement with psycopg2's parameters instead of `$name`."""
    return re.sub(r"\$([a-z_]+)", r"%(\1)s", statement.replace("%", "%%"))
