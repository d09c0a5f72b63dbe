"""Short commands whose answer is wanted at once; long ones run in a `progress.Step`."""

import os
import subprocess
from collections.abc import Mapping, Sequence


class CommandError(Exception):
    """A command ended with another code than 0, or in no time at all: `str()` says which."""


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment with `extra` laid over it."""
    return {**os.environ, **(extra or {})}


def output(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    seconds: float = 60,
) -> str:
    """Run `command` and return what it printed, stripped.

    Raises CommandError, with the end of what it said, when it fails, is missing, or takes longer
    than `seconds`.
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
            timeout=seconds,
            check=False,
        )
    except FileNotFoundError as error:
        raise CommandError(f"`{line}`: {command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"`{line}` gave no answer within {seconds:.0f} s") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-600:]
        raise CommandError(f"`{line}` ended with code {done.returncode}: {said}")
    return done.stdout.strip()


def succeeds(
    command: Sequence[str], *, env: Mapping[str, str] | None = None, seconds: float = 60
) -> bool:
    """Tell whether `command` ends with code 0 within `seconds`."""
    try:
        output(command, env=env, seconds=seconds)
    except CommandError:
        return False
    return True
