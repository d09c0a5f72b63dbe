"""Programs that run beside this one, and end with it, with all of their child processes."""

import contextlib
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

STOP_TIMEOUT_SECONDS = 15.0
"""Timeout for programs to end after SIGTERM."""

TAIL = 25
"""Lines of the log that the error of an ended program shows."""


class ProcessError(Exception):
    """A program ended unexpectedly; `str()` has its name and the end of its log."""


@dataclass(frozen=True)
class Running:
    """A program, which leads its own process group, and the file of its output."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path


class Processes:
    """A context manager: programs that are started in it end with it."""

    def __init__(self, logs: Path, stop_timeout: float = STOP_TIMEOUT_SECONDS) -> None:
        """Write the programs' output to the folder `logs`; `stop_timeout` is in seconds."""
        self._logs = logs
        self._stop_timeout = stop_timeout
        self.running: list[Running] = []

    def start(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str],
        cwd: Path,
    ) -> None:
        """Start a program; `env` is its whole environment.

        Raises:
            OSError: there is no such program.
        """
        self._logs.mkdir(parents=True, exist_ok=True)
        log = self._logs / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [str(word) for word in command],
                env=env,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C reaches only this process, which then stops the others.
                start_new_session=True,
            )
        self.running.append(Running(name, process, log))

    def check(self) -> None:
        """Raise ProcessError if a program has ended."""
        for each in self.running:
            code = each.process.poll()
            if code is not None:
                with each.log.open(errors="replace") as log:
                    end = "".join(f"    {line}" for line in deque(log, maxlen=TAIL))
                raise ProcessError(
                    f"{each.name} exited with code {code}. End of {each.log}:\n{end}"
                )

    def __enter__(self) -> Self:
        """Return this; no program runs yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the programs: terminate, wait, then kill their process groups."""
        for each in self.running:
            each.process.terminate()
        deadline = time.monotonic() + self._stop_timeout
        for each in self.running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                each.process.wait(max(0.0, deadline - time.monotonic()))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(each.process.pid, signal.SIGKILL)
            each.process.wait()
