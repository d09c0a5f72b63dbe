"""What a step prints reaches its container's log, and its end is the container's."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

DEADLINE_SECONDS = 20


def start(code: str) -> "subprocess.Popen[bytes]":
    """A process that has a supervisor, and runs this after that."""
    begin = "from bulkhead.steps import supervisor\nsupervisor.begin()\n"
    return subprocess.Popen(
        # A container starts with no signal ignored; these tests, in a script's background, do not.
        ["env", "--default-signal", sys.executable, "-c", begin + textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def ended(process: "subprocess.Popen[bytes]") -> tuple[int, str, str]:
    out, err = process.communicate(timeout=DEADLINE_SECONDS)
    return process.returncode, out.decode(), err.decode()


def test_both_streams_are_passed_on_and_the_exit_code_is_the_childs() -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    assert ended(start(code)) == (3, "out\n", "err\n")


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("os._exit(0)", 0),
        ("os._exit(7)", 7),
        ("os.kill(os.getpid(), signal.SIGKILL)", 137),
        ("ctypes.string_at(0)", 139),
        ("os.abort()", 134),
    ],
)
def test_the_last_line_is_not_lost_however_the_process_ends(end: str, code: int) -> None:
    program = f"""
    import ctypes, os, signal
    print("the last line", flush=True)
    {end}
    """
    for _ in range(5):
        assert ended(start(program))[:2] == (code, "the last line\n")


def test_much_is_passed_on_whole_and_in_order() -> None:
    code, out, _ = ended(start("for number in range(200_000): print(number)"))
    assert code == 0
    assert out == "".join(f"{number}\n" for number in range(200_000))


def test_what_children_of_the_step_print_is_passed_on() -> None:
    code = "import subprocess; subprocess.run(['sh', '-c', 'echo child; echo oops >&2'])"
    assert ended(start(code)) == (0, "child\n", "oops\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_is_handed_on_to_the_step(number: signal.Signals) -> None:
    process = start(
        f"""
        import signal, sys, time
        def end(number, frame):
            print("told to end", flush=True)
            sys.exit(5)
        signal.signal({int(number)}, end)
        print("ready", flush=True)
        time.sleep({DEADLINE_SECONDS})
        """
    )
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    assert ended(process) == (5, "told to end\n", "")


def test_a_step_that_does_not_mind_a_signal_dies_of_it() -> None:
    process = start(f"import time; print('ready', flush=True); time.sleep({DEADLINE_SECONDS})")
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 143


def test_a_process_that_the_step_leaves_behind_does_not_keep_the_pod() -> None:
    code = f"""
    import subprocess
    print(subprocess.Popen(["sleep", "{DEADLINE_SECONDS}"]).pid)
    """
    began = time.monotonic()
    process = start(code)
    assert process.stdout
    left_behind = int(process.stdout.readline())
    assert process.wait(DEADLINE_SECONDS) == 0
    os.kill(left_behind, signal.SIGKILL)
    assert time.monotonic() - began < DEADLINE_SECONDS


def test_what_is_printed_within_a_capture_is_in_its_files_when_it_ends(tmp_path: Path) -> None:
    code = f"""
    import os, subprocess, sys
    print("before")
    with supervisor.captured({{1: "{tmp_path}/out", 2: "{tmp_path}/err"}}):
        for number in range(20_000):
            print(number)
        subprocess.run(["sh", "-c", "echo child; echo oops >&2"])
        sys.stdout.flush()
    print(open("{tmp_path}/out").read().count("\\n"), open("{tmp_path}/err").read())
    """
    code, out, err = ended(start(code))
    assert code == 0, err
    captured = (tmp_path / "out").read_text()
    numbers = "".join(f"{number}\n" for number in range(20_000))
    assert sorted(captured) == sorted(numbers + "child\n")
    assert out.startswith("before\n")
    assert out.endswith("20001 oops\n\n")
    assert err == "oops\n"


def test_a_step_that_dies_within_a_capture_has_all_it_printed_in_the_log(tmp_path: Path) -> None:
    code = f"""
    import os
    with supervisor.captured({{1: "{tmp_path}/out", 2: "{tmp_path}/err"}}):
        print("the last line", flush=True)
        os._exit(1)
    """
    assert ended(start(code)) == (1, "the last line\n", "")
    assert (tmp_path / "out").read_text() == "the last line\n"
