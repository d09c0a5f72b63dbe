"""The command as a person gives it, in a clone that holds no more than it looks at."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bulkhead.cli import main
from bulkhead.scaffold import lock

Bulkhead = Callable[..., Result]


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone's root, which is where the command is given."""
    root = tmp_path / "clone"
    for name in (lock.BULKHEAD, "images/postgresql/Dockerfile", "user_code/hello/pyproject.toml"):
        (root / name).parent.mkdir(parents=True)
        (root / name).touch()
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def bulkhead() -> Bulkhead:
    return lambda *arguments: CliRunner().invoke(main, arguments, catch_exceptions=False)


@pytest.fixture
def uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A uv that writes down how it was called and makes an empty lock."""
    program = tmp_path / "uv"
    _script(program, f'echo "$PWD $*" > {tmp_path}/called; touch "${{@: -1}}"')
    monkeypatch.setattr(lock, "find_uv", lambda: str(program))
    return program


@pytest.fixture
def no_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "find_uv", lambda: None)


@pytest.fixture
def broken_uv(uv: Path) -> None:
    _script(uv, "echo 'error: the index does not answer' >&2; exit 2")


def _script(path: Path, text: str) -> None:
    path.write_text(f"#!/usr/bin/env bash\n{text}\n")
    path.chmod(0o755)
