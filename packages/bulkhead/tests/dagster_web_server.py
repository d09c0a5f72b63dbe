"""Dagster's own web server, for tests that ask it for real."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def dagster_web_server(home: Path) -> Iterator[str]:
    """Start it on the `dagster.yaml` and the `workspace.yaml` of a folder; give its address.

    It takes some seconds until it answers, at `/graphql` and elsewhere.
    """
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    command = [sys.executable, "-m", "dagster_webserver", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workspace", str(home / "workspace.yaml")]
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, "DAGSTER_HOME": str(home)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)
