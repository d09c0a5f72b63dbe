"""The manifest: made once, when it is needed, and never out of date."""

import json
import subprocess
import tempfile
from pathlib import Path

import dagster as dg
import pytest

from analytics import project
from analytics.definitions import definitions
from analytics.environment import Environment
from analytics.models import models


def test_an_image_is_not_built_of_a_model_that_refers_to_nothing_and_its_file_is_named(
    broken_build: subprocess.Popen[str],
) -> None:
    output, _ = broken_build.communicate(timeout=120)
    assert broken_build.returncode != 0
    assert "analytics.users_augmented" in output
    assert "models/staging/users_augmented.sql" in output
    assert "orders_polished" in output


def test_a_prepared_manifest_is_used_without_dbt(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = project.manifest(Environment.CLUSTER)
    monkeypatch.setattr(project, "DBT", Path("/nowhere/dbt"))
    assert project.manifest(Environment.CLUSTER) == prepared
    assert json.loads(prepared.read_text())["metadata"]["adapter_type"] == "postgres"


def test_a_manifest_has_no_times_so_the_same_project_gives_the_same_image() -> None:
    parsed = json.loads(project.manifest(Environment.LOCAL).read_text())
    assert parsed["metadata"]["generated_at"] == "1970-01-01T00:00:00Z"
    assert parsed["metadata"]["invocation_id"].strip("0-") == ""
    assert {each["created_at"] for each in parsed["nodes"].values()} == {0}


def test_a_change_of_a_file_or_of_the_database_makes_another_manifest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "one.sql").write_text("select 1")
    calls: list[str] = []

    def parse(_environment: Environment, _project: Path, directory: Path) -> Path:
        made = directory / "manifest.json"
        made.write_text(str(len(calls)))
        calls.append("once")
        return made

    monkeypatch.setattr(project, "_parse", parse)
    first = project.manifest(Environment.LOCAL, tmp_path)
    assert project.manifest(Environment.LOCAL, tmp_path) == first
    assert len(calls) == 1
    (tmp_path / "models" / "one.sql").write_text("select 2")
    assert project.manifest(Environment.LOCAL, tmp_path).read_text() == "1"
    assert not first.exists()
    monkeypatch.setenv("GROCER_WAREHOUSE_DATABASE", "another")
    assert project.manifest(Environment.LOCAL, tmp_path).read_text() == "2"


def test_where_the_project_can_not_be_written_to_the_manifest_goes_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(project.os, "access", lambda *_: False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    made = tmp_path / "made.json"
    made.write_text("{}")
    monkeypatch.setattr(project, "_parse", lambda *_: made)
    folder = tmp_path / "project"
    folder.mkdir()
    assert project.manifest(Environment.LOCAL, folder).read_text() == "{}"
    assert list(folder.iterdir()) == []


def test_a_source_with_a_typo_in_its_asset_key_is_a_load_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    parsed = json.loads(project.manifest(Environment.LOCAL).read_text())
    dagster = parsed["sources"]["source.analytics.raw.users"]["config"]["meta"]["dagster"]
    dagster["asset_key"] = ["usres"]
    changed = tmp_path / "manifest.json"
    changed.write_text(json.dumps(parsed))
    monkeypatch.setattr(project, "manifest", lambda _: changed)
    with pytest.raises(dg.DagsterInvalidDefinitionError) as raised:
        definitions(Environment.LOCAL)
    assert str(raised.value).startswith(
        "Asset key usres, which users_augmented depends on, is unknown."
    )
    assert "nor one of offline_orders, orders, users in analytics.upstream" in str(raised.value)


def test_a_source_without_an_asset_key_is_rejected_with_what_to_write(
    tmp_path: Path,
) -> None:
    parsed = json.loads(project.manifest(Environment.LOCAL).read_text())
    parsed["sources"]["source.analytics.raw.users"]["config"]["meta"] = {}
    changed = tmp_path / "manifest.json"
    changed.write_text(json.dumps(parsed))
    with pytest.raises(dg.DagsterInvalidDefinitionError) as raised:
        models(changed)
    assert "Source raw.users in models/sources.yml has no asset key." in str(raised.value)
    assert "config: {meta: {dagster: {asset_key: [users]}}}" in str(raised.value)
