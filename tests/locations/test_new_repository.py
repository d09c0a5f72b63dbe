"""A repository of `bulkhead new --repository` passes its tests with its own lock."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = str(Path(sys.executable).with_name("bulkhead"))
UV = Path(sys.executable).with_name("uv")


def commands(readme: str, section: str) -> list[str]:
    """The commands of a section of a README."""
    text = readme.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return [line.strip() for line in text.splitlines() if line.startswith("    ")]


def run(folder: Path, command: str) -> str:
    """Run a command of the README in the folder, as a person does; return its output."""
    environment = {name: value for name, value in os.environ.items() if name != "PIP_FIND_LINKS"}
    environment["PATH"] = f"{UV.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        shlex.split(command),
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}"
    return done.stdout


@pytest.mark.timeout(900)
def test_a_new_repository_passes_its_tests_by_the_commands_of_its_readme(tmp_path: Path) -> None:
    run(tmp_path, f"{COMMAND} new brand-new --repository")
    folder = tmp_path / "brand-new"
    readme = (folder / "README.md").read_text()
    assert run(folder, "git status --porcelain") == "", "everything is committed, the lock too"

    *install, test, _dagster_dev = commands(readme, "Test")
    for command in install:
        run(folder, command)
    assert "13 passed" in run(folder, test)

    # The deploy group comes from the same place, and the command knows the repository.
    run(folder, commands(readme, "Check")[0])
    assert json.loads(run(folder, ".venv/bin/bulkhead changed --json")) == ["brand-new"]

    # The lock that the README's command writes is the one that is there.
    before = (folder / "requirements.lock").read_text()
    [compile_lock] = commands(readme, "Change a dependency")
    run(folder, compile_lock)
    assert (folder / "requirements.lock").read_text() == before
    assert str(tmp_path) not in before
    assert "boto3==" in before, "bulkhead's own dependencies are in the lock"
    assert "\nbulkhead" not in before
    assert run(folder, "git status --porcelain") == ""
