"""The report of a load check, whatever the team's code does while it is imported."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from packages.bulkhead.tests.test_load_check.reporting import (
    COMMAND,
    MARK,
    SECONDS,
    Reported,
    environment,
    report,
    report_of,
)

from bulkhead import names
from bulkhead.code_location import report_lines
from bulkhead.deploy.load_check import output

DEFINED = """
import dagster as dg

@dg.job
def nightly(): ...

defs = dg.Definitions(jobs=[nightly])
"""


def assert_reported(reported: Reported) -> None:
    assert reported.summary["jobs"].keys() == {"nightly"}


# --- Errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "message", "words"),
    [
        (
            "import dagster as dg\ndefs = dg.Definitions(\n",
            "SyntaxError: '(' was never closed (project.py, line 2)",
            ["project.py", "line 2", "defs = dg.Definitions("],
        ),
        (
            "def load():\n    import not_installed\nload()\n",
            "ModuleNotFoundError: No module named 'not_installed'",
            ["line 3, in <module>", "line 2, in load", "import not_installed"],
        ),
        (
            "raise ValueError('the team\\'s own\\nmistake: größer')\n",
            "ValueError: the team's own",
            ["mistake: größer", "line 1, in <module>"],
        ),
        (
            "import dagster as dg\n@dg.definitions\ndef defs():\n    return 1 / 0\n",
            "ZeroDivisionError: division by zero",
            ["line 4, in defs", "return 1 / 0"],
        ),
        (
            """
from bulkhead.steps import step_resources
import dagster as dg
@dg.op(tags=step_resources(memory='64Mi'))
def small(): ...
""",
            "DagsterInvalidDefinitionError: op small: memory: 64Mi is too little.",
            ["line 4, in <module>"],
        ),
        (
            """
import dagster as dg
@dg.asset
def a(missing): ...
defs = dg.Definitions(assets=[a])
""",
            'DagsterInvalidDefinitionError: Input asset "["missing"]" is not produced',
            [],
        ),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3", ["line 2, in <module>", "sys.exit(3)"]),
    ],
    ids=["syntax", "import", "raise", "lazily", "resources", "assets", "sys.exit"],
)
def test_an_error_is_reported_with_the_frames_of_the_team(
    tmp_path: Path, source: str, message: str, words: list[str]
) -> None:
    reported = report_of(source, tmp_path)
    assert reported.error["message"].startswith(message)
    traceback = reported.error["traceback"]
    assert [word for word in words if word not in traceback] == []
    assert [line for line in traceback.splitlines() if "/site-packages/dagster/" in line] == []
    assert [line for line in traceback.splitlines() if "/bulkhead/code_location/" in line] == []
    assert traceback.strip() in reported.printed, "the log is for people"


def test_an_error_is_the_same_with_every_supported_dagster(tmp_path: Path, python: Path) -> None:
    (tmp_path / "project.py").write_text("import not_installed\n")
    reported = report(tmp_path, {names.DEFINITIONS_MODULE_ENV: "project"}, python)
    assert reported.error == {
        "message": "ModuleNotFoundError: No module named 'not_installed'",
        "traceback": textwrap.dedent(
            f"""\
            ModuleNotFoundError: No module named 'not_installed'

            Stack Trace:
              File "{tmp_path}/project.py", line 1, in <module>
                import not_installed
            """
        ),
    }


def test_a_missing_module_is_reported_without_a_traceback(tmp_path: Path) -> None:
    reported = report(tmp_path, {names.DEFINITIONS_MODULE_ENV: "no_such_module"})
    assert "there is no module 'no_such_module'" in reported.error["message"]
    assert "File" not in reported.error["traceback"]


def test_a_dagster_that_cannot_be_imported_is_an_error_too(tmp_path: Path) -> None:
    (tmp_path / "dagster").mkdir()
    (tmp_path / "dagster" / "__init__.py").write_text("raise ImportError('broken lock')")
    searched = f"{tmp_path}{os.pathsep}{environment({})['PYTHONPATH']}"
    reported = report_of(DEFINED, tmp_path, PYTHONPATH=searched)
    assert reported.error["message"] == "ImportError: broken lock"
    assert "raise ImportError" in reported.error["traceback"]


def test_a_long_traceback_keeps_its_beginning_and_its_end(tmp_path: Path) -> None:
    reported = report_of("raise ValueError('begin' + 10**6 * 'x' + 'end')\n", tmp_path)
    assert len(reported.error["message"]) == 500
    assert len(reported.error["traceback"]) < 21_000
    assert "begin" in reported.error["traceback"]
    assert "characters left out" in reported.error["traceback"]
    assert "line 1, in <module>" in reported.error["traceback"]


@pytest.mark.parametrize(
    ("ending", "exit_code"),
    [("os._exit(3)", 3), ("os.kill(os.getpid(), 9)", 128 + 9), ("os.abort()", 128 + 6)],
)
def test_a_process_that_ends_at_once_reports_nothing_and_loses_no_output(
    tmp_path: Path, ending: str, exit_code: int
) -> None:
    source = f"import os\nprint('before the end')\n{ending}\n"
    reported = report_of(source, tmp_path, PYTHONUNBUFFERED="")
    assert (reported.exit_code, reported.content) == (exit_code, None)
    assert "before the end" in reported.printed


# --- Output of the team's code --------------------------------------------------------------------

FORGED = report_lines.lines(MARK, {"summary": {"jobs": {"forged": {}}}})[0].decode()
OTHER = report_lines.lines("shop-load-check-4be1ff00-ffffffff", {"summary": {}})[0].decode()
DEFAULT = report_lines.lines("bulkhead-report", {"summary": {}})[0].decode()

OUTPUTS = {
    "reports of other pods": f"print({OTHER!r}); print({DEFAULT!r})",
    "its mark is not known to the code": f"""
