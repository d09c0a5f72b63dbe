"""The reconciler against Dagster's own web server."""

import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus
from packages.bulkhead.tests.dagster_web_server import dagster_web_server

from bulkhead.webserver_api import runs
from bulkhead.webserver_api.client import GraphQLClient
from bulkhead.webserver_api.errors import WebServerError
from bulkhead.webserver_api.runs import ENDED
from bulkhead.webserver_api.transports import DirectTransport


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[DagsterInstance]:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with DagsterInstance.from_config(str(tmp_path)) as made:
        yield made


@pytest.fixture
def web_server(instance: DagsterInstance, tmp_path: Path, world: Any) -> Iterator[str]:
    """Start Dagster's web server on the same database."""
    del instance  # its tables are there
    (tmp_path / "workspace.yaml").write_text("load_from: []\n")
    with dagster_web_server(tmp_path) as url:

        def answers() -> bool:
            try:
                with urllib.request.urlopen(f"{url}/server_info"):
                    return True
            except OSError:
                return False

        world.wait_until(answers, 60)
        yield f"{url}/graphql"


def test_dagster_tells_the_status_of_every_run_that_it_has(
    world: Any, instance: DagsterInstance, web_server: str, tmp_path: Path
) -> None:
    made = {
        instance.add_run(DagsterRun(job_name="job", status=status)).run_id: status.value
        for status in DagsterRunStatus
        if status is not DagsterRunStatus.QUEUED  # that one needs a whole code location
    }
    assert set(made.values()) > ENDED
    client = GraphQLClient(DirectTransport(web_server))
    assert runs.statuses(client, [*made, "of-another-database"]) == made
    gone = next(iter(made))
    instance.delete_run(gone)
    assert runs.statuses(client, list(made)) == {
        run: status for run, status in made.items() if run != gone
    }

    # The whole loop: of all runs' steps, those of ended and deleted runs go.
    world.platform.register(hello="ns")
    for run in made:
        world.platform.put(world.job(f"step-{run}", "ns", run))
    staying = {f"step-{run}" for run in made if run != gone and made[run] not in ENDED}
    world.start(graphql=web_server)
    world.wait_until(lambda: len(world.platform.events) == len(made) - len(staying))
    world.wait_for_looks(2)
    assert world.platform.names("ns") == staying

    # A database that is not there is no database without runs.
    for path in tmp_path.rglob("runs.db*"):
        path.unlink()
    with pytest.raises(WebServerError, match="reports"):
        runs.statuses(client, list(made))
