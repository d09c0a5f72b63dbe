"""Databases to work on, and runs against them."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
import duckdb
import psycopg2
import pytest
import server

from analytics.definitions import definitions
from analytics.environment import Environment


class Warehouse(NamedTuple):
    """How to speak to a database, and the environment in which the code finds it."""

    environment: Environment
    execute: Callable[[str], list[tuple[Any, ...]]]


class Run(NamedTuple):
    """A run of all assets and checks, and when it began."""

    warehouse: Warehouse
    started: float
    result: dg.ExecuteInProcessResult


def on_duckdb(folder: Path, variables: pytest.MonkeyPatch) -> Warehouse:
    """Let the code find its file in this folder."""
    variables.setenv("GROCER_DATA", str(folder))

    def execute(statement: str) -> list[tuple[Any, ...]]:
        # For writing: so nothing that ran in this process or another still holds the file.
        with duckdb.connect(folder / "warehouse.duckdb") as connection:
            return connection.execute(statement).fetchall()

    return Warehouse(Environment.LOCAL, execute)


def on_postgresql(port: int, variables: pytest.MonkeyPatch) -> Warehouse:
    """Make a database and a user on the tests' own server, and let the code find them."""
    found = {"HOST": "127.0.0.1", "PORT": port, "USER": server.USER, "PASSWORD": server.PASSWORD}
    for name, value in found.items():
        variables.setenv(f"GROCER_WAREHOUSE_{name}", str(value))

    def execute(statement: str, database: str = "warehouse") -> list[tuple[Any, ...]]:
        connection = psycopg2.connect(
            host="127.0.0.1",
            port=port,
            dbname=database,
            user=server.ADMIN,
            password=server.PASSWORD,
        )
        connection.autocommit = True
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    execute("create database warehouse", database="postgres")
    execute(f"create user {server.USER} password '{server.PASSWORD}' in role pg_read_all_data")
    execute(f"create schema analytics authorization {server.USER}")
    return Warehouse(Environment.CLUSTER, execute)


def run(
    environment: Environment, *keys: str, raise_on_error: bool = True
) -> dg.ExecuteInProcessResult:
    """Materialize assets, all if none is named, as a run of Dagster does."""
    job = definitions(environment).resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        asset_selection=[dg.AssetKey(key) for key in keys] or None, raise_on_error=raise_on_error
    )


def metadata_of(result: dg.ExecuteInProcessResult, key: str) -> dict[str, dg.MetadataValue]:
    """Return the metadata of an asset that a run materialized."""
    (event,) = [
        event
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey(key)
    ]
    return dict(event.materialization.metadata)
