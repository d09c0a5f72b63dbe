"""The first process of a load check's pod reports how the second one ended, and ends as it did."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

SECONDS = 20

# Prints what is reported as a line of JSON, and continues in the child.
BEGIN = """
import ctypes, json, os, signal, subprocess, sys, threading, time
from bulkhead.code_location import first_process

def report(content):
    os.write(1, json.dumps(content).encode() + b"\\n")

"""
READY = "os.write(1, b'ready\\n')\n"


def start(
    code: str, *, oom_kills: int = 0, before: str = "", wrapper: Sequence[str] = ()
) -> "subprocess.Popen[str]":
    begin = f"{before}\nfirst_process.begin(report, lambda: {oom_kills})\n"
    return subprocess.Popen(
        # A container starts with no signal ignored; these tests, in a script's background, do not.
        ["env", "--default-signal", *wrapper, sys.executable, "-c", BEGIN + begin + code],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(code: str, **options: Any) -> tuple[int, str]:
    process = start(code, **options)
    out, _ = process.communicate(timeout=SECONDS)
    return process.returncode, out


def stopped(code: str, number: int = signal.SIGTERM, **options: Any) -> tuple[int, str]:
    """Run code that prints READY, and send a signal then."""
    process = start(code, **options)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)  # the line after READY waits
    process.send_signal(number)
    out, _ = process.communicate(timeout=SECONDS)
    return process.returncode, out


def stack(out: str) -> list[str]:
    """The functions of the reported stack, the innermost first."""
    title, *frames = json.loads(out.splitlines()[-1])["stack"].splitlines()
    assert title == "Stack (most recent call first):"
    return [frame.rpartition(" in ")[2] for frame in frames]


# --- It ends as the code does ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        ("", 0),
        ("sys.exit(0)", 0),
        ("sys.exit(7)", 7),
        ("os._exit(0)", 0),
        ("os._exit(3)", 3),
        ("raise ValueError", 1),
        ("os.kill(os.getpid(), signal.SIGKILL)", 137),
        ("os.kill(os.getpid(), signal.SIGTERM)", 143),
        ("os.abort()", 134),
        ("ctypes.string_at(0)", 139),
        ("os.execv('/bin/sh', ['sh', '-c', 'exit 5'])", 5),
    ],
)
def test_the_exit_code_is_that_of_the_code_and_nothing_is_reported(
    code: str, exit_code: int
) -> None:
    code_of_process, out = run(f"print('the last line', flush=True)\n{code}", oom_kills=0)
    assert code_of_process == exit_code
    assert out.startswith("the last line\n")
    assert "{" not in out


def test_an_oom_kill_of_the_code_is_reported() -> None:
    code, out = run("os.kill(os.getpid(), signal.SIGKILL)", oom_kills=2)
    assert (code, json.loads(out)) == (137, {"oom_kills": 2})


@pytest.mark.parametrize(("code", "exit_code"), [("os._exit(3)", 3), ("os.abort()", 134)])
def test_an_oom_kill_of_another_process_is_not_reported_as_the_end(
    code: str, exit_code: int
) -> None:
    assert run(code, oom_kills=1) == (exit_code, "")


# --- It shows where the code waits ----------------------------------------------------------------

# Each waits in the function `wait`.
WAITS = {
    "sleep": "time.sleep(600)",
    "native": "ctypes.CDLL(None).sleep(600)",
    "native, with the interpreter locked": "ctypes.PyDLL(None).sleep(600)",
    "regular expression": "import re; re.fullmatch('(a*)*b', 64 * 'a')",
    "lock": "lock = threading.Lock(); lock.acquire(); lock.acquire()",
    "condition": "threading.Event().wait()",
    "loop": "\n    while True: pass",
    "read": "source, _ = os.pipe(); os.read(source, 1)",
    "process": "subprocess.run(['sleep', '20'], stdout=-3, stderr=-3)",
    "exception handler that waits": """
    try:
        time.sleep(600)
    except BaseException:
        time.sleep(600)""",
    "recursion": """
    def deeper(n):
        time.sleep(600) if n == 0 else deeper(n - 1)
    deeper(900)""",
}


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_the_place_is_shown_wherever_the_code_waits(wait: str) -> None:
    code, out = stopped(f"def wait():\n    {wait}\n{READY}wait()")
    assert code == 128 + signal.SIGTERM
    assert stack(out)[0] == "deeper" or "wait" in stack(out)


@pytest.mark.parametrize(
    "handler",
    [
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
        "signal.signal(signal.SIGTERM, lambda *_: os._exit(0))",
        "signal.signal(signal.SIGUSR1, signal.SIG_IGN)",
        "import faulthandler; faulthandler.enable(); faulthandler.register(signal.SIGUSR1)",
        "from dagster._utils.interrupts import setup_interrupt_handlers as s; s()",
    ],
)
def test_handlers_of_the_code_change_nothing(handler: str) -> None:
    code, out = stopped(f"{handler}\ndef wait():\n    time.sleep(600)\n{READY}wait()")
    assert (code, stack(out)[:2]) == (128 + signal.SIGTERM, ["wait", "<module>"])


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP"])
def test_every_signal_that_ends_a_container_shows_the_place(name: str) -> None:
    number = signal.Signals[name]
    code, out = stopped(f"{READY}time.sleep(600)", number)
    assert (code, stack(out)) == (128 + number, ["<module>"])


def test_the_main_thread_is_shown_and_output_of_others_is_not_in_its_stack() -> None:
    code, out = stopped(
        f"""
