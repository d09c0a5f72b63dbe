"""The lines in a pod's log by which it reports what its definitions are.

The same log has all that the team's code prints. Four things keep the report apart from it:

- Every line begins with a mark that the caller chose for this pod, so no other text has it.
- A line is written at once, with a line break before and after it, and is at most `PIPE_BUF` long.
  The kernel never puts another process's output into the middle of such a write
  (https://man7.org/linux/man-pages/man7/pipe.7.html), and no container runtime splits the line.
- A line has its number and the number of all lines, so a missing one is noticed.
- The content is compressed: the report of most code locations is one line.

This module imports only the standard library: the pod and `bulkhead deploy` share it.
"""

import base64
import json
import re
import zlib
from collections.abc import Mapping
from typing import Any, Final, cast

MARK_ENV: Final = "BULKHEAD_REPORT_MARK"
"""Names the variable with the mark. It is removed before the team's code is imported."""

_LONGEST_LINE: Final = 4096  # PIPE_BUF of Linux, in bytes
_LONGEST_NUMBER: Final = 20  # bytes: two numbers, a slash and spaces


class ReportError(ValueError):
    """A log has no report, or not all of it."""


def lines(mark: str, content: Mapping[str, Any]) -> list[bytes]:
    """Return the lines of a report, each to be written at once.

    Args:
        mark: ASCII without spaces, at most 200 characters.
        content: a JSON object.
    """
    packed = base64.b64encode(zlib.compress(json.dumps(content, sort_keys=True).encode()))
    size = _LONGEST_LINE - len(mark) - _LONGEST_NUMBER
    parts = [packed[start : start + size] for start in range(0, len(packed), size)]
    return [
        b"\n%s %d/%d %s\n" % (mark.encode(), number, len(parts), part)
        for number, part in enumerate(parts, start=1)
    ]


def content(mark: str, log: str) -> dict[str, Any] | None:
    """Return the content of the report in a log; None where the log has no line of one.

    Raises:
        ReportError: a line of it is missing.
    """
    found = re.findall(rf"^{re.escape(mark)} (\d+)/(\d+) (\S+)\r?$", log, re.MULTILINE)
    if not found:
        return None
    parts = {int(number): part for number, _, part in found}
    count = int(found[-1][1])
    missing = [number for number in range(1, count + 1) if number not in parts]
    if missing:
        raise ReportError(f"line {missing[0]} of {count} is missing")
    try:
        packed = base64.b64decode("".join(parts[number] for number in range(1, count + 1)))
        return cast("dict[str, Any]", json.loads(zlib.decompress(packed)))
    except (ValueError, zlib.error) as error:
        raise ReportError(f"it cannot be read: {error}") from error


def without(mark: str, log: str) -> str:
    """Return a log without the lines of the report."""
    return re.sub(rf"\n?^{re.escape(mark)} \d+/\d+ \S+\r?\n?", "", log, flags=re.MULTILINE)
