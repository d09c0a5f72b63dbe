"""The questions that workspace-sync asks are the ones that Dagster's own web server answers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packages.bulkhead.tests.dagster_web_server import dagster_web_server

from bulkhead.discovery.workspace import render
from bulkhead.webserver_api.client import WebServer
from bulkhead.webserver_api.location import Location


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
    asked = WebServer(web_server)
    world.wait_until(lambda: running.asks("/healthz")[1]["trouble"], 10)
    world.wait_until(lambda: not running.asks("/healthz")[1]["trouble"], 60)
    assert asked.workspace() == (Location("hello", "hello.ns.svc", 3030),)
    world.api.delete("/api/v1/namespaces/ns/services", "hello")
    world.wait_until(lambda: asked.workspace() == (), 10)
