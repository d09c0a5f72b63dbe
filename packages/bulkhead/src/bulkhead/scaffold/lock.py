"""`requirements.lock`: the exact packages of an image, with hashes. `make lock` uses this too."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

BULKHEAD: Final = "packages/bulkhead/pyproject.toml"
"""Relative to the root of a clone. A code location's image holds `bulkhead` as well, so what that
depends on belongs in the same lock."""

_COMPILE: Final = (
    *("pip", "compile", "--quiet", "--universal", "--generate-hashes", "--python-version=3.11"),
    *("--no-header", "--no-emit-find-links", "--no-emit-index-url"),
)


class LockError(Exception):
    """The packages could not be decided on; `str()` is what uv said."""


def find_uv() -> str | None:
    """Return uv from beside this interpreter, else from PATH, else None."""
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else shutil.which("uv")


def write(uv: str, root: Path, lock: Path, inputs: Sequence[str]) -> None:
    """Write `lock`; what stands in it already stays at its version where it can.

    Args:
        uv: the program.
        root: of the clone; the other paths are relative to it, and show in the lock like that.
        lock: the file to write.
        inputs: files that say what is needed: pyproject.toml or requirements.in.

    Raises:
        LockError: uv could not, and the lock is as it was.
    """
    # A folder of wheels that this machine's pip looks into would end up in the hashes.
    environment = {key: value for key, value in os.environ.items() if key != "PIP_FIND_LINKS"}
    command = [uv, *_COMPILE, *inputs, "-o", str(lock)]
    done = subprocess.run(
        command,
        cwd=root,
        env=environment,
        stdout=subprocess.DEVNULL,  # the lock once more
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise LockError(done.stderr.strip() or f"{uv} ended with exit code {done.returncode}")
