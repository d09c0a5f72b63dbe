"""What the log of a load check's pod says to people."""

import re
from pathlib import PurePosixPath
from typing import Final, NamedTuple

from bulkhead.code_location import report_lines

_LAST_LINES: Final = 30
_LAST_CHARACTERS: Final = 4000
_MOST_FRAMES: Final = 10

# A line of what `faulthandler` prints; see bulkhead.code_location.first_process.
_FRAME: Final = re.compile(r'  File "(?P<file>[^"]*)", line (?P<line>\d+) in (?P<function>.*)')
_FRAMEWORK: Final = re.compile(
    r"^<frozen|/site-packages/dagster|/importlib/|/bulkhead/(location|dagster_compat)\.py$|"
    r"/bulkhead/code_location/\w+\.py$"
)
_LIBRARY: Final = re.compile(r"/lib/python3")


class Hang(NamedTuple):
    """Where the code was when its time was over."""

    place: str | None
    """The team's own line, such as `connect (warehouse.py, line 12)`; None: not known."""
    last_output: str


def last_output(log: str, mark: str) -> str:
    """Return the end of what the pod printed, without the report: at most 30 lines."""
    lines = report_lines.without(mark, log).strip().splitlines()[-_LAST_LINES:]
    return "\n".join(lines)[-_LAST_CHARACTERS:]


def of_hang(stack: str, log: str, mark: str) -> Hang:
    """Return where the code of a pod was when it was told to end.

    Args:
        stack: what the pod has reported; empty where it has not.
        log: of the pod.
        mark: of its report.
    """
    if not stack:
        return Hang(None, last_output(log, mark))
    frames = [
        frame
        for line in stack.splitlines()
        if (frame := _FRAME.fullmatch(line)) and not _FRAMEWORK.search(frame["file"])
    ]
    own = [each for each in frames if not _LIBRARY.search(each["file"])] or frames
    shown = [each[0] for each in frames[:_MOST_FRAMES]]
    printed = last_output(log.replace(stack.strip(), ""), mark)
    parts = [printed, "\n".join(["Stack (most recent call first):", *shown])]
    return Hang(_place(own[0]) if own else None, "\n\n".join(filter(None, parts)))


def _place(frame: re.Match[str]) -> str:
    where = f"{PurePosixPath(frame['file']).name}, line {frame['line']}"
    return where if frame["function"] == "<module>" else f"{frame['function']} ({where})"
