"""The resources of the assets, on a laptop and on the cluster."""

import contextlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pandas as pd
import psycopg2
from dagster_dbt import DbtCliResource
from packaging.version import Version

from analytics import environment, project
from analytics.environment import Environment
from analytics.exclusive import exclusive


class Warehouse(dg.ConfigurableResource, ABC):
    """The database of the grocer's tables."""

    @abstractmethod
    def exclusive(self) -> AbstractContextManager[None]:
        """Exclude other processes during a `with` block, if the database needs that."""

    @abstractmethod
    def read(self, query: str) -> pd.DataFrame:
        """Return the result of a query."""


class DuckDBWarehouse(Warehouse):
    """A file on this machine."""

    path: str

    def exclusive(self) -> AbstractContextManager[None]:
        """Hold the file's lock: DuckDB lets one process at a time write to it."""
        return exclusive(Path(self.path))

    def read(self, query: str) -> pd.DataFrame:
        """Return the result of a query.

        Raises:
            duckdb.IOException: the file does not exist.
        """
        with self.exclusive(), duckdb.connect(self.path, read_only=True) as connection:
            return connection.execute(query).df()


class PostgreSQLWarehouse(Warehouse):
    """A database on the cluster."""

    host: str
    port: int = 5432
    database: str = "warehouse"
    user: str
    password: str

    def exclusive(self) -> AbstractContextManager[None]:
        """Do nothing: PostgreSQL handles concurrent users."""
        return contextlib.nullcontext()

    def read(self, query: str) -> pd.DataFrame:
        """Return the result of a query.

        Raises:
            psycopg2.OperationalError: the server cannot be reached or rejects the user.
        """
        with self._connection() as connection, connection.cursor() as cursor:
            cursor.execute(query)
            columns = [column.name for column in cursor.description]
            return pd.DataFrame(cursor.fetchall(), columns=columns)

    @contextlib.contextmanager
    def _connection(self) -> Iterator[Any]:
        connection = psycopg2.connect(
            host=self.host,
            port=self.port,
            dbname=self.database,
            user=self.user,
            password=self.password,
            connect_timeout=10,
        )
        with contextlib.closing(connection):
            yield connection


class Dbt(DbtCliResource):
    """dbt, as the command of the same name."""

    @cached_property
    def _cli_version(self) -> Version:
        """Return dbt's version without `dbt --version`, which queries the package index."""
        return Version(version("dbt-core"))


def resources(env: Environment) -> dict[str, Any]:
    """Return the resources of an environment; secrets are read when a step starts."""
    dbt = Dbt(
        project_dir=project.PROJECT,
        target=env,
        dbt_executable=project.DBT,
        # The step's captured log has everything; a file would be deleted with the pod.
        global_config_flags=["--no-use-colors", "--log-level-file", "none"],
    )
    return {"warehouse": _warehouse(env), "dbt": dbt}


def _warehouse(env: Environment) -> Warehouse:
    match env:
        case Environment.LOCAL:
            data = environment.data()
            # dbt runs in its project's folder, so the path must be absolute.
            os.environ[environment.DATA] = str(data)
            return DuckDBWarehouse(path=str(data / "warehouse.duckdb"))
        case Environment.CLUSTER:
            return PostgreSQLWarehouse(
                host=dg.EnvVar("GROCER_WAREHOUSE_HOST"),
                port=_port(),
                database=os.environ.get("GROCER_WAREHOUSE_DATABASE", "warehouse"),
                user=dg.EnvVar("GROCER_WAREHOUSE_USER"),
                password=dg.EnvVar("GROCER_WAREHOUSE_PASSWORD"),
            )


def _port() -> int:
    port = os.environ.get("GROCER_WAREHOUSE_PORT", "5432")
    if not port.isdigit():
        raise ValueError(f"GROCER_WAREHOUSE_PORT is {port!r}. It must be a number, such as 5432.")
    return int(port)
