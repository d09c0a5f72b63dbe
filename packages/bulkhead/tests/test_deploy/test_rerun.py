"""`bulkhead rerun` through the API server's proxy to Dagster's own web server."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from click.testing import CliRunner, Result
from packages.bulkhead.tests.dagster_web_server import dagster_web_server
from packages.bulkhead.tests.json_server import JsonHandler, serve
from packages.bulkhead.tests.waiting import wait_until

from bulkhead.cli import main
from bulkhead.webserver_api import runs, workspace
from bulkhead.webserver_api.client import GraphQLClient
from bulkhead.webserver_api.errors import NoAnswerError
from bulkhead.webserver_api.transports import DirectTransport

TAG = "dagster-k8s/config"
OLD, OTHER = (f"registry.example/shop@sha256:{digit * 64}" for digit in "12")

CODE = f"""
import json

import dagster as dg

@dg.op
def first():
    pass

@dg.job
def plain():
    first()

@dg.job(tags={{"{TAG}": json.dumps({{"container_config": {{"image": "{OTHER}"}}}})}})
def own_image():
    first()

defs = dg.Definitions(jobs=[plain, own_image])
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("dagster-home")
    (home / "dagster.yaml").write_text(
        "telemetry: {enabled: false}\n"
        # Without a daemon, runs wait in the queue, and take no time.
        "run_coordinator: {module: dagster.core.run_coordinator, class: QueuedRunCoordinator}\n"
    )
    (home / "shop.py").write_text(CODE)
    file = {"python_file": {"relative_path": "shop.py", "location_name": "shop"}}
    (home / "workspace.yaml").write_text(yaml.safe_dump({"load_from": [file]}))
    return home


@pytest.fixture(scope="module")
def client(home: Path) -> Iterator[GraphQLClient]:
    with dagster_web_server(home) as url:
        made = GraphQLClient(DirectTransport(f"{url}/graphql"))

        def is_loaded() -> bool:
            try:
                return workspace.load_statuses(made)["shop"].is_loaded
            except NoAnswerError:
                return False

        wait_until(is_loaded, 120)
        yield made


@pytest.fixture(autouse=True)
def proxy(
    client: GraphQLClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[str]]:
    """The API server of KUBECONFIG, which passes requests on; returns their verbs and paths."""
    requests: list[str] = []

    class Handler(JsonHandler):
        def do_GET(self) -> None:
            self.forward(self.path.partition("?")[2], None)

        def do_POST(self) -> None:
            self.forward("", self.rfile.read(int(self.headers["Content-Length"])))

        def forward(self, query: str, body: bytes | None) -> None:
            requests.append(f"{self.command} {self.path.partition('?')[0]}")
            if "bulkhead-webserver" not in self.path:
                self.answer({"kind": "Status", "message": "not found"}, 404)
                return
            headers = {"Content-Type": "application/json"}
            url = f"{client.address}?{query}"
            try:
                with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answer:
                    self.raw(answer.read())
            except urllib.error.HTTPError as error:
                self.raw(error.read(), error.code)

    server = serve(Handler)
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "test",
                "cluster": {"server": f"http://127.0.0.1:{server.server_address[1]}"},
            }
        ],
        "users": [{"name": "test", "user": {}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    }
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBECONFIG", str(file))
    yield requests
    server.shutdown()
    server.server_close()


def rerun(*arguments: str) -> Result:
    return CliRunner().invoke(main, ("rerun", *arguments), catch_exceptions=False)


def launched(*arguments: str) -> dict[str, Any]:
    result = rerun(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def queued(client: GraphQLClient, job: str = "plain", **tags: str) -> str:
    """Launch a job; return the run."""
    return runs.launch(client, "shop", job, tags=tags)


def with_image(image: str, **others: Any) -> dict[str, str]:
    return {TAG: json.dumps({"container_config": {"image": image, **others}})}


def test_a_run_is_launched_again_with_the_code_that_is_live(
    client: GraphQLClient, proxy: list[str]
) -> None:
    before = queued(client, team="blue", **{"dagster/image": OLD})
    result = rerun(before)
    assert result.exit_code == 0, result.output
    assert "of job plain of code location shop is launched." in result.output
    assert f"It repeats run {before}, with the code that is live." in result.output
    (new,) = runs.newest(client, most=1)
    found = runs.run(client, new["runId"])
    assert found.tags["dagster/parent_run_id"] == before
    assert found.tags["team"] == "blue"
    assert TAG not in found.tags
    # Reading needs only the right to get.
    assert [each.partition(" ")[0] for each in proxy] == ["GET", "POST"]


def test_the_original_image_is_kept_in_the_tag_beside_the_other_settings(
    client: GraphQLClient,
) -> None:
    config = {"container_config": {"resources": {"limits": {"cpu": "1"}}}, "job_config": {}}
    tags = {"dagster/image": OLD, TAG: json.dumps(config)}
    done = launched(queued(client, **tags), "--original-image")
    assert done["image"] == OLD
    found = json.loads(runs.run(client, done["run_id"]).tags[TAG])
    config["container_config"]["image"] = OLD
    assert found == config


def test_a_rerun_of_a_rerun_with_its_original_image_has_the_code_that_is_live(
    client: GraphQLClient,
) -> None:
    tags = {"dagster/image": OLD, **with_image(OLD, resources={})}
    done = launched(queued(client, **tags))
    assert done["image"] is None
    found = json.loads(runs.run(client, done["run_id"]).tags[TAG])
    assert found == {"container_config": {"resources": {}}}


def test_an_image_that_the_job_itself_names_stays(client: GraphQLClient) -> None:
    done = launched(queued(client, "own_image", **{"dagster/image": OLD, **with_image(OLD)}))
    assert done["image"] == OTHER
    found = json.loads(runs.run(client, done["run_id"]).tags[TAG])
    assert found == {"container_config": {"image": OTHER}}


def test_a_run_that_failed_goes_on_from_its_failure(client: GraphQLClient, home: Path) -> None:
    before = queued(client)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        found = instance.get_run_by_id(before)
        assert found
        instance.report_run_failed(found)
    done = launched(before, "--from-failure")
    assert runs.run(client, done["run_id"]).tags["dagster/is_resume_retry"] == "true"


@pytest.mark.parametrize(
    ("tags", "arguments", "problem"),
    [
        ({}, ["--original-image"], "has no image: no pod was created for it"),
        ({}, ["--from-failure"], "has status QUEUED, so no failed step"),
        ({TAG: "[]"}, ["--original-image"], "is not a JSON object: []"),
    ],
)
def test_what_cannot_be_launched_is_an_error(
    client: GraphQLClient, tags: dict[str, str], arguments: list[str], problem: str
) -> None:
    before = queued(client, **tags)
    result = rerun(before, *arguments)
    assert result.exit_code == 1
    assert problem in result.output
    (newest,) = runs.newest(client, most=1)
    assert newest["runId"] == before


def test_a_run_or_a_release_that_is_not_there_is_an_error() -> None:
    result = rerun("00000000-0000-0000-0000-000000000000")
    assert result.exit_code == 1
    assert "RunNotFoundError" in result.output
    result = rerun("00000000-0000-0000-0000-000000000000", "--release", "other")
    assert result.exit_code == 1
    assert "services/proxy" in result.output
