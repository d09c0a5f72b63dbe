"""Programs of the demo end with it, with their child processes."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import pytest

from bulkhead_demo.flow import FlowError
from bulkhead_demo.processes import ProcessError, Processes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open("child", "w").write(str(child.pid))
print("hello", flush=True)
time.sleep(60)
"""

IGNORES_SIGTERM = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open("ready", "w").close()
time.sleep(60)
"""


def start(processes: Processes, folder: Path, code: str) -> None:
    # If this process ignores SIGINT, as in the background of a script, Dagster makes it ignore
    # SIGTERM too. The program would inherit that.
    command = ["env", "--default-signal", sys.executable, "-c", code]
    processes.start("program", command, env=dict(os.environ), cwd=folder)


def until(is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.02)
    return is_so()


def is_alive(pid: int) -> bool:
    """Return whether a process exists and is no zombie."""
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123 - a file of the kernel
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_when_the_flow_fails_the_programs_and_their_children_end(tmp_path: Path) -> None:
    child = tmp_path / "child"

    def play() -> None:
        with Processes(tmp_path) as processes:
            start(processes, tmp_path, PARENT)
            assert until(lambda: child.exists() and bool(child.read_text()))
            raise FlowError("a run failed")

    with pytest.raises(FlowError):
        play()
    assert until(lambda: not is_alive(int(child.read_text())))


def test_a_program_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    with Processes(tmp_path, stop_timeout=0.1) as processes:
        start(processes, tmp_path, IGNORES_SIGTERM)
        assert until((tmp_path / "ready").exists)
        (running,) = processes.running
    assert running.process.returncode == -9


def test_a_program_that_ends_by_itself_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        start(processes, tmp_path, "print('no port left'); raise SystemExit(3)")
        processes.running[0].process.wait()
        with pytest.raises(ProcessError, match=r"program exited with code 3.*\n.*no port left"):
            processes.check()


def test_a_program_that_runs_is_no_error(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        start(processes, tmp_path, "import time; time.sleep(60)")
        processes.check()
