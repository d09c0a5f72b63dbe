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
from psycopg2.extensions import connection as Connection  # noqa: N812 - a class, whatever its name
from psycopg2.extras import execute_values

from ml.tables import Table

PATIENCE_SECONDS = 600.0
"""How long a step waits for another one to be done with the file."""


class WarehouseError(Exception):
    """The warehouse can't be reached, or holds no such table; `str()` says what to do."""


class Warehouse(Protocol):
    """What the assets need of a warehouse."""

    def select(self, statement: str, **parameters: dt.date) -> pd.DataFrame:
        """Return the rows of a statement.

        Raises:
            WarehouseError: the warehouse can't be reached, or has no such table.
        """
        ...

    def replace(self, table: Table, as_of: dt.date, rows: pd.DataFrame) -> None:
        """Put rows in the place of those of a day, all or none; make the table if need be.

        Raises:
            WarehouseError: the warehouse can't be reached.
        """
        ...

    def exclusive(self) -> AbstractContextManager[None]:
        """Keep other processes out for the time of a `with` block, where they must be."""
        ...


@dataclass(frozen=True)
class DuckDB:
    """A file that one process at a time may open."""

    path: Path
    patience_seconds: float = PATIENCE_SECONDS

    def select(self, statement: str, **parameters: dt.date) -> pd.DataFrame:
        """Return the rows of a statement; see `Warehouse`."""
        if not self.path.exists():
            raise WarehouseError(
                f"There is no warehouse at {self.path}. Materialize the assets of ingestion and "
                "analytics first, or let GROCER_DATA name the folder that has one."
            )
        with self._open() as connection:
            try:
                return connection.execute(_parameters(statement, r"$\1"), parameters).df()
            except duckdb.CatalogException as error:
                raise WarehouseError(_no_table(str(self.path), statement)) from error

    def replace(self, table: Table, as_of: dt.date, rows: pd.DataFrame) -> None:
        """Put rows in the place of those of a day; see `Warehouse`."""
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
            WarehouseError: another process has held it for too long.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = self.path.with_name(f"{self.path.name}.lock")
        with lock.open("a") as file:
            end = time.monotonic() + self.patience_seconds
            while not _locked(file.fileno()):
                if time.monotonic() > end:
                    raise WarehouseError(
                        f"{self.path} has been in use for {self.patience_seconds:g} s: another "
                        f"process holds {lock}. See which steps are running, then try again."
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
        """Put rows in the place of those of a day; see `Warehouse`."""
        values = rows.assign(as_of=as_of)[table.column_names]
        # PostgreSQL would keep NaN as a number; missing is null, which the table refuses.
        values = values.astype(object).where(values.notna(), None)
        with self._open() as connection, connection.cursor() as cursor:
            # Two months at once: one of them makes what is not there yet.
            cursor.execute("select pg_advisory_xact_lock(hashtext(%s))", [table.schema])
            # `if not exists` asks for the right to make schemas even where there is this one.
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
        """Do nothing: a server has many users at once."""
        return nullcontext()

    @property
    def _name(self) -> str:
        return f"database {self.database} on {self.host}:{self.port}"

    @contextmanager
    def _open(self) -> Iterator[Connection]:
        """A connection and one transaction, which an error undoes."""
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
                f"The warehouse, {self._name}, can't be reached as user {self.user}. "
                "GROCER_WAREHOUSE_HOST, _PORT, _DATABASE, _USER and _PASSWORD say where it is and "
                f"who asks. It said: {' '.join(str(error).split())}"
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
    return f"{warehouse} has no {name} yet: materialize the asset {asset} first."


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
