"""Programs that run beside this one, and end with it, together with all that they started."""

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

PATIENCE_SECONDS = 15.0
"""How long programs may take to end when they are asked to."""

TAIL = 25
"""Lines of its log that are shown of a program that ended by itself."""


class ProcessError(Exception):
    """A program ended that should have gone on; `str()` says which, and the end of its log."""


@dataclass(frozen=True)
class Running:
    """A program, the leader of its own process group, and where its output goes."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path


class Processes:
    """A context: what was started in it has ended when it ends, however it ends."""

    def __init__(self, logs: Path, patience: float = PATIENCE_SECONDS) -> None:
        """Keep the programs' output in the folder `logs`; `patience` is in seconds."""
        self._logs = logs
        self._patience = patience
        self._running: list[Running] = []

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
                # A Ctrl-C reaches this process alone, which ends the others in good order.
                start_new_session=True,
            )
        self._running.append(Running(name, process, log))

    def check(self) -> None:
        """Raise ProcessError if a program has ended."""
        for each in self._running:
            code = each.process.poll()
            if code is not None:
                with each.log.open(errors="replace") as log:
                    end = "".join(f"    {line}" for line in deque(log, maxlen=TAIL))
                raise ProcessError(
                    f"{each.name} ended with code {code}. The end of {each.log}:\n{end}"
                )

    def __enter__(self) -> Self:
        """Start with nothing."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End them all: ask, wait, then make sure of all that they started."""
        for each in self._running:
            each.process.terminate()
        deadline = time.monotonic() + self._patience
        for each in self._running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                each.process.wait(max(0.0, deadline - time.monotonic()))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(each.process.pid, signal.SIGKILL)
            each.process.wait()