import os
assert {report_lines.MARK_ENV!r} not in os.environ
assert {MARK!r} not in str(dict(os.environ))
""",
    "a line that does not end": "import sys; sys.stdout.write('no end'); sys.stderr.write('too')",
    "bytes that are not text": r"import os; os.write(1, b'\xff\xfe\x00'); os.write(2, b'\xc3')",
    "unicode": "print('größer \N{SNOWMAN} \\u2028 \\x1b[31m'); print('a\\rb\\x0b\\x0c\\x1c\\x85')",
    "five megabytes": "print('x' * 5_000_000, end=''); [print(f'line {n}') for n in range(10_000)]",
    "a closed stdout": "import sys; sys.stdout.close()",
    "closed descriptors": "import os; os.close(1); os.close(2)",
    "another stdout": "import io, sys; sys.stdout = io.StringIO(); print('swallowed')",
    "no stdout": "import sys; sys.stdout = sys.stderr = None",
    "a pipe that does not block": "import os; os.set_blocking(1, False); os.set_blocking(2, False)",
    "exit handlers": "import atexit; atexit.register(lambda: print('bye'))",
    "an excepthook": "import sys; sys.excepthook = lambda *_: print('hooked')",
    "a thread that never ends": """
import threading, time
threading.Thread(target=lambda: time.sleep(3600)).start()
""",
    "a thread that prints all the time": """
import os, threading
def talk():
    while True:
        os.write(1, b'talk ' * 100)
threading.Thread(target=talk, daemon=True).start()
""",
    "processes that print all the time": f"""
import subprocess, sys
code = "import os, time; end = time.time() + 6\\n"
code += "while time.time() < end: os.write(1, b'talk' * 900)"
for _ in range(2):
    subprocess.Popen([{sys.executable!r}, '-c', code])
""",
    "a file that it reads from stdin": "import sys; assert sys.stdin.read() == ''",
}


@pytest.mark.parametrize("output_of_team", OUTPUTS.values(), ids=OUTPUTS)
def test_output_cannot_be_confused_with_the_report_or_break_it(
    tmp_path: Path, output_of_team: str
) -> None:
    assert_reported(report_of(f"{output_of_team}\n{DEFINED}", tmp_path))


def test_what_the_code_prints_is_in_the_log_in_its_order(tmp_path: Path) -> None:
    source = "import sys\nprint('one')\nprint('two', file=sys.stderr)\nprint('three')\n"
    reported = report_of(source + DEFINED, tmp_path)
    assert_reported(reported)
    assert reported.printed.split() == ["one", "two", "three"]


def test_stdout_and_stderr_are_one_stream_so_that_their_order_is_kept(tmp_path: Path) -> None:
    (tmp_path / "project.py").write_text(f"import os\nos.write(2, b'oops')\n{DEFINED}")
    done = subprocess.run(
        [sys.executable, *COMMAND],
        cwd=tmp_path,
        env=environment({names.DEFINITIONS_MODULE_ENV: "project"}),
        capture_output=True,
        check=True,
    )
    assert done.stdout.startswith(b"oops\n")
    assert done.stderr == b""


def test_a_large_summary_has_several_lines_and_each_is_written_at_once(tmp_path: Path) -> None:
    source = """
