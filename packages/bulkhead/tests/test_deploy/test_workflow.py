"""The commands of the reusable workflow, run as GitHub runs them: with `bash -e`, in a checkout."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from packages.bulkhead.tests.clone import Clone

from bulkhead.cli import main
from bulkhead.deploy.markdown_report import MarkdownReport
from bulkhead.deploy.report import TextReport

FILE = Path(__file__).parents[4] / ".github/workflows/deploy.yaml"
WORKFLOW: dict[str, Any] = yaml.safe_load(FILE.read_text())
JOBS: dict[str, Any] = WORKFLOW["jobs"]
BIN = Path(sys.executable).parent


def scripts(job: str) -> list[str]:
    """The commands of a job, without the step that installs bulkhead."""
    found = [step["run"] for step in JOBS[job]["steps"] if "run" in step]
    return [each for each in found if "uv pip install" not in each]


def run(script: str, folder: Path, path: Path, **environment: str) -> None:
    subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=folder,
        env={**os.environ, "PATH": f"{path}:{os.environ['PATH']}", **environment},
        check=True,
    )


@pytest.fixture
def checkout(clone: Clone) -> Clone:
    """A repository in which the newest commit, a merge, changes one of two code locations."""
    clone.write("bulkhead.toml", '[deploy]\nlocations = ["user_code/*"]\n')
    for name in ("shop", "stock"):
        clone.write(f"user_code/{name}/pyproject.toml", "")
    clone.commit()
    clone.git("checkout", "--quiet", "-b", "topic")
    clone.write("user_code/shop/code.py", "two")
    clone.commit()
    clone.git("checkout", "--quiet", "main")
    clone.git("merge", "--quiet", "--no-ff", "topic")
    return clone


def test_it_is_short() -> None:
    assert len(FILE.read_text().splitlines()) < 70


@pytest.mark.parametrize(
    ("event", "since", "expected"),
    [
        ("a pull request", "HEAD^1", ["shop"]),
        ("a push", "main~1", ["shop"]),
        ("a new branch", "0" * 40, ["shop", "stock"]),
        ("a start by hand", "", ["shop", "stock"]),
    ],
)
def test_the_jobs_are_the_changed_code_locations(
    checkout: Clone, tmp_path: Path, event: str, since: str, expected: list[str]
) -> None:
    output = tmp_path / "output"
    output.touch()
    [script] = scripts("changed")
    run(script, checkout.folder, BIN, SINCE=since, ENVIRONMENT="", GITHUB_OUTPUT=str(output))
    name, _, value = output.read_text().strip().partition("=")
    assert (name, json.loads(value)) == ("locations", expected), event
    assert JOBS["changed"]["outputs"] == {
        name: f"${{{{ steps.{JOBS['changed']['steps'][-1]['id']}.outputs.{name} }}}}"
    }


def test_a_failure_to_list_them_fails_the_job(checkout: Clone, tmp_path: Path) -> None:
    checkout.write("bulkhead.toml", "[deploy]\nlocation = []\n")
    checkout.commit()
    [script] = scripts("changed")
    output = tmp_path / "output"
    with pytest.raises(subprocess.CalledProcessError):
        run(script, checkout.folder, BIN, SINCE="", ENVIRONMENT="", GITHUB_OUTPUT=str(output))
    assert not output.exists()


@pytest.mark.parametrize("environment", ["", "production"])
@pytest.mark.parametrize(
    ("job", "names", "check_only"),
    [("check", ("shop", "stock"), True), ("deploy", ("shop",), False)],
)
def test_the_call_of_deploy_is_valid(
    tmp_path: Path, job: str, names: tuple[str, ...], check_only: bool, environment: str
) -> None:
    stub = tmp_path / "bulkhead"
    stub.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/called\n')
    stub.chmod(0o755)
    [script] = [each for each in scripts(job) if each.startswith("bulkhead deploy")]
    given = re.sub(r"\$\{\{.*?\}\}", " ".join(names), script)
    report = tmp_path / "report.md"
    run(
        given.replace("/tmp/report.md", str(report)),
        tmp_path,
        tmp_path,
        ENVIRONMENT=environment,
        GITHUB_ACTOR="ann",
        GITHUB_STEP_SUMMARY=str(report),
    )
    command, *arguments = (tmp_path / "called").read_text().rstrip("\n").split("\n")
    called = main.commands[command].make_context(command, arguments, resilient_parsing=False)
    assert called.params["names"] == names
    assert called.params["check_only"] == check_only
    assert called.params["environment"] == environment
    assert (called.params["by"], called.params["markdown"]) == ("ann", report)


def test_a_pull_request_is_checked_and_only_something_else_is_deployed() -> None:
    assert JOBS["deploy"]["if"].startswith("github.event_name != 'pull_request' &&")
    # There is a pull request only in its own event; one from a fork has another repository.
    assert JOBS["check"]["if"].startswith(
        "github.event.pull_request.head.repo.full_name == github.repository"
    )
    assert "--check-only" in scripts("check")[0]
    assert "--check-only" not in "".join(scripts("deploy"))


@pytest.mark.parametrize("earlier", [[], ["11"], ["11", "12"]])
def test_a_pull_request_has_one_comment_which_is_the_newest(
    tmp_path: Path, earlier: list[str]
) -> None:
    stub = tmp_path / "gh"
    found = "".join(f"{each}\\n" for each in earlier)
    stub.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/called\n'
        f'case "$*" in *--paginate*) printf "{found}";; esac\n'
    )
    stub.chmod(0o755)
    run(scripts("check")[-1], tmp_path, tmp_path, NUMBER="7")
    first, *deleted, last = (tmp_path / "called").read_text().splitlines()
    assert first.startswith("api repos/{owner}/{repo}/issues/7/comments --paginate --jq")
    assert deleted == [
        f"api --method DELETE repos/{{owner}}/{{repo}}/issues/comments/{each}" for each in earlier
    ]
    assert last == "pr comment 7 --body-file /tmp/report.md"


def test_the_comments_that_are_replaced_are_those_of_the_report() -> None:
    texts: list[str] = []
    MarkdownReport(TextReport(["shop"], lambda _: None), texts.append).end("checked", outcomes=[])
    [start] = re.findall(r'startswith\("([^"]*)"\)', scripts("check")[-1])
    assert texts[0].startswith(start)


def test_a_code_location_is_deployed_once_at_a_time_and_the_environment_may_need_an_approval() -> (
    None
):
    deploy = JOBS["deploy"]
    assert "${{ matrix.location }}" in deploy["concurrency"]["group"]
    assert deploy["environment"] == "${{ inputs.environment }}"
    assert deploy["strategy"]["fail-fast"] is False
    assert "environment" not in JOBS["check"], "a check waits for nobody"
