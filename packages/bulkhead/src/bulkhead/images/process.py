"""Runs a command; an error has its last output."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from bulkhead.images.errors import ImageError

LAST_LINES: Final = 30
"""Lines of output in an error: enough for the messages of uv and of BuildKit."""


def run(
    command: Sequence[str],
    failure: str,
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> str:
    """Run a command and return its output, with its error output in between.

    Args:
        command: Program and arguments.
        failure: The message of the error, without the exit code.
        environment: All environment variables; by default those of this process.
        folder: Where it runs.

    Raises:
        ImageError: The program is not installed, or its exit code is not 0.
    """
    try:
        done = subprocess.run(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except FileNotFoundError as error:
        raise ImageError(f"{failure} {command[0]} is not installed.") from error
    if done.returncode:
        message = f"{failure} {Path(command[0]).name} exited with code {done.returncode}."
        raise ImageError(message, last_lines(done.stdout))
    return done.stdout


def last_lines(output: str) -> str:
    """Return the last lines of an output, without empty ones."""
    lines = [line.rstrip() for line in output.splitlines() if line.strip()]
    return "\n".join(lines[-LAST_LINES:])


def clean_environment(python: Path, home: Path) -> dict[str, str]:
    """Return environment variables for a build: the same on every machine.

    Variables of the person who deploys must not change the image, as they cannot change a build by
    an engine. PATH stays, behind the folder of `python`, because a build may call programs.
    """
    return {
        "PATH": os.pathsep.join([str(python.parent), os.environ.get("PATH", os.defpath)]),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        # Otherwise sets of strings have another order in each process, and a build may write one.
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        # Archives and metadata with the time of the build: 1980-01-01, the first day of a zip file.
        "SOURCE_DATE_EPOCH": "315532800",
    }
