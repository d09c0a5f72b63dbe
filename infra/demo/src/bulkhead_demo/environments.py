"""A virtual environment for each code location, from its own lock: for the demo and for tests."""

import fcntl
import hashlib
import shutil
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import tomllib

from bulkhead_demo.paths import VENVS
from bulkhead_kind.paths import REPOSITORY

UV = str(Path(sys.executable).with_name("uv"))
BULKHEAD = REPOSITORY / "packages" / "bulkhead"
KEY_DIGITS = 12

Run = Callable[[list[str]], object]
"""Runs a command from the repository's root; raises when it fails."""


def ensure(location: Path, run: Run, venvs: Path = VENVS) -> Path:
    """Return the virtual environment of a code location; make it if it is not there.

    It has what the location's image holds: exactly the libraries of its lock, bulkhead, and the
    location itself, both as they are in this checkout. The dependency group `dev` comes on top and
    moves nothing that the lock holds. The environment is kept under the hash of what it is made
    from, so that the next call finds it; older ones are removed.

    Args:
        location: the code location's folder.
        run: runs the commands; what it raises is passed on.
        venvs: where environments are kept.
    """
    venv = folder(location, venvs)
    complete = venv / "complete"
    with _alone(venvs / f"{location.name}.lock"):
        if not complete.exists():
            for old in venvs.glob(f"{location.name}-{'[0-9a-f]' * KEY_DIGITS}"):
                shutil.rmtree(old)
            for command in commands(location, venv):
                run(command)
            complete.touch()
    return venv


def folder(location: Path, venvs: Path = VENVS) -> Path:
    """Where the environment is, or will be."""
    lock, project = location / "requirements.lock", location / "pyproject.toml"
    digest = hashlib.sha256(lock.read_bytes() + project.read_bytes()).hexdigest()
    return venvs / f"{location.name}-{digest[:KEY_DIGITS]}"


def commands(location: Path, venv: Path) -> list[list[str]]:
    """What makes the environment, in this order."""
    lock, project = location / "requirements.lock", location / "pyproject.toml"
    python = tomllib.loads(project.read_text())["project"]["requires-python"]
    install = [UV, "pip", "install", "-q", "--python", str(venv / "bin" / "python")]
    editable = ["-e", str(BULKHEAD), "-e", str(location)]
    return [
        [UV, "venv", "-q", "--python", python, str(venv)],
        [*install, "--require-hashes", "-r", str(lock)],
        [*install, "-c", str(lock), "--group", f"{project}:dev", "hatchling", "editables"],
        [*install, "--no-deps", "--no-build-isolation", *editable],
    ]


@contextmanager
def _alone(lock: Path) -> Generator[None, None, None]:
    """Let no other process make the same environment meanwhile."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
