"""The warehouse: a DuckDB file on a laptop, PostgreSQL on the cluster; without Dagster.

Statements are written once, and name their parameters with a colon, as `:as_of`.
"""

import datetime as dt
import fcntl
import re
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import duckdb
import pandas as pd
import psycopg2
from psycopg2.errors import UndefinedTable
from psycopg2.extensions import connection as Connection  # noqa: N812 - a class
from psycopg2.extras import execute_values

from ml.tables import Table

LOCK_TIMEOUT_SECONDS = 600.0
"""Timeout for the lock of the file, which another step holds."""


class WarehouseError(Exception):
    """The warehouse cannot be reached, or a table is missing; `str()` says what to do."""


class Warehouse(Protocol):
    """A store of tables."""

    def select(self, statement: str, **parameters: dt.date) -> pd.DataFrame:
        """Return the rows of a statement.

        Raises:
            WarehouseError: the warehouse cannot be reached, or the table is missing.
        """
        ...

    def replace(self, table: Table, as_of: dt.date, rows: pd.DataFrame) -> None:
        """Replace the rows of a day in one transaction; create the table if it is missing.

        Raises:
            WarehouseError: the warehouse cannot be reached.
        """
        ...

    def exclusive(self) -> AbstractContextManager[None]:
        """Exclude other processes during a `with` block, if the store needs that."""
        ...


@dataclass(frozen=True)
class DuckDB:
    """A file that only one process at a time can open."""

    path: Path
    timeout_seconds: float = LOCK_TIMEOUT_SECONDS

    def select(self, statement: str, **parameters: dt.date) -> pd.DataFrame:
        """Return the rows of a statement; see `Warehouse`."""
        if not self.path.exists():
            raise WarehouseError(
                f"There is no warehouse at {self.path}. Materialize the assets of ingestion and "
                "analytics first, or set GROCER_DATA to the folder that has one."
            )
        with self._open() as connection:
            try:
                return connection.execute(_parameters(statement, r"$\1"), parameters).df()
            except duckdb.CatalogException as error:
                raise WarehouseError(_no_table(str(self.path), statement)) from error

    def replace(self, table: Table, as_of: dt.date, rows: pd.DataFrame) -> None:
        """Replace the rows of a day; see `Warehouse`."""
        with self._open() as connection:
            connection.begin()
            connection.execute(f"create schema if not exists {table.schema}")
            connection.execute(_create(table))
            connection.execute(_delete(table).format("?"), [as_of])
            connection.register("new_rows", rows.assign(as_of=as_of)[table.column_names])
            connection.execute(f"insert into {table.full_name} by name from new_rows")
            connection.commit()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the file's lock, `<file>.lock` beside it, as all code locations do.

        Raises:
            WarehouseError: another process holds it for too long.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = self.path.with_name(f"{self.path.name}.lock")
        with lock.open("a") as file:
            end = time.monotonic() + self.timeout_seconds
            while not _locked(file.fileno()):
                if time.monotonic() > end:
                    raise WarehouseError(
                        f"{self.path} has been in use for {self.timeout_seconds:g} s: another "
                        f"process holds {lock}. Wait for the running steps, then retry."
                    )
                time.sleep(0.05)
            yield

    @contextmanager
    def _open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with self.exclusive(), duckdb.connect(self.path) as connection:
            yield connection


@dataclass(frozen=True)
class PostgreSQL:
    """A database on a server."""

    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)

    def select(self, statement: str, **parameters: dt.date) -> pd.DataFrame:
        """Return the rows of a statement; see `Warehouse`."""
        with self._open() as connection, connection.cursor() as cursor:
            try:
                cursor.execute(_parameters(statement, r"%(\1)s"), parameters)
            except UndefinedTable as error:
                raise WarehouseError(_no_table(self._name, statement)) from error
            columns = [column.name for column in cursor.description or ()]
            return pd.DataFrame(cursor.fetchall(), columns=columns)

    def replace(self, table: Table, as_of: dt.date, rows: pd.DataFrame) -> None:
        """Replace the rows of a day; see `Warehouse`."""
        values = rows.assign(as_of=as_of)[table.column_names]
        # PostgreSQL would store NaN as a number. A missing value must be null, which it rejects.
        values = values.astype(object).where(values.notna(), None)
        with self._open() as connection, connection.cursor() as cursor:
            # With two months at the same time, only one creates what is missing.
            cursor.execute("select pg_advisory_xact_lock(hashtext(%s))", [table.schema])
            # `if not exists` needs the right to create schemas even if the schema exists.
            cursor.execute("select from pg_namespace where nspname = %s", [table.schema])
            if not cursor.rowcount:
                cursor.execute(f"create schema {table.schema}")
            cursor.execute(_create(table))
            cursor.execute(_delete(table).format("%s"), [as_of])
            execute_values(
                cursor,
                f"insert into {table.full_name} ({', '.join(table.column_names)}) values %s",  # noqa: S608 - names of tables.py
                values.itertuples(index=False, name=None),
                page_size=1000,
            )

    def exclusive(self) -> AbstractContextManager[None]:
        """Do nothing: a server handles concurrent users."""
        return nullcontext()

    @property
    def _name(self) -> str:
        return f"database {self.database} on {self.host}:{self.port}"

    @contextmanager
    def _open(self) -> Iterator[Connection]:
        """Open a connection with one transaction, which an error rolls back."""
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
            raise WarehouseError(
                f"The warehouse, {self._name}, cannot be reached as user {self.user}: "
                f"{' '.join(str(error).split())}. Check GROCER_WAREHOUSE_HOST, _PORT, _DATABASE, "
                "_USER and _PASSWORD."
            ) from error
        with closing(connection), connection:
            yield connection


def _create(table: Table) -> str:
    columns = ", ".join(f"{column.name} {column.type} not null" for column in table.columns)
    return f"create table if not exists {table.full_name} ({columns})"


def _delete(table: Table) -> str:
    return f"delete from {table.full_name} where as_of = {{}}"  # noqa: S608 - names of tables.py


def _parameters(statement: str, style: str) -> str:
    return re.sub(r":(\w+)", style, statement)


def _no_table(warehouse: str, statement: str) -> str:
    table = re.search(r"from\s+([\w.]+)", statement)
    name = table[1] if table else "such table"
    asset = name.rpartition(".")[2]
    return f"{warehouse} has no table {name}. Materialize the asset {asset} first."


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
