"""A code location's environment: made once for the same lock, from that lock alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bulkhead_demo import environments

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def location(tmp_path: Path) -> Path:
    folder = tmp_path / "forecasts"
    folder.mkdir()
    (folder / "pyproject.toml").write_text('[project]\nrequires-python = ">=3.11,<3.12"\n')
    (folder / "requirements.lock").write_text("pandas==2.3.0\n")
    return folder


def ensure(location: Path, commands: list[list[str]]) -> Path:
    def run(command: list[str]) -> None:
        commands.append(command)
        if command[1] == "venv":
            from pathlib import Path

            Path(command[-1]).mkdir(parents=True)

    return environments.ensure(location, run, location.parent / "venvs")


def test_it_has_the_lock_with_hashes_then_bulkhead_and_the_location(location: Path) -> None:
    commands: list[list[str]] = []
    venv = ensure(location, commands)
    assert commands[0][1:] == ["venv", "-q", "--python", ">=3.11,<3.12", str(venv)]
    assert {"--require-hashes", str(location / "requirements.lock")} <= set(commands[1])
    assert commands[3][-4:] == ["-e", str(environments.BULKHEAD), "-e", str(location)]
    assert "--no-deps" in commands[3]


def test_it_is_made_once(location: Path) -> None:
    commands: list[list[str]] = []
    assert ensure(location, commands) == ensure(location, commands)
    assert len(commands) == 4


def test_another_lock_has_another_environment(location: Path) -> None:
    first = ensure(location, [])
    (location / "requirements.lock").write_text("pandas==2.3.1\n")
    assert ensure(location, []) != first


def test_an_unfinished_environment_is_created_again(location: Path) -> None:
    def fail(_: list[str]) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        environments.ensure(location, fail, location.parent / "venvs")
    commands: list[list[str]] = []
    ensure(location, commands)
    assert len(commands) == 4
