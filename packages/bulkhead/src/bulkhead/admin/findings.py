"""What a check of `bulkhead doctor` returns, and what the checks share."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from typing import Final

from bulkhead.admin.snapshot import Contents

PLATFORM: Final = "platform"
"""The subject of findings that concern no single code location."""

SYNC_CONTAINER: Final = "workspace-sync"

_LONGEST_ERROR: Final = 400


class Level(str, Enum):
    """How severe a finding is."""

    OK = "ok"
    WARNING = "warning"
    """It works now; somebody should know about it."""
    PROBLEM = "problem"
    """Something does not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about one thing, and what to do."""

    level: Level
    subject: str
    """`PLATFORM`, or the name of a code location."""
    sentence: str
    advice: str | None = None


def ok(subject: str, sentence: str) -> Finding:
    """Return a finding that needs no action."""
    return Finding(Level.OK, subject, sentence)


def warning(subject: str, sentence: str, advice: str) -> Finding:
    """Return a finding about something that works now."""
    return Finding(Level.WARNING, subject, sentence, advice)


def problem(subject: str, sentence: str, advice: str) -> Finding:
    """Return a finding about something that does not work."""
    return Finding(Level.PROBLEM, subject, sentence, advice)


def check_readable(subject: str, contents: Contents, namespace: str) -> Iterator[Finding]:
    """Report each kind that this user may not list."""
    for kind, reason in contents.unreadable.items():
        yield warning(
            subject,
            f"You may not list {kind} in namespace {namespace}, so they were not checked: {reason}",
            "Run `bulkhead doctor` as a user who may list them.",
        )


def one_line(text: str) -> str:
    """Return an error text in one line of at most 400 characters."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_ERROR else f"{line[: _LONGEST_ERROR - 1]}…"


def utc(seconds: float) -> str:
    """Return seconds since the epoch as date and time in UTC."""
    return f"{datetime.fromtimestamp(seconds, tz=timezone.utc):%Y-%m-%d %H:%M:%S} UTC"
