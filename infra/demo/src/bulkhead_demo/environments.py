"""A virtual environment for each code location, from its own lock, for the demo and for tests."""

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
    """Return the virtual environment of a code location; create it if it is missing.

    It has the contents of the location's image: the libraries of its lock, bulkhead, and the
    location itself, both from this checkout. The dependency group `dev` is added and changes no
    locked version. The environment's name has the hash of its inputs; older ones are removed.

    Args:
        location: the code location's folder.
        run: runs a command; its errors are passed on.
        venvs: folder of the environments.
    """
    venv = folder(location, venvs)
    complete = venv / "complete"
    with _locked(venvs / f"{location.name}.lock"):
        if not complete.exists():
            for old in venvs.glob(f"{location.name}-{'[0-9a-f]' * KEY_DIGITS}"):
                shutil.rmtree(old)
            for command in commands(location, venv):
                run(command)
            complete.touch()
    return venv


def folder(location: Path, venvs: Path = VENVS) -> Path:
    """Return the folder of the environment, which may not exist yet."""
    lock, project = location / "requirements.lock", location / "pyproject.toml"
    digest = hashlib.sha256(lock.read_bytes() + project.read_bytes()).hexdigest()
    return venvs / f"{location.name}-{digest[:KEY_DIGITS]}"


def commands(location: Path, venv: Path) -> list[list[str]]:
    """Return the commands that create the environment, in order."""
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
def _locked(lock: Path) -> Generator[None, None, None]:
    """Hold a lock: no other process creates the same environment at the same time."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
