"""The git repository around a new code location."""

import subprocess
from pathlib import Path


def root_around(folder: Path) -> Path | None:
    """Return the root of the git repository that a folder is in; None if it is in none."""
    try:
        return Path(_git(folder, "rev-parse", "--show-toplevel"))
    except (OSError, _GitError):
        return None


def make(folder: Path, message: str) -> str | None:
    """Make a git repository of a folder, with one commit of everything; return why that failed."""
    try:
        _git(folder, "init", "--quiet", "--initial-branch=main")
        _git(folder, "add", "--all")
        _git(folder, "commit", "--quiet", f"--message={message}")
    except FileNotFoundError:
        return "git is not installed"
    except _GitError as error:
        return str(error)
    return None


class _GitError(Exception):
    """git failed; `str()` is its own message."""


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise _GitError(done.stderr.strip() or f"git {arguments[0]}: exit code {done.returncode}")
    return done.stdout.strip()
