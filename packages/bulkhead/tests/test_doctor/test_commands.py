"""`bulkhead` on an admin's machine: a kubeconfig, an API server over HTTP, words out."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from bulkhead.cli import main


def bulkhead(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


@pytest.mark.usefixtures("kubeconfig")
def test_the_doctor_of_a_healthy_installation_exits_with_0() -> None:
    result = bulkhead("doctor")
    assert result.exit_code == 0, result.output
    assert "0 problem(s), 0 warning(s)" in result.output


@pytest.mark.usefixtures("kubeconfig")
def test_the_doctor_exits_with_1_where_something_is_wrong(installation: Any) -> None:
    installation.of("secrets").clear()
    result = bulkhead("doctor", "--json")
    assert result.exit_code == 1
    (problem,) = [each for each in json.loads(result.output) if each["level"] == "problem"]
    assert problem["subject"] == "hello"
    assert "Secret bulkhead-database" in problem["sentence"]


@pytest.mark.usefixtures("kubeconfig")
def test_a_warning_alone_is_no_failure(installation: Any) -> None:
    installation.forbid("secrets")
    result = bulkhead("doctor")
    assert result.exit_code == 0
    assert "0 problem(s), 1 warning(s)" in result.output


def test_the_doctor_says_that_the_cluster_is_away(kubeconfig: Path) -> None:
    document = yaml.safe_load(kubeconfig.read_text())
    document["clusters"][0]["cluster"]["server"] = "http://127.0.0.1:1"
    kubeconfig.write_text(yaml.safe_dump(document))
    result = bulkhead("doctor", "--json")
    assert result.exit_code == 1
    (finding,) = json.loads(result.output)
    assert "refused" in finding["sentence"]
    assert "kubectl version" in finding["advice"]


@pytest.mark.usefixtures("kubeconfig")
def test_a_context_that_does_not_exist_is_named() -> None:
    result = bulkhead("locations", "--context", "nowhere")
    assert result.exit_code == 1
    assert "nowhere" in result.output
    assert "--context" in result.output


@pytest.mark.usefixtures("kubeconfig")
def test_locations_are_listed_for_people_and_for_machines() -> None:
    table = bulkhead("locations").output
    assert "hello" in table
    assert "bulkhead-hello" in table
    assert "loaded" in table
    (location,) = json.loads(bulkhead("locations", "--json").output)
    assert location == {
        "name": "hello",
        "namespace": "bulkhead-hello",
        "environment": "production",
        "image": "registry/hello@sha256:2",
        "state": "loaded",
        "detail": None,
        "since": "2030-01-01T00:00:00Z",
    }


@pytest.mark.usefixtures("kubeconfig")
def test_a_wrong_release_is_an_error_and_not_an_empty_list() -> None:
    result = bulkhead("locations", "--release", "other")
    assert result.exit_code == 1
    assert "other-code-locations" in result.output


def test_help_imports_neither_kubernetes_nor_dagster() -> None:
    script = (
        "import sys\n"
        "from bulkhead.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'kubernetes', 'dagster', 'sqlalchemy', 'rich', 'yaml'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
    assert "workspace-sync" in done.stdout


def test_workspace_sync_outside_a_pod_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    result = bulkhead("workspace-sync", "--registry", "r", "--output", "w.yaml")
    assert result.exit_code == 1
    assert "service account" in result.output


def test_migrate_without_a_dagster_yaml_says_where_it_looked(tmp_path: Path) -> None:
    result = bulkhead("migrate", "--dagster-home", str(tmp_path))
    assert result.exit_code == 1
    assert f"{tmp_path}/dagster.yaml is missing" in result.output
