"""Two warehouses with handmade tables, built once for all tests that only read."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import raw
import server
import warehouses
from in_process import dbt

from analytics import project

LOCATION = Path(__file__).resolve().parents[1]

WATCH = """
import os, socket

def watched(original):
    def call(host, *arguments, **options):
        if host not in (None, "127.0.0.1", "localhost"):
            with open(os.environ["NAMES_LOOKED_UP"], "a") as file:
                print(host, file=file)
        return original(host, *arguments, **options)
    return call

socket.getaddrinfo = watched(socket.getaddrinfo)
"""
"""For a Python process: records every host name that it looks up."""


@pytest.fixture(scope="session")
def variables() -> Iterator[pytest.MonkeyPatch]:
    """Environment variables for longer than one test."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="session")
def names_looked_up(
    tmp_path_factory: pytest.TempPathFactory, variables: pytest.MonkeyPatch
) -> Path:
    """A file with the host names that the processes of all runs looked up."""
    folder = tmp_path_factory.mktemp("watch")
    (folder / "sitecustomize.py").write_text(WATCH)
    variables.setenv("PYTHONPATH", str(folder))
    variables.setenv("NAMES_LOOKED_UP", str(folder / "names"))
    return folder / "names"


@pytest.fixture(scope="session")
def on_duckdb(
    tmp_path_factory: pytest.TempPathFactory, variables: pytest.MonkeyPatch
) -> warehouses.Warehouse:
    return warehouses.on_duckdb(tmp_path_factory.mktemp("grocer"), variables)


@pytest.fixture(scope="session")
def on_postgresql(variables: pytest.MonkeyPatch) -> Iterator[warehouses.Warehouse]:
    programs = server.binaries()
    if programs is None:
        pytest.fail(server.MISSING)
    with server.running(programs) as port:
        yield warehouses.on_postgresql(port, variables)


@pytest.fixture(scope="session")
def run(on_duckdb: warehouses.Warehouse, names_looked_up: Path) -> warehouses.Run:  # noqa: ARG001
    """A run in Dagster, on DuckDB, of all that is made from the tables of `raw`."""
    raw.load_by_hand(on_duckdb.execute)
    project.manifest(on_duckdb.environment)
    return warehouses.Run(on_duckdb, time.time(), warehouses.run(on_duckdb.environment))


@pytest.fixture(scope="session", params=["duckdb", "postgresql"])
def built(request: pytest.FixtureRequest) -> warehouses.Warehouse:
    """Each warehouse in turn, with all that is made from the tables of `raw`."""
    if request.param == "duckdb":
        return request.getfixturevalue("run").warehouse
    warehouse: warehouses.Warehouse = request.getfixturevalue("on_postgresql")
    raw.load_by_hand(warehouse.execute)
    dbt(warehouse.environment, "build")
    return warehouse


@pytest.fixture(scope="session", autouse=True)
def broken_build(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    """A build, such as an image's, of a code location with a model that refers to nothing.

    It takes a while, so it is begun before the first test.
    """
    copy = tmp_path_factory.mktemp("build") / "analytics"
    shutil.copytree(LOCATION, copy, ignore=shutil.ignore_patterns("target", "tests", "__pycache__"))
    model = copy / "src/analytics/dbt/models/staging/users_augmented.sql"
    model.write_text(model.read_text().replace("orders_cleaned", "orders_polished"))
    with subprocess.Popen(
        [sys.executable, "-c", "import hatchling.build; hatchling.build.build_editable('.')"],
        cwd=copy,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        yield process
        process.kill()
