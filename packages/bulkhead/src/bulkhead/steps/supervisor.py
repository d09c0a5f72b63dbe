"""The first process of a step's pod: it passes on what the step prints, to the last line.

Dagster has a step write into a file, and `tail` copy that file to where the container's log comes
from. When the process ends at once, by a signal or `os._exit`, the last lines never get there; and
those are the ones that say why. Here the step writes into a pipe, and another process reads it that
outlives the step. As the first process of its pod it also hands on signals and ends with the step's
own exit code.
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
"""Where a step's process finds the files by which it has its output captured."""

STREAMS: Final = {1: "stdout", 2: "stderr"}
"""File descriptors that are passed on, and the names of the files in the folder."""

_LOCK: Final = "lock"
_CHUNK: Final = 65536
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1)
_BY_SIGNAL: Final = 128
_LAST_WORDS_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.001


def begin() -> None:
    """Go on in a child process; this one stays as its supervisor and never returns.

    To be called before there are threads.
    """
    folder = Path(tempfile.mkdtemp(prefix="step-output-"))
    (folder / _LOCK).touch()
    pipes = {number: os.pipe() for number in STREAMS}
    signals = _Signals()
    child = os.fork()
    if child == 0:
        signals.give_back()
        for number, (source, sink) in pipes.items():
            os.dup2(sink, number)
            os.close(source)
            os.close(sink)
        os.environ[FOLDER_ENV] = str(folder)
        return
    signals.hand_on_to(child)
    for _, sink in pipes.values():
        os.close(sink)
    sources = {source: number for number, (source, _) in pipes.items()}
    _supervise(child, signals.wakes, sources, folder)


class _Signals:
    """Signals that are meant for the step; the first process of a pod gets them all.

    Those that come before there is a step are handed on to it as soon as there is.
    """

    def __init__(self) -> None:
        self.wakes, self._wake = os.pipe()
        """What can be read once a process has ended."""
        self._step: int | None = None
        self._early: list[int] = []
        self._before = {number: signal.signal(number, self._hand_on) for number in _SIGNALS}

    def hand_on_to(self, step: int) -> None:
        self._step = step
        for number in self._early:
            self._hand_on(number, None)
        os.set_blocking(self._wake, False)
        signal.set_wakeup_fd(self._wake)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)

    def give_back(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self.wakes)
        os.close(self._wake)

    def _hand_on(self, number: int, _frame: object) -> None:
        if self._step is None:
            self._early.append(number)
            return
        with suppress(ProcessLookupError):
            os.kill(self._step, number)


def _supervise(child: int, wakes: int, sources: dict[int, int], folder: Path) -> NoReturn:
    """Pass on what comes until the child has ended; then what is left, and its exit code."""
    status, deadline = _reap(child), 0.0
    with (folder / _LOCK).open() as lock:
        while True:
            ready, _, _ = select.select([wakes, *sources], [], [], None if status is None else 0)
            for source in ready:
                if source == wakes:
                    os.read(wakes, _CHUNK)
                elif not _pass_on(source, sources[source], folder, lock.fileno()):
                    del sources[source]
            if status is None:
                status, deadline = _reap(child), time.monotonic() + _LAST_WORDS_SECONDS
            elif not ready or time.monotonic() > deadline:
                break
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else _BY_SIGNAL - code)


def _reap(child: int) -> int | None:
    """Take leave of processes that have ended; return the child's status, if it is among them."""
    status = None
    with suppress(ChildProcessError):
        while True:
            pid, said = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            status = said if pid == child else status
    return status


def _pass_on(source: int, number: int, folder: Path, lock: int) -> bool:
    """Copy what has come to the container's log, and to the file that captures it, if any."""
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
    """Have what this process prints within also written into files, one for each of `STREAMS`.

    All of it is there when the context ends.
    """
    folder = Path(os.environ[FOLDER_ENV])
    _pass_all_on(folder)
    for number, path in paths.items():
        Path(path).touch()
        (folder / STREAMS[number]).symlink_to(path)
    try:
        yield
    finally:
        _pass_all_on(folder)
        for number in paths:
            (folder / STREAMS[number]).unlink()


def _pass_all_on(folder: Path) -> None:
    """Wait until the supervisor has read all that this process has printed."""
    sys.stdout.flush()
    sys.stderr.flush()
    with (folder / _LOCK).open() as lock:
        while True:
            with _locked(lock.fileno()):
                if not any(_waiting_bytes(number) for number in STREAMS):
                    return
            time.sleep(_LOOK_SECONDS)


def _waiting_bytes(number: int) -> int:
    (count,) = struct.unpack("i", fcntl.ioctl(number, termios.FIONREAD, b"\0\0\0\0"))
    return int(count)
