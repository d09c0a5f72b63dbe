#!/usr/bin/env python3
"""Make the database cluster on the first start, then become PostgreSQL.

Settings come from the environment: ``PGDATA``, a folder on the volume; ``POSTGRES_USER``,
``POSTGRES_PASSWORD`` and ``POSTGRES_DB``, which count on the first start alone. Arguments go to
``postgres`` as they are.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

SOCKET_DIRECTORY = "/var/run/postgresql"


def main() -> None:
    """Run ``postgres`` in place of this process, on a cluster that is whole.

    Raises:
        SystemExit: a setting is missing, or the cluster cannot be made.
    """
    data = Path(setting("PGDATA"))
    if not data.exists():
        make_cluster(
            data,
            user=setting("POSTGRES_USER"),
            password=setting("POSTGRES_PASSWORD"),
            database=setting("POSTGRES_DB"),
        )
    os.execvp(  # noqa: S606 -- a list of arguments; no shell is wanted
        "postgres",
        [
            "postgres",
            *("-D", str(data)),
            *("-c", "listen_addresses=*"),
            *("-c", f"unix_socket_directories={SOCKET_DIRECTORY}"),
            *sys.argv[1:],
        ],
    )


def setting(name: str) -> str:
    """Return an environment variable.

    Raises:
        SystemExit: it is missing or empty.
    """
    value = os.environ.get(name, "")
    if not value:
        raise SystemExit(f"postgresql: the environment variable {name} is missing; set it.")
    return value


def make_cluster(data: Path, *, user: str, password: str, database: str) -> None:
    """Make a cluster with one superuser and one database at ``data``.

    It grows beside its place and is moved there when it is whole, so that a start that was killed
    half-way leaves nothing that the next one would take for a cluster.

    Raises:
        SystemExit: ``initdb`` or ``postgres`` failed; what they said is in the log.
    """
    unfinished = data.with_name(f"{data.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    run(
        [
            "initdb",
            f"--pgdata={unfinished}",
            f"--username={user}",
            "--pwfile=/dev/stdin",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
        ],
        standard_input=f"{password}\n",
    )
    with (unfinished / "pg_hba.conf").open("a") as access:
        access.write("host all all all scram-sha-256\n")
    if database != "postgres":
        quoted = database.replace('"', '""')
        run(
            ["postgres", "--single", "-D", str(unfinished), "postgres"],
            standard_input=f'CREATE DATABASE "{quoted}"\n',
        )
    unfinished.rename(data)
    parent = os.open(data.parent, os.O_RDONLY)
    os.fsync(parent)
    os.close(parent)


def run(command: list[str], *, standard_input: str) -> None:
    """Run a command that must succeed.

    Raises:
        SystemExit: it did not.
    """
    finished = subprocess.run(command, input=standard_input, text=True, check=False)
    if finished.returncode != 0:
        raise SystemExit(f"postgresql: {command[0]} ended with exit code {finished.returncode}.")


if __name__ == "__main__":
    main()
