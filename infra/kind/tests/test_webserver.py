"""The client of the web server, with a program that answers as kubectl does."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from bulkhead_kind.webserver import ClusterWebServer, WebServerError

LAUNCHED = {"launchRun": {"__typename": "LaunchRunSuccess", "run": {"runId": "r1"}}}


def web_server(folder: Path, *answers: dict[str, Any]) -> ClusterWebServer:
    """Return a client whose kubectl gives these answers in turn, and records its arguments."""
    for number, answer in enumerate(answers):
        (folder / f"answer-{number}").write_text(json.dumps(answer))
    kubectl = folder / "kubectl"
    kubectl.write_text(
        "#!/bin/sh\n"
        f"cd {folder}\n"
        "number=$(ls | grep -c '^call-')\n"
        'for last; do :; done; echo "$1 $last" > "call-$number"\n'
        'cat "answer-$number"\n'
    )
    kubectl.chmod(0o755)
    return ClusterWebServer([str(kubectl)])


def request(folder: Path, number: int = 0) -> dict[str, str]:
    _verb, url = (folder / f"call-{number}").read_text().split()
    return {key: values[0] for key, values in parse_qs(urlsplit(url).query).items()}


def test_a_job_is_launched_with_its_location_and_name(tmp_path: Path) -> None:
    assert web_server(tmp_path, {"data": LAUNCHED}).launch("hello", "stocks") == "r1"
    selector = json.loads(request(tmp_path)["variables"])["params"]["selector"]
    assert selector["repositoryLocationName"] == "hello"
    assert selector["jobName"] == "stocks"


def test_assets_configuration_and_tags_of_a_run_are_passed_on(tmp_path: Path) -> None:
    config = {"ops": {"forecast": {"config": {"days": 3}}}}
    client = web_server(tmp_path, {"data": LAUNCHED})
    client.launch("ml", "__ASSET_JOB", assets=["forecast"], config=config, tags={"month": "5"})
    params = json.loads(request(tmp_path)["variables"])["params"]
    assert params["selector"]["assetSelection"] == [{"path": ["forecast"]}]
    assert params["runConfigData"] == config
    assert params["executionMetadata"]["tags"] == [{"key": "month", "value": "5"}]


def test_an_invalid_configuration_is_reported(tmp_path: Path) -> None:
    wrong = {"__typename": "RunConfigValidationInvalid", "errors": [{"message": "no field x"}]}
    with pytest.raises(WebServerError, match="was not launched: no field x"):
        web_server(tmp_path, {"data": {"launchRun": wrong}}).launch("hello", "stocks")


def test_a_rejected_launch_has_the_web_servers_reason(tmp_path: Path) -> None:
    refused = {"launchRun": {"__typename": "PipelineNotFoundError", "message": "no such job"}}
    with pytest.raises(WebServerError, match=r"Job stocks of code location hello .* no such job"):
        web_server(tmp_path, {"data": refused}).launch("hello", "stocks")


def test_a_rejected_query_has_the_reason(tmp_path: Path) -> None:
    answer = {"errors": [{"message": "Cannot query field 'runs'"}]}
    with pytest.raises(WebServerError, match="Cannot query field 'runs'"):
        web_server(tmp_path, answer).query("{ runs }")


def test_a_web_server_that_does_not_respond_is_named(tmp_path: Path) -> None:
    with pytest.raises(WebServerError, match="services/bulkhead-webserver:http/proxy/graphql"):
        web_server(tmp_path).query("{ version }")


def test_queries_have_no_body_that_could_cut_the_answer_off(tmp_path: Path) -> None:
    client = web_server(tmp_path, {"data": {"version": "1"}}, {"data": LAUNCHED})
    assert client.query("{ version }") == {"version": "1"}
    client.launch("hello", "stocks")
    verbs = [(tmp_path / f"call-{number}").read_text().split()[0] for number in range(2)]
    assert verbs == ["get", "create"]


def test_locations_show_their_load_error_or_that_they_are_loaded(tmp_path: Path) -> None:
    entries = [
        {"name": "good", "locationOrLoadError": {"__typename": "RepositoryLocation"}},
        {"name": "bad", "locationOrLoadError": {"__typename": "PythonError", "message": "No x"}},
        {"name": "new", "locationOrLoadError": None},
    ]
    workspace = {"workspaceOrError": {"locationEntries": entries}}
    assert web_server(tmp_path, {"data": workspace}).locations() == {
        "good": "loaded",
        "bad": "No x",
        "new": "loading",
    }


def test_a_finished_run_lists_its_steps_as_they_began(tmp_path: Path) -> None:
    steps = [
        {"stepKey": "last", "status": None, "startTime": None, "endTime": None},
        {"stepKey": "second", "status": "FAILURE", "startTime": 5.0, "endTime": 7.5},
        {"stepKey": "first", "status": "SUCCESS", "startTime": 1.0, "endTime": 4.0},
    ]
    run = {"status": "FAILURE", "startTime": 0.5, "endTime": 8.0, "stepStats": steps}
    result = web_server(tmp_path, {"data": {"runOrError": run}}).finished("r1", timeout=1)
    assert [(step.key, step.status, step.seconds) for step in result.steps] == [
        ("first", "SUCCESS", 3.0),
        ("second", "FAILURE", 2.5),
        ("last", "NOT RUN", 0),
    ]
    assert (result.status, result.seconds) == ("FAILURE", 7.5)


def test_a_run_that_does_not_end_is_named_with_its_status(tmp_path: Path) -> None:
    running: dict[str, Any] = {"data": {"runOrError": {"status": "STARTED", "stepStats": []}}}
    with pytest.raises(WebServerError, match="Run r1 is STARTED after 0 s"):
        web_server(tmp_path, running).finished("r1", timeout=0)
