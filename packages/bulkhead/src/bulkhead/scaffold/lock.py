"""Writes `requirements.lock`: the exact packages of an image, with hashes; for `make lock`, too."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

BULKHEAD: Final = "packages/bulkhead/pyproject.toml"
"""Path relative to the root of a clone. The image of a code location contains `bulkhead`, too, so
the lock contains its dependencies."""

_COMPILE: Final = (
    *("pip", "compile", "--quiet", "--universal", "--generate-hashes", "--python-version=3.11"),
    *("--no-header", "--no-emit-find-links", "--no-emit-index-url"),
)

COMPILE_REPOSITORY: Final = (
    *("pip", "compile", "--quiet", "pyproject.toml", "--group", "image"),
    *("-o", "requirements.lock"),
)
"""The arguments for uv in a repository of its own, as its README has them."""


class LockError(Exception):
    """uv could not resolve the packages; `str()` is its error output."""


def find_uv() -> str | None:
    """Return the path of uv beside this interpreter, else on PATH, else None."""
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else shutil.which("uv")


def write(uv: str, root: Path, lock: Path, inputs: Sequence[str]) -> None:
    """Write `lock`; packages that it lists already keep their version if possible.

    Args:
        uv: Path of uv.
        root: The root of the clone. The other paths are relative to it; the lock contains them.
        lock: The file to write.
        inputs: The files that list the requirements: pyproject.toml or requirements.in.

    Raises:
        LockError: uv failed; the lock is not changed.
    """
    _run([uv, *_COMPILE, *inputs, "-o", str(lock)], root)


def write_of_repository(uv: str, folder: Path) -> None:
    """Write the lock of a repository of its own; its pyproject.toml has the options for uv.

    Raises:
        LockError: uv failed; the lock is not changed.
    """
    _run([uv, *COMPILE_REPOSITORY], folder)


def _run(command: Sequence[str], folder: Path) -> None:
    # pip's folder of local wheels would add their hashes to the lock.
    environment = {key: value for key, value in os.environ.items() if key != "PIP_FIND_LINKS"}
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,  # uv prints the lock there, too
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise LockError(done.stderr.strip() or f"{command[0]} exited with code {done.returncode}")