import hashlib
import dagster as dg
names = [f"a_{hashlib.sha256(str(n).encode()).hexdigest()}" for n in range(300)]
defs = dg.Definitions(assets=[dg.AssetSpec(name) for name in names])
"""
    reported = report_of(source, tmp_path)
    assert len(reported.summary["assets"]) == 300
    lines = [line for line in reported.log.splitlines() if line.startswith(MARK)]
    assert len(lines) > 2
    assert max(map(len, lines)) < 4096


# --- As the code server ---------------------------------------------------------------------------

OBSERVING = """
import json, logging, os, sys, threading
logger = logging.getLogger("dagster")
observed = {
    "cwd": os.getcwd(),
    "environment": {
        name: value for name, value in sorted(os.environ.items())
        if name not in ("OBSERVED", "LINES", "COLUMNS")
    },
    "path": sys.path,
    "logger": [logger.level, logger.propagate, *(type(each).__name__ for each in logger.handlers)],
    "is_main_thread": threading.current_thread() is threading.main_thread(),
}
open(os.environ["OBSERVED"], "w").write(json.dumps(observed))
"""


def test_the_code_sees_the_same_process_as_in_the_code_server(tmp_path: Path) -> None:
    def observed(name: str) -> dict[str, Any]:
        return json.loads((tmp_path / name).read_text())

    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    (tmp_path / ".env").write_text("OF_DOT_ENV=1\n")
    settings = {names.DAGSTER_HOME_ENV: str(home)}
    source = OBSERVING + DEFINED
    assert_reported(report_of(source, tmp_path, **settings, OBSERVED=str(tmp_path / "report")))
    settings = {**settings, "OBSERVED": str(tmp_path / "server")}
    inherited = environment({names.DEFINITIONS_MODULE_ENV: "project", **settings})
    del inherited[report_lines.MARK_ENV]
    dagster = Path(sys.executable).with_name("dagster")
    server = subprocess.Popen(
        [dagster, "api", "grpc", "--module-name=bulkhead.location", f"--socket={tmp_path}/socket"],
        cwd=tmp_path,
        env=inherited,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert server.stdout
    for line in server.stdout:
        if "Started Dagster code server" in line:
            break
    server.terminate()
    server.wait()
    assert observed("report") == observed("server")
    assert observed("report")["environment"]["OF_DOT_ENV"] == "1"


def test_a_definition_that_cannot_be_described_is_an_error(tmp_path: Path) -> None:
    """The code server loads it, and fails when the web server requests the definitions."""
    source = """
import dagster as dg

class Unknown(dg.PartitionsDefinition):
    def get_partition_keys(self, *_, **__):
        return ["a"]
    def get_paginated_partition_keys(self, *_, **__):
        raise NotImplementedError

@dg.asset(partitions_def=Unknown())
def odd(): ...

defs = dg.Definitions(assets=[odd])
"""
    message = report_of(source, tmp_path).error["message"]
    assert "Custom PartitionsDefinition subclasses are not supported" in message


# --- Waiting --------------------------------------------------------------------------------------

WAITS = {
    "python": "time.sleep(600)",
    "native": "ctypes.CDLL(None).sleep(600)",
}


def stopped_while_it_waits(folder: Path, source: str) -> Reported:
    """Send SIGTERM to the process after the code has printed `connecting`."""
    (folder / "project.py").write_text(source)
    process = subprocess.Popen(
        [sys.executable, *COMMAND],
        cwd=folder,
        env=environment({names.DEFINITIONS_MODULE_ENV: "project"}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout
    log = b""
    while b"connecting" not in log:
        part = os.read(process.stdout.fileno(), 4096)
        assert part, log
        log += part
    time.sleep(0.2)  # what comes next waits
    process.send_signal(signal.SIGTERM)
    log += process.stdout.read()
    return Reported(process.wait(), log.decode())


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_the_end_of_a_process_that_waits_reports_where(tmp_path: Path, wait: str) -> None:
    source = f"""import ctypes, time
print("connecting", end="", flush=True)
# Dagster has its own handler of SIGTERM.
from dagster._utils.interrupts import setup_interrupt_handlers as s; s()
def connect():
    {wait}
connect()
"""
    stopped = stopped_while_it_waits(tmp_path, source)
    assert stopped.exit_code == 128 + signal.SIGTERM
    assert stopped.content
    hang = output.of_hang(stopped.content["stack"], stopped.log, MARK)
    assert hang.place == "connect (project.py, line 6)"
    assert hang.last_output == textwrap.dedent(
        f"""\
        connecting

        Stack (most recent call first):
          File "{tmp_path}/project.py", line 6 in connect
          File "{tmp_path}/project.py", line 7 in <module>"""
    )


def test_a_process_whose_definitions_wait_in_their_first_lines_reports_where(
    tmp_path: Path,
) -> None:
    stopped = stopped_while_it_waits(
        tmp_path, "import time; print('connecting', flush=True)\ntime.sleep(3600)\n"
    )
    assert stopped.content
    hang = output.of_hang(stopped.content["stack"], stopped.log, MARK)
    assert hang.place == "project.py, line 2"


def test_a_log_that_nobody_reads_does_not_keep_the_process(tmp_path: Path) -> None:
    (tmp_path / "project.py").write_text(DEFINED)
    process = subprocess.Popen(
        [sys.executable, *COMMAND],
        cwd=tmp_path,
        env=environment({names.DEFINITIONS_MODULE_ENV: "project"}),
        stdout=subprocess.PIPE,
    )
    assert process.stdout
    process.stdout.close()
    assert process.wait(SECONDS) == 1


# --- Memory ---------------------------------------------------------------------------------------


def test_an_error_says_that_the_kernel_has_killed_processes_of_the_code(tmp_path: Path) -> None:
    """A process that the code starts may be killed alone, and the code goes on."""
    source = """
import os
from bulkhead.steps import usage
usage.oom_kills = lambda: 10**6
raise ValueError("the process was killed")
"""
    content = report_of(source, tmp_path).content
    assert content
    assert content["error"]["message"] == "ValueError: the process was killed"
    assert content["oom_kills"] > 0
