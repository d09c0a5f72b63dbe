"""`bulkhead advise` on an admin's machine: a kubeconfig, an API server over HTTP, words out."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from bulkhead.cli import main

MIB = 2**20


def advise(*arguments: str) -> Result:
    return CliRunner().invoke(main, ("advise", *arguments), catch_exceptions=False)


@pytest.mark.usefixtures("kubeconfig")
def test_steps_are_listed_with_what_they_request_used_and_would_need(installation: Any) -> None:
    for used in (300, 200, 250):
        run = installation.run()
        run.step("train", used, 1024, cpu=30, seconds=60)
        run.kill("report", "256Mi")
        if used == 200:
            run.step("clean", 150)
    result = advise()
    assert result.exit_code == 0, result.output
    header, *rows, _, sentence = [line for line in result.output.splitlines() if line]
    assert " ".join(header.split()) == (
        "LOCATION JOB STEP N REQUESTED MEDIAN P95 MAX CPU CPU MAX CORES SUGGESTED SAVING"
    )
    assert [" ".join(row.split()) for row in rows] == [
        "hello etl train 3 1Gi 250Mi 300Mi 300Mi 30.0 s 30.0 s 0.50 368Mi 656Mi",
        "hello etl report 3 256Mi 256Mi 256Mi 256Mi - - - 512Mi -256Mi",
        "hello etl clean 1 512Mi 150Mi 150Mi 150Mi 2.0 s 2.0 s 0.10 too few -",
    ]
    assert len({len(row) for row in (header, *rows)}) == 1  # columns stand under each other
    assert (
        "hello etl report: ran out of memory (OOM-killed) 3 times, with limits up to 256Mi."
        in result.output
    )
    assert sentence == (
        "1 step requests 656Mi more than it needs; 1 step needs more. "
        "1 step has fewer than 3 samples, too few for a suggestion."
    )


@pytest.mark.usefixtures("kubeconfig")
def test_machines_get_bytes_and_seconds(installation: Any) -> None:
    for _ in range(3):
        installation.run().step("train", 300, 1024, cpu=30, seconds=60)
    document = json.loads(advise("--json").output)
    assert document == {
        "runs": 3,
        "possible_saving": 656 * MIB,
        "steps": [
            {
                "location": "hello",
                "job": "etl",
                "step": "train",
                "samples": 3,
                "oom_kills": 0,
                "largest_oom_limit": None,
                "requested_memory": 1024 * MIB,
                "median_memory": 300 * MIB,
                "p95_memory": 300 * MIB,
                "largest_memory": 300 * MIB,
                "median_cpu_seconds": 30.0,
                "largest_cpu_seconds": 30.0,
                "cores": 0.5,
                "suggested_memory": 368 * MIB,
                "saved_memory": 656 * MIB,
            }
        ],
    }


@pytest.mark.usefixtures("kubeconfig")
def test_options_choose_the_runs(installation: Any) -> None:
    for location, job in (("hello", "etl"), ("small", "etl"), ("hello", "nightly")):
        installation.run(location, job).step("train", 300)

    def found(*arguments: str) -> list[tuple[str, str]]:
        steps = json.loads(advise("--json", *arguments).output)["steps"]
        return [(each["location"], each["job"]) for each in steps]

    assert found("--location", "small") == [("small", "etl")]
    assert found("--location", "hello", "--job", "etl") == [("hello", "etl")]
    assert found("--runs", "1") == [("hello", "nightly")]


@pytest.mark.usefixtures("kubeconfig")
def test_a_missing_finished_run_is_reported(installation: Any) -> None:
    installation.run(status="STARTED")
    result = advise()
    assert result.exit_code == 0
    assert result.output == "There is no finished run yet.\n"
    of_location = advise("--location", "nowhere", "--job", "etl").output
    assert "no finished run of job etl of code location nowhere yet" in of_location
    assert "`bulkhead locations`" in of_location
    assert json.loads(advise("--json").output) == {"runs": 0, "possible_saving": 0, "steps": []}


@pytest.mark.usefixtures("kubeconfig")
def test_runs_without_a_record_of_their_use_are_reported(installation: Any) -> None:
    installation.run().say("made by an earlier version")
    result = advise("--job", "etl")
    assert result.exit_code == 0
    assert "The newest 1 finished run(s) of job etl have no record" in result.output


@pytest.mark.usefixtures("kubeconfig")
def test_a_wrong_release_is_an_error_that_says_what_to_do() -> None:
    result = advise("--release", "other")
    assert result.exit_code == 1
    assert "other-webserver" in result.output
    assert "services/proxy" in result.output
    assert "bulkhead doctor" in result.output


def test_a_cluster_that_is_away_is_an_error(kubeconfig: Path) -> None:
    document = yaml.safe_load(kubeconfig.read_text())
    document["clusters"][0]["cluster"]["server"] = "http://127.0.0.1:1"
    kubeconfig.write_text(yaml.safe_dump(document))
    result = advise()
    assert result.exit_code == 1
    assert "http://127.0.0.1:1 does not answer" in result.output
    assert "services/proxy" not in result.output


def test_at_least_one_run_is_read() -> None:
    result = advise("--runs", "0")
    assert result.exit_code == 2
    assert "--runs" in result.output