def talk():
    while True:
        os.write(1, b"talk talk talk\\n")
{READY}
threading.Thread(target=talk, daemon=True).start()
def wait():
    time.sleep(600)
wait()
"""
    )
    assert (code, stack(out)) == (128 + signal.SIGTERM, ["wait", "<module>"])


def test_code_that_closes_all_files_still_ends() -> None:
    code, out = stopped(f"{READY}os.closerange(0, 256)\ntime.sleep(600)")
    assert (code, out) == (128 + signal.SIGTERM, "")


def test_a_report_that_nobody_reads_does_not_keep_it() -> None:
    process = start(f"{READY}time.sleep(600)")
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    process.stdout.close()
    process.send_signal(signal.SIGTERM)
    assert process.wait(SECONDS) == 128 + signal.SIGTERM


# --- As the first process of a pod ----------------------------------------------------------------

LEFT_BEHIND = """
def leave(*command):
    "Start a process that the first one gets, because its own parent ends."
    source, sink = os.pipe()
    if os.fork() == 0:
        started = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        os.write(sink, str(started.pid).encode())
        os._exit(0)
    os.wait()
    return int(os.read(source, 20))
"""
# What the kernel does in a pod: https://man7.org/linux/man-pages/man2/PR_SET_CHILD_SUBREAPER.2const.html
ADOPT = "ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)"


def test_processes_that_the_code_leaves_behind_are_reaped() -> None:
    code, out = run(
        f"""{LEFT_BEHIND}
pids = [leave("true") for _ in range(3)]
end = time.monotonic() + 10
while any(os.path.exists(f"/proc/{{pid}}") for pid in pids):
    assert time.monotonic() < end
    time.sleep(0.01)
sys.exit(4)
""",
        before=ADOPT,
    )
    assert (code, out) == (4, "")


FORKED = """
def leave_forked():
    child = os.fork()
    if child == 0:
        time.sleep(600)
    return child
"""


@pytest.mark.parametrize("leave", ["leave('sleep', '600')", "leave_forked()"])
def test_processes_that_still_run_do_not_keep_it(leave: str) -> None:
    process = start(f"{LEFT_BEHIND}{FORKED}\nprint({leave}, flush=True)\nos._exit(4)")
    assert process.stdout
    left_behind = int(process.stdout.readline())
    assert process.wait(SECONDS) == 4
    os.kill(left_behind, signal.SIGKILL)


@pytest.mark.needs_root
@pytest.mark.skipif(
    os.geteuid() != 0, reason="needs root, for a PID namespace: run `sudo make root-test`"
)
def test_as_process_1_it_gets_signals_and_ends_with_all_that_the_code_has_started() -> None:
    code = f"{LEFT_BEHIND}\nassert os.getppid() == 1\nleave('sleep', '600')\n{READY}time.sleep(600)"
    process = start(code, wrapper=("unshare", "--pid", "--fork", "--kill-child"))
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    (first,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(first), signal.SIGTERM)
    out, _ = process.communicate(timeout=SECONDS)
    assert (process.returncode, stack(out)) == (128 + signal.SIGTERM, ["<module>"])
