"""The first process of a step's pod. It forwards the step's output, including the last line.

With Dagster, a step writes into a file and `tail` copies that file to the container's log. When the
process ends at once, by a signal or `os._exit`, the last lines are lost, and these say why it
ended. Here the step writes into a pipe, and a process that outlives the step reads it. As the first
process of the pod, it also forwards signals and exits with the exit code of the step.
"""

import fcntl
import os
import select
import signal
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NoReturn

FOLDER_ENV: Final = "BULKHEAD_STEP_OUTPUT"
"""Names the folder by which a step's process has its output captured."""

STREAMS: Final = {1: "stdout", 2: "stderr"}
"""File descriptors that are forwarded, and the names of the files in the folder."""

_LOCK: Final = "lock"
_CHUNK: Final = 65536
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1)
_BY_SIGNAL: Final = 128
_LAST_OUTPUT_SECONDS: Final = 1.0
_CHECK_SECONDS: Final = 0.001


def begin() -> None:
    """Continue in a child process. This process becomes its supervisor and never returns.

    Call it before there are threads.
    """
    folder = Path(tempfile.mkdtemp(prefix="step-output-"))
    (folder / _LOCK).touch()
    pipes = {number: os.pipe() for number in STREAMS}
    signals = _Signals()
    child = os.fork()
    if child == 0:
        signals.restore()
        for number, (source, sink) in pipes.items():
            os.dup2(sink, number)
            os.close(source)
            os.close(sink)
        os.environ[FOLDER_ENV] = str(folder)
        return
    signals.forward_to(child)
    for _, sink in pipes.values():
        os.close(sink)
    sources = {source: number for number, (source, _) in pipes.items()}
    _supervise(child, signals.wakes, sources, folder)


class _Signals:
    """Forwards signals to the step, because the first process of a pod gets all of them.

    Signals that arrive before the step exists are forwarded when it does.
    """

    def __init__(self) -> None:
        self.wakes, self._wake = os.pipe()
        """File descriptor that is readable when a process has ended."""
        self._step: int | None = None
        self._early: list[int] = []
        self._before = {number: signal.signal(number, self._forward) for number in _SIGNALS}

    def forward_to(self, step: int) -> None:
        self._step = step
        for number in self._early:
            self._forward(number, None)
        os.set_blocking(self._wake, False)
        signal.set_wakeup_fd(self._wake)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)

    def restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self.wakes)
        os.close(self._wake)

    def _forward(self, number: int, _frame: object) -> None:
        if self._step is None:
            self._early.append(number)
            return
        with suppress(ProcessLookupError):
            os.kill(self._step, number)


def _supervise(child: int, wakes: int, sources: dict[int, int], folder: Path) -> NoReturn:
    """Forward output until the child has ended and its output is read; exit with its code."""
    status, deadline = _reap(child), 0.0
    with (folder / _LOCK).open() as lock:
        while True:
            ready, _, _ = select.select([wakes, *sources], [], [], None if status is None else 0)
            for source in ready:
                if source == wakes:
                    os.read(wakes, _CHUNK)
                elif not _forward_output(source, sources[source], folder, lock.fileno()):
                    del sources[source]
            if status is None:
                status, deadline = _reap(child), time.monotonic() + _LAST_OUTPUT_SECONDS
            elif not ready or time.monotonic() > deadline:
                break
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else _BY_SIGNAL - code)


def _reap(child: int) -> int | None:
    """Reap processes that have ended; return the status of the child if it is among them."""
    status = None
    with suppress(ChildProcessError):
        while True:
            pid, ended = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            status = ended if pid == child else status
    return status


def _forward_output(source: int, number: int, folder: Path, lock: int) -> bool:
    """Copy new output to the container's log, and to the file that captures it, if there is one."""
    with _locked(lock):
        data = os.read(source, _CHUNK)
        with suppress(FileNotFoundError):
            captured = os.open(folder / STREAMS[number], os.O_WRONLY | os.O_APPEND)
            try:
                _write(captured, data)
            finally:
                os.close(captured)
    _write(number, data)
    return bool(data)


def _write(number: int, data: bytes) -> None:
    while data:
        data = data[os.write(number, data) :]


@contextmanager
def _locked(lock: int) -> Generator[None]:
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(lock, fcntl.LOCK_UN)


@contextmanager
def captured(paths: dict[int, str]) -> Generator[None]:
    """Also write the output of this process into files, one for each of `STREAMS`.

    The files are complete when the context ends.
    """
    folder = Path(os.environ[FOLDER_ENV])
    _wait_until_forwarded(folder)
    for number, path in paths.items():
        Path(path).touch()
        (folder / STREAMS[number]).symlink_to(path)
    try:
        yield
    finally:
        _wait_until_forwarded(folder)
        for number in paths:
            (folder / STREAMS[number]).unlink()


def _wait_until_forwarded(folder: Path) -> None:
    """Wait until the supervisor has read all output of this process."""
    sys.stdout.flush()
    sys.stderr.flush()
    with (folder / _LOCK).open() as lock:
        while True:
            with _locked(lock.fileno()):
                if not any(_waiting_bytes(number) for number in STREAMS):
                    return
            time.sleep(_CHECK_SECONDS)


def _waiting_bytes(number: int) -> int:
    (count,) = struct.unpack("i", fcntl.ioctl(number, termios.FIONREAD, b"\0\0\0\0"))
    return int(count)
