"""The client of the web page, against a program that answers as kubectl does."""

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from bulkhead_kind.page import Page, PageError

LAUNCHED = {"launchRun": {"__typename": "LaunchRunSuccess", "run": {"runId": "r1"}}}


def page(folder: Path, *answers: dict[str, object]) -> Page:
    """A page whose kubectl gives these answers one after the other, and keeps what it was asked."""
    for number, answer in enumerate(answers):
        (folder / f"answer-{number}").write_text(json.dumps(answer))
    kubectl = folder / "kubectl"
    kubectl.write_text(
        "#!/bin/sh\n"
        f"cd {folder}\n"
        "number=$(ls | grep -c '^asked-')\n"
        'for last; do :; done; echo "$1 $last" > "asked-$number"\n'
        'cat "answer-$number"\n'
    )
    kubectl.chmod(0o755)
    return Page([str(kubectl)])


def asked(folder: Path, number: int = 0) -> dict[str, str]:
    _verb, url = (folder / f"asked-{number}").read_text().split()
    return {key: values[0] for key, values in parse_qs(urlsplit(url).query).items()}


def test_a_job_is_launched_with_its_location_and_name(tmp_path: Path) -> None:
    assert page(tmp_path, {"data": LAUNCHED}).launch("hello", "stocks") == "r1"
    selector = json.loads(asked(tmp_path)["variables"])["params"]["selector"]
    assert selector["repositoryLocationName"] == "hello"
    assert selector["jobName"] == "stocks"


def test_assets_configuration_and_tags_of_a_run_are_passed_on(tmp_path: Path) -> None:
    config = {"ops": {"forecast": {"config": {"days": 3}}}}
    shown = page(tmp_path, {"data": LAUNCHED})
    shown.launch("ml", "__ASSET_JOB", assets=["forecast"], config=config, tags={"month": "5"})
    params = json.loads(asked(tmp_path)["variables"])["params"]
    assert params["selector"]["assetSelection"] == [{"path": ["forecast"]}]
    assert params["runConfigData"] == config
    assert params["executionMetadata"]["tags"] == [{"key": "month", "value": "5"}]


def test_a_wrong_configuration_is_told(tmp_path: Path) -> None:
    wrong = {"__typename": "RunConfigValidationInvalid", "errors": [{"message": "no field x"}]}
    with pytest.raises(PageError, match="was not launched: no field x"):
        page(tmp_path, {"data": {"launchRun": wrong}}).launch("hello", "stocks")


def test_a_refused_launch_says_what_the_web_server_said(tmp_path: Path) -> None:
    refused = {"launchRun": {"__typename": "PipelineNotFoundError", "message": "no such job"}}
    with pytest.raises(PageError, match=r"job stocks of code location hello .* no such job"):
        page(tmp_path, {"data": refused}).launch("hello", "stocks")


def test_a_refused_query_says_why(tmp_path: Path) -> None:
    answer = {"errors": [{"message": "Cannot query field 'runs'"}]}
    with pytest.raises(PageError, match="Cannot query field 'runs'"):
        page(tmp_path, answer).query("{ runs }")


def test_a_web_server_that_does_not_answer_is_named(tmp_path: Path) -> None:
    with pytest.raises(PageError, match="services/bulkhead-webserver:http/proxy/graphql"):
        page(tmp_path).query("{ version }")


def test_what_reads_has_no_body_that_could_break_the_answer_off(tmp_path: Path) -> None:
    shown = page(tmp_path, {"data": {"version": "1"}}, {"data": LAUNCHED})
    assert shown.query("{ version }") == {"version": "1"}
    shown.launch("hello", "stocks")
    verbs = [(tmp_path / f"asked-{number}").read_text().split()[0] for number in range(2)]
    assert verbs == ["get", "create"]


def test_locations_show_their_load_error_or_that_they_are_loaded(tmp_path: Path) -> None:
    entries = [
        {"name": "good", "locationOrLoadError": {"__typename": "RepositoryLocation"}},
        {"name": "bad", "locationOrLoadError": {"__typename": "PythonError", "message": "No x"}},
        {"name": "new", "locationOrLoadError": None},
    ]
    shown = page(tmp_path, {"data": {"workspaceOrError": {"locationEntries": entries}}}).locations()
    assert shown == {"good": "loaded", "bad": "No x", "new": "loading"}


def test_a_finished_run_lists_its_steps_as_they_began(tmp_path: Path) -> None:
    steps = [
        {"stepKey": "last", "status": None, "startTime": None, "endTime": None},
        {"stepKey": "second", "status": "FAILURE", "startTime": 5.0, "endTime": 7.5},
        {"stepKey": "first", "status": "SUCCESS", "startTime": 1.0, "endTime": 4.0},
    ]
    run = {"status": "FAILURE", "startTime": 0.5, "endTime": 8.0, "stepStats": steps}
    result = page(tmp_path, {"data": {"runOrError": run}}).finished("r1", limit=1)
    assert [(step.key, step.status, step.seconds) for step in result.steps] == [
        ("first", "SUCCESS", 3.0),
        ("second", "FAILURE", 2.5),
        ("last", "NOT RUN", 0),
    ]
    assert (result.status, result.seconds) == ("FAILURE", 7.5)


def test_a_run_that_does_not_end_is_named_with_how_far_it_came(tmp_path: Path) -> None:
    running = {"data": {"runOrError": {"status": "STARTED", "stepStats": []}}}
    with pytest.raises(PageError, match="run r1 is STARTED after 0 s"):
        page(tmp_path, running).finished("r1", limit=0)
