"""Short commands whose output is needed; long commands run in a `progress.Step`."""

import os
import subprocess
from collections.abc import Mapping, Sequence


class CommandError(Exception):
    """A command failed, is not installed, or timed out; `str()` has the command and the reason."""


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment, extended by `extra`."""
    return {**os.environ, **(extra or {})}


def output(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    timeout: float = 60,
) -> str:
    """Run `command` and return its output, stripped.

    Raises CommandError, with the end of its output, when the command fails, is not installed, or
    takes longer than `timeout` seconds.
    """
    line = " ".join(command)
    try:
        done = subprocess.run(
            command,
            env=environment(env),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as error:
        raise CommandError(f"`{line}`: {command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"`{line}` timed out after {timeout:.0f} s") from error
    if done.returncode:
        message = (done.stderr or done.stdout).strip()[-600:]
        raise CommandError(f"`{line}` exited with code {done.returncode}: {message}")
    return done.stdout.strip()


def succeeds(
    command: Sequence[str], *, env: Mapping[str, str] | None = None, timeout: float = 60
) -> bool:
    """Return whether `command` exits with code 0 within `timeout` seconds."""
    try:
        output(command, env=env, timeout=timeout)
    except CommandError:
        return False
    return True
