"""workspace-sync against Dagster's own web server, and a code server that is replaced."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from packages.bulkhead.tests.dagster_web_server import dagster_web_server

from bulkhead.discovery.load_reporter import LoadReporter
from bulkhead.discovery.workspace_file import render
from bulkhead.kube.api import KubernetesApi
from bulkhead.webserver_api import workspace
from bulkhead.webserver_api.client import GraphQLClient
from bulkhead.webserver_api.errors import WebServerError
from bulkhead.webserver_api.transports import DirectTransport
from bulkhead.webserver_api.workspace import Location


@pytest.fixture
def web_server(tmp_path: Path) -> Iterator[str]:
    """Start Dagster's web server on the file that workspace-sync will write."""
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    (tmp_path / "workspace.yaml").write_text(render([]))
    with dagster_web_server(tmp_path) as url:
        yield f"{url}/graphql"


def test_a_web_server_started_without_locations_gets_them_and_loses_them_again(
    world: Any, web_server: str
) -> None:
    world.register(hello="ns")
    running = world.start(web_server)  # before the web server answers: it must be waited for
    world.api.put("/api/v1/namespaces/ns/services", world.service("hello", "ns"))
    client = GraphQLClient(DirectTransport(web_server))
    world.wait_until(lambda: running.asks("/healthz")[1]["retrying"], 10)
    world.wait_until(lambda: not running.asks("/healthz")[1]["retrying"], 60)
    assert workspace.locations(client) == (Location("hello", "hello.ns.svc", 3030),)
    world.api.delete("/api/v1/namespaces/ns/services", "hello")
    world.wait_until(lambda: workspace.locations(client) == (), 10)


@contextmanager
def code_server(folder: Path, port: int, image: str, code: str) -> Iterator[None]:
    """Run a code server as the chart does, until it answers and then until it is left."""
    (folder / "team.py").write_text(code)
    command = ["-m", "dagster", "api", "grpc", "--python-file", "team.py", "--lazy-load-user-code"]
    process = subprocess.Popen(
        [sys.executable, *command, "--host", "127.0.0.1", "--port", str(port)],
        cwd=folder,
        env={**os.environ, "DAGSTER_CURRENT_IMAGE": image, "DAGSTER_HOME": str(folder)},
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


GOOD = "import dagster as dg\n@dg.asset\ndef orders(): ...\ndefs = dg.Definitions([orders])\n"
BROKEN = "raise ValueError('a mistake of the team')\n"


def test_what_the_web_server_shows_after_a_code_server_was_replaced_is_reported(
    world: Any, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    (tmp_path / "workspace.yaml").write_text(render([Location("hello", "127.0.0.1", port)]))
    world.register(hello="ns")
    with dagster_web_server(tmp_path) as url:
        client = GraphQLClient(DirectTransport(f"{url}/graphql"))
        reporter = LoadReporter(KubernetesApi(world.api.url), client, "web-1")
        reporter.report_to({"hello": "ns"})
        reporter.start()

        def shows(image: str | None, error: str = "") -> bool:
            try:
                found = workspace.load_statuses(GraphQLClient(DirectTransport(f"{url}/graphql")))
            except WebServerError:
                return False
            return found["hello"].image == image and error in (found["hello"].error or "")

        def reported() -> Any:
            return world.report("ns")

        # Without a code server, Dagster shows an error that it retries.
        world.wait_until(lambda: reported() and reported().error, 90)
        assert (reported().unreachable, reported().image) == (True, None)
        with code_server(tmp_path, port, "hello:1", GOOD):
            world.wait_until(lambda: reported().image == "hello:1", 60)
            world.wait_until(lambda: reported().running_sensors == (), 30)
            assert reported().is_loaded
        with code_server(tmp_path, port, "hello:2", GOOD):
            world.wait_until(lambda: shows("hello:2"), 60)
            began = time.monotonic()
            world.wait_until(lambda: reported().image == "hello:2", 10)
            print(f"reported {time.monotonic() - began:.2f} s after the web server showed it")
        with code_server(tmp_path, port, "hello:3", BROKEN):
            world.wait_until(lambda: shows(None, "a mistake of the team"), 60)
            world.wait_until(lambda: "a mistake of the team" in (reported().error or ""), 10)
            assert not reported().unreachable
        reporter.stop()
