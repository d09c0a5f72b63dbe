"""What is installed on the cluster, in which order, and how a file is added there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from bulkhead_demo import cluster
from bulkhead_demo.paths import CHART, PLATFORM_OVERLAY
from bulkhead_kind import deploy_command, images, installation
from bulkhead_kind.engine import Engine
from bulkhead_kind.installation import Cluster
from bulkhead_kind.progress import Progress
from bulkhead_kind.up import Target

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NAMES = ("platform", "postgresql", "seaweedfs", "hello", "ingestion", "analytics", "ml")


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    """A cluster whose helm and kubectl record their arguments."""
    monkeypatch.setattr(installation, "BUILD", tmp_path)
    folders = {"user_code": ("hello",), "grocer": ("ingestion", "analytics", "ml")}
    for parent, names in folders.items():
        for name in names:
            (tmp_path / parent / name).mkdir(parents=True)
            (tmp_path / parent / name / "pyproject.toml").touch()

    def code_locations(parent: Path = tmp_path / "user_code") -> list[Path]:
        return [tmp_path / parent.name / name for name in folders[parent.name]]

    monkeypatch.setattr(images, "code_locations", code_locations)
    program = tmp_path / "program"
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n'
        "case $1 in get) echo null;; *) echo Dropped it;; esac\n"
    )
    program.chmod(0o755)

    def deploy(
        _progress: Progress, _engine: Engine, _cluster: Cluster, names: Sequence[str]
    ) -> None:
        with (tmp_path / "calls").open("a") as log:
            log.write(f"deploy {' '.join(names)}\n")

    monkeypatch.setattr(deploy_command, "deploy", deploy)
    reached = Cluster(program, program, None)
    return Target(reached, Engine("podman"), "base", "registry:5000", ours=True)


def calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text().splitlines()


def test_the_platform_comes_first_then_the_database_then_the_code_locations(
    target: Target, tmp_path: Path
) -> None:
    references = {name: f"registry:5000/bulkhead/{name}@sha256:{name}" for name in NAMES}
    cluster.install(Progress(tmp_path, Console(quiet=True)), target, references)
    made = [line for line in calls(tmp_path) if line.startswith(("upgrade", "deploy"))]
    assert [line.split()[2:4] for line in made[:2]] == [
        ["bulkhead", str(installation.PLATFORM_CHART)],
        ["grocer", str(CHART)],
    ]
    assert made[2:] == ["deploy hello ingestion analytics ml"]
    (platform,) = [line for line in calls(tmp_path) if "--install bulkhead" in line]
    assert f"--values {PLATFORM_OVERLAY}" in platform
    values = json.loads((tmp_path / "values" / "bulkhead.json").read_text())
    assert list(values["codeLocations"]) == ["hello", "ingestion", "analytics", "ml"]
    given = json.loads((tmp_path / "values" / "grocer.json").read_text())
    assert given["campaigns"]["image"]["digest"] == "sha256:ingestion"
    assert given["flyer"]["image"]["repository"] == "bulkhead/ml"


def test_a_bad_day_s_file_is_dropped_from_the_code_server(target: Target, tmp_path: Path) -> None:
    assert cluster.drop_file(target, 3) == "Dropped it"
    words = "exec --namespace=bulkhead-ingestion deployment/ingestion -- python3 -m"
    assert calls(tmp_path) == [f"{words} ingestion.bad_day --day 2017-01-05"]
