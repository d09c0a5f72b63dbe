"""The questions that workspace-sync asks are the ones that Dagster's own web server answers."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bulkhead.discovery.web_server import WebServer
from bulkhead.discovery.workspace import Location, render


@pytest.fixture
def web_server(tmp_path: Path) -> Iterator[str]:
    """Start Dagster's web server on the file that workspace-sync will write."""
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    (tmp_path / "workspace.yaml").write_text(render([]))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    command = [sys.executable, "-m", "dagster_webserver", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workspace", str(tmp_path / "workspace.yaml")]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, "DAGSTER_HOME": str(tmp_path)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    yield f"http://127.0.0.1:{port}/graphql"
    process.terminate()
    process.wait(30)


def test_a_web_server_started_without_locations_gets_them_and_loses_them_again(
    world: Any, web_server: str
) -> None:
    world.register(hello="ns")
    running = world.start(web_server)  # before the web server answers: it must be waited for
    world.api.put("/api/v1/namespaces/ns/services", world.service("hello", "ns"))
    asked = WebServer(web_server)
    world.wait_until(lambda: running.asks("/healthz")[1]["trouble"], 10)
    world.wait_until(lambda: not running.asks("/healthz")[1]["trouble"], 60)
    assert asked.workspace() == (Location("hello", "hello.ns.svc", 3030),)
    world.api.delete("/api/v1/namespaces/ns/services", "hello")
    world.wait_until(lambda: asked.workspace() == (), 10)
