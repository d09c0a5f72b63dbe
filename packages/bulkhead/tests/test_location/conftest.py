"""Interpreters with the oldest and the newest Dagster that Bulkhead supports."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

PACKAGE = Path(__file__).parents[2]
PROJECTS = PACKAGE / "tests" / "projects"
VENVS = PACKAGE.parents[1] / "build" / "venvs"
SEARCHED = (PACKAGE / "src", PROJECTS, PROJECTS / "dg_project" / "src")

OLDEST = (
    "dagster==1.12.0",
    "dagster-aws==0.28.0",
    "dagster-k8s==0.28.0",
    "dagster-postgres==0.28.0",
    "kubernetes<36",
    "sqlalchemy<2.1",
)

Load = Callable[[Sequence[Mapping[str, str]]], list[dict[str, Any]]]


@pytest.fixture(scope="session", params=["oldest", "newest"])
def python(request: pytest.FixtureRequest) -> Path:
    """An interpreter with the named Dagster; the newest is the one that runs the tests."""
    return Path(sys.executable) if request.param == "newest" else oldest_python()


def oldest_python() -> Path:
    """Return the interpreter of a virtual environment that is made once and kept in build/."""
    folder = VENVS / f"dagster-1.12.0-python-{sys.version_info.major}.{sys.version_info.minor}"
    python = folder / "bin" / "python"
    complete = folder / "complete"
    if not complete.exists():
        uv = Path(sys.executable).with_name("uv")
        tool = str(uv) if uv.exists() else shutil.which("uv")
        assert tool, "uv is needed to make the environment with the oldest Dagster"
        subprocess.run([tool, "venv", "--clear", "--python", sys.executable, folder], check=True)
        subprocess.run([tool, "pip", "install", "--python", python, *OLDEST], check=True)
        complete.touch()
    return python


@pytest.fixture(scope="session")
def searched() -> str:
    """PYTHONPATH of an interpreter that finds Bulkhead and the sample projects."""
    return os.pathsep.join(map(str, SEARCHED))


@pytest.fixture(scope="session")
def load(python: Path, searched: str) -> Load:
    """Load projects as a code server does, each under its settings; answers in the same order."""

    def load(settings: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
        finished = subprocess.run(
            [python, Path(__file__).with_name("load_projects.py")],
            input=json.dumps(list(settings)),
            env={**os.environ, "PYTHONPATH": searched},
            cwd=PROJECTS,
            check=True,
            text=True,
            stdout=subprocess.PIPE,
        )
        return json.loads(finished.stdout)

    return load
