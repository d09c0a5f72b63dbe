"""The client of the web server, with a program that answers as kubectl does."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from bulkhead.webserver_api import runs, workspace
from bulkhead.webserver_api.client import GraphQLClient
from bulkhead.webserver_api.errors import NoAnswerError, ReportedError
from bulkhead_kind import webserver
from bulkhead_kind.webserver import TimedOutError

LAUNCHED = {"launch": {"__typename": "LaunchRunSuccess", "run": {"runId": "r1"}}}


def web_server(folder: Path, *answers: dict[str, Any]) -> GraphQLClient:
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
    return webserver.client([str(kubectl)], "bulkhead", "platform")


def request(folder: Path, number: int = 0) -> dict[str, str]:
    _verb, url = (folder / f"call-{number}").read_text().split()
    return {key: values[0] for key, values in parse_qs(urlsplit(url).query).items()}


def test_a_job_is_launched_with_its_location_and_name(tmp_path: Path) -> None:
    assert runs.launch(web_server(tmp_path, {"data": LAUNCHED}), "hello", "stocks") == "r1"
    selector = json.loads(request(tmp_path)["variables"])["params"]["selector"]
    assert selector["repositoryLocationName"] == "hello"
    assert selector["jobName"] == "stocks"


def test_assets_configuration_and_tags_of_a_run_are_passed_on(tmp_path: Path) -> None:
    config = {"ops": {"forecast": {"config": {"days": 3}}}}
    client = web_server(tmp_path, {"data": LAUNCHED})
    runs.launch(
        client, "ml", "__ASSET_JOB", assets=["forecast"], config=config, tags={"month": "5"}
    )
    params = json.loads(request(tmp_path)["variables"])["params"]
    assert params["selector"]["assetSelection"] == [{"path": ["forecast"]}]
    assert params["runConfigData"] == config
    assert params["executionMetadata"]["tags"] == [{"key": "month", "value": "5"}]


def test_an_invalid_configuration_is_reported(tmp_path: Path) -> None:
    wrong = {"__typename": "RunConfigValidationInvalid", "errors": [{"message": "no field x"}]}
    client = web_server(tmp_path, {"data": {"launch": wrong}})
    with pytest.raises(ReportedError, match="was not launched: no field x"):
        runs.launch(client, "hello", "stocks")


def test_a_rejected_launch_has_the_web_servers_reason(tmp_path: Path) -> None:
    refused = {"launch": {"__typename": "PipelineNotFoundError", "message": "no such job"}}
    client = web_server(tmp_path, {"data": refused})
    with pytest.raises(ReportedError, match=r"job stocks of code location hello .* no such job"):
        runs.launch(client, "hello", "stocks")


def test_a_rejected_query_has_the_reason(tmp_path: Path) -> None:
    answer = {"errors": [{"message": "Cannot query field 'runs'"}]}
    with pytest.raises(ReportedError, match="Cannot query field 'runs'"):
        web_server(tmp_path, answer).execute("{ runs }")


def test_a_web_server_that_does_not_respond_is_named_with_the_message_of_kubectl(
    tmp_path: Path,
) -> None:
    with pytest.raises(NoAnswerError) as failure:
        web_server(tmp_path).execute("{ version }")
    text = str(failure.value)
    assert text.startswith("web server bulkhead-webserver in namespace platform does not answer")
    assert "answer-0: No such file" in text


def test_output_that_is_not_json_is_shown(tmp_path: Path) -> None:
    client = web_server(tmp_path, {})
    (tmp_path / "answer-0").write_text("<html>Sign in</html>")
    with pytest.raises(NoAnswerError, match="did not print a JSON object: '<html>Sign in</html>'"):
        client.execute("{ version }")


def test_requests_go_through_the_proxy_of_the_service_and_the_document_is_in_the_url(
    tmp_path: Path,
) -> None:
    client = web_server(tmp_path, {"data": {"version": "1"}}, {"data": LAUNCHED})
    client.execute("{ version }", {"x": 1})
    runs.launch(client, "hello", "stocks")
    for number, document in enumerate(("{ version }", runs.LAUNCH)):
        _verb, url = (tmp_path / f"call-{number}").read_text().split()
        service = "/api/v1/namespaces/platform/services/bulkhead-webserver:http"
        assert urlsplit(url).path == f"{service}/proxy/graphql"
        assert request(tmp_path, number)["query"] == document
    assert json.loads(request(tmp_path)["variables"]) == {"x": 1}


def test_queries_have_no_body_that_could_cut_the_answer_off(tmp_path: Path) -> None:
    client = web_server(tmp_path, {"data": {"version": "1"}}, {"data": LAUNCHED})
    assert client.execute("{ version }") == {"version": "1"}
    runs.launch(client, "hello", "stocks")
    verbs = [(tmp_path / f"call-{number}").read_text().split()[0] for number in range(2)]
    assert verbs == ["get", "create"]


def test_locations_show_their_load_error_or_that_they_are_loaded(tmp_path: Path) -> None:
    error: dict[str, Any] = {"__typename": "PythonError", "message": "No x", "causes": []}
    entries = [
        _entry("good", "LOADED", {"__typename": "RepositoryLocation"}),
        _entry("bad", "LOADED", error),
        _entry("new", "LOADING", None),
    ]
    answer = {"workspace": {"__typename": "Workspace", "locationEntries": entries}}
    statuses = workspace.load_statuses(web_server(tmp_path, {"data": answer}))
    assert {name: webserver.state(status) for name, status in statuses.items()} == {
        "good": "loaded",
        "bad": "No x",
        "new": "loading",
    }


def _entry(name: str, status: str, result: dict[str, Any] | None) -> dict[str, Any]:
    shown = {"loadStatus": status, "updatedTimestamp": 1.0, "locationOrLoadError": result}
    return {"name": name, "displayMetadata": [], **shown}


def test_a_finished_run_lists_its_steps_as_they_began(tmp_path: Path) -> None:
    steps = [
        {"stepKey": "last", "status": None, "startTime": None, "endTime": None},
        {"stepKey": "second", "status": "FAILURE", "startTime": 5.0, "endTime": 7.5},
        {"stepKey": "first", "status": "SUCCESS", "startTime": 1.0, "endTime": 4.0},
    ]
    times = {"startTime": 0.5, "endTime": 8.0}
    run = {"__typename": "Run", "status": "FAILURE", "stepStats": steps, **times}
    client = web_server(tmp_path, {"data": {"run": run}})
    result = webserver.finished(client, "r1", timeout=1)
    assert [(step.key, step.status, step.seconds) for step in result.steps] == [
        ("first", "SUCCESS", 3.0),
        ("second", "FAILURE", 2.5),
        ("last", "NOT RUN", 0),
    ]
    assert (result.status, result.seconds) == ("FAILURE", 7.5)


def test_a_run_that_does_not_end_is_named_with_its_status(tmp_path: Path) -> None:
    running: dict[str, Any] = {"__typename": "Run", "status": "STARTED", "stepStats": []}
    client = web_server(tmp_path, {"data": {"run": running}})
    with pytest.raises(TimedOutError, match="Run r1 is STARTED after 0 s"):
        webserver.finished(client, "r1", timeout=0)


def test_a_run_that_does_not_exist_is_not_waited_for(tmp_path: Path) -> None:
    missing = {"__typename": "RunNotFoundError", "message": "Run r1 could not be found"}
    client = web_server(tmp_path, {"data": {"run": missing}})
    with pytest.raises(ReportedError, match="Run r1 could not be found"):
        webserver.finished(client, "r1", timeout=60)
