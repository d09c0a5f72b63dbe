"""Loads the definitions of a code location, and reports what they are.

    python -m bulkhead.code_location.report

It is the command of the load check's pod, in the image of the team. It prints the report in marked
lines (`bulkhead.code_location.report_lines`): the summary, with exit code 0; or the error, with the
traceback and exit code 1.

On SIGTERM it prints where the code is at this moment, and ends. So a pod that loads for too long
shows what it waits for.
"""

import os
import sys
import sysconfig
import traceback
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

from bulkhead.code_location import first_process, report_lines
from bulkhead.steps import usage

if TYPE_CHECKING:
    from io import TextIOWrapper

_DEFAULT_MARK: Final = "bulkhead-report"
_LONGEST_TRACEBACK: Final = 20_000  # characters
_LONGEST_MESSAGE: Final = 500  # characters

# What Dagster puts around an error of the team's code. The second one advises to change options
# that nobody here can change.
_WRAPPERS: Final = frozenset({"DagsterUserCodeLoadError", "DagsterImportError"})

# Modules between Dagster and the team's code. Their frames help nobody.
_PACKAGE: Final = Path(__file__).parents[1]
_HIDDEN: Final = [
    str(_PACKAGE / "location.py"),
    *(
        str(_PACKAGE / "code_location" / f"{name}.py")
        for name in ("checks", "loading", "report", "target")
    ),
]


def main() -> NoReturn:
    """Load the definitions, print the report, and end the process."""
    mark = os.environ.pop(report_lines.MARK_ENV, _DEFAULT_MARK)
    output = _own_output()

    def report(content: dict[str, Any], for_people: str) -> None:
        if for_people:
            _write(output, f"\n{for_people.strip()}\n".encode(errors="replace"))
        for line in report_lines.lines(mark, content):
            _write(output, line)

    killed_before = usage.oom_kills()  # 0, except outside of a container

    def oom_kills() -> int:
        return usage.oom_kills() - killed_before

    first_process.begin(lambda content: report(content, content.get("stack", "")), oom_kills)
    _search_modules_as_the_code_server()
    content = _content()
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):  # the team's code may have closed it
            stream.flush()
    error = content.get("error")
    if error and (killed := oom_kills()):
        content["oom_kills"] = killed
    report(content, error["traceback"] if error else "")
    # Not sys.exit: a thread that the team's code started may never end.
    os._exit(1 if error else 0)


def _content() -> dict[str, Any]:
    """Return the content of the report."""
    try:
        # Imported here, so that an error in it is reported too.
        from bulkhead.code_location.loading import load_repositories
        from bulkhead.code_location.summarizing import summarize

        return {"summary": summarize(load_repositories()).as_json()}
    except (Exception, SystemExit):  # noqa: BLE001 - any error of the team's code
        return {"error": _error()}


def _own_output() -> int:
    """Return a file descriptor of the log that only this module uses.

    Everything that the team's code and its child processes print goes to the same pipe. So the
    lines of stdout and stderr keep their order, and a line of the report stays whole.
    """
    output = os.dup(1)
    os.dup2(output, 2)
    for stream in (sys.stdout, sys.stderr):
        # Nothing that is printed is lost if the code ends the process with os._exit.
        cast("TextIOWrapper", stream).reconfigure(line_buffering=True)
    return output


def _search_modules_as_the_code_server() -> None:
    """Search modules first where `dagster api grpc` does.

    Python puts the folder of a script into `sys.path`, but for `-m` the working directory.
    """
    if not getattr(sys.flags, "safe_path", False):  # new in Python 3.11
        sys.path[0] = sysconfig.get_path("scripts")


def _error() -> dict[str, str]:
    """Return the error that is being handled: one line, and the traceback."""
    error = sys.exc_info()[1]
    while error and type(error).__name__ in _WRAPPERS and error.__cause__:
        error = error.__cause__
    message = f"{type(error).__name__}: {error}".strip().splitlines()[0]
    return {"message": message[:_LONGEST_MESSAGE], "traceback": _shortened(_traceback())}


def _traceback() -> str:
    """Return the traceback with the frames of the team's code, as the Dagster UI shows it."""
    try:
        from bulkhead.dagster_compat import (
            remove_matching_lines_from_error_info,
            remove_system_frames_from_error,
            serializable_error_info_from_exc_info,
        )

        info: Any = serializable_error_info_from_exc_info(cast("Any", sys.exc_info()))
        while info.cls_name in _WRAPPERS and info.cause:
            info = info.cause
        info = remove_system_frames_from_error(info)
        info = remove_matching_lines_from_error_info(info, _HIDDEN, lambda _first, _count: None)
        return info.to_string()
    except Exception:  # noqa: BLE001 - Dagster itself cannot be imported, for example
        return traceback.format_exc()


def _shortened(text: str) -> str:
    """Leave out the middle of a text that is too long for a report."""
    if len(text) <= _LONGEST_TRACEBACK:
        return text
    half = _LONGEST_TRACEBACK // 2
    return f"{text[:half]}\n[{len(text) - 2 * half} characters left out]\n{text[-half:]}"


def _write(output: int, data: bytes) -> None:
    os.set_blocking(output, True)  # the team's code may have changed it
    while data:
        data = data[os.write(output, data) :]


if __name__ == "__main__":
    main()
