"""The first process of a load check's pod: it reports what the second one cannot report itself.

The team's code is imported in a child process. A process that is in a native library, or that was
OOM-killed, reports nothing. So this one does two things:

- On a signal to end, it has the child print its stack and end. Python's own handlers of signals run
  only between two lines of Python; `faulthandler` also works within a native library.
- It knows how the child ended, and whether the kernel OOM-killed it. Where the kernel kills only
  one process of a container, the container's own status may not say so.

As the first process of the pod, it also reaps processes that the code leaves behind, and it exits
with the exit code of the child. It has imported next to nothing, so the kernel does not choose it
when memory runs out.
"""

import faulthandler
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any, Final, NoReturn

_STOPS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
"""How a container runtime, or a person, ends the pod; an image may name its own signal."""

_SHOW_STACK: Final = signal.SIGRTMAX
"""Nobody uses it, while Dagster handles SIGTERM, and teams use SIGUSR1 for stacks of their own."""

_LONGEST_STACK: Final = 65536  # bytes; what a pipe holds
_BY_SIGNAL: Final = 128  # as shells and container runtimes report the end by a signal

Report = Callable[[dict[str, Any]], None]


def begin(report: Report, oom_kills: Callable[[], int]) -> None:
    """Continue in a child process. This process waits for its end, and never returns.

    Call it before there are threads.

    Args:
        report: takes what is known of the end of the child: `stack`, where the code was when it was
            told to end, or `oom_kills`, the number of processes that the kernel OOM-killed. It is
            not called for a child that exits by itself.
        oom_kills: returns how many processes of this container the kernel has OOM-killed.
    """
    stack, into_stack = os.pipe()
    child = os.fork()
    if child:
        os.close(into_stack)
        _wait_for(child, stack, report, oom_kills)
    os.close(stack)
    os.set_blocking(into_stack, False)  # a stack that is too long is cut off
    # After the stack, chain=True lets the signal end the process, as it does by default.
    faulthandler.register(_SHOW_STACK, file=into_stack, all_threads=False, chain=True)


def _wait_for(child: int, stack: int, report: Report, oom_kills: Callable[[], int]) -> NoReturn:
    stopped_by = 0

    def stop(number: int, _frame: FrameType | None) -> None:
        nonlocal stopped_by
        stopped_by = number
        with suppress(ProcessLookupError):
            os.kill(child, _SHOW_STACK)

    for number in _STOPS:
        signal.signal(number, stop)
    code = os.waitstatus_to_exitcode(_reap_until(child))
    with suppress(OSError):  # nobody reads the log any more
        if shown := _read(stack):
            report({"stack": shown})
        elif code == -signal.SIGKILL and (killed := oom_kills()):
            report({"oom_kills": killed})
    if code == -_SHOW_STACK and stopped_by:
        code = -stopped_by
    os._exit(code if code >= 0 else _BY_SIGNAL - code)


def _reap_until(child: int) -> int:
    """Reap all processes that end until the child does; return its status."""
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == child:
            return status


def _read(stack: int) -> str:
    """Return what the child has written; empty where it has shown no stack."""
    os.set_blocking(stack, False)  # processes that the child leaves behind have its other end
    with suppress(BlockingIOError):
        return os.read(stack, _LONGEST_STACK).decode(errors="replace")
    return ""
