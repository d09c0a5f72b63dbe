"""workspace-sync against Dagster's own web server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packages.bulkhead.tests.dagster_web_server import dagster_web_server

from bulkhead.discovery.workspace_file import render
from bulkhead.webserver_api import workspace
from bulkhead.webserver_api.client import GraphQLClient
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
