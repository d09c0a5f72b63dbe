"""What a deploy reports, as Markdown, for a comment on a pull request or the summary of a job."""

import re
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from bulkhead.deploy.load_check.differences import Differences
from bulkhead.deploy.report import Report

_LONGEST: Final = 60_000
"""Characters. GitHub rejects a longer comment: `body is too long (maximum is 65536 characters)`."""

_LONGEST_OUTPUT: Final = 4000
_MOST_DIFFERENCES: Final = 100

_SPECIAL: Final = re.compile(r"([\\`*_\[\]<>~|])")
# The signs of a difference, as code blocks of kind `diff` have them.
_SIGNS: Final = {"\N{MINUS SIGN}": "-", "~": "!"}


@dataclass(slots=True)
class _Section:
    """What is reported about one code location."""

    text: str | None = None
    lines: list[str] = field(default_factory=list[str])
    differences: str = ""
    output: str = ""
    state: str = ""

    def blocks(self, name: str, result: str | None) -> Iterator[str]:
        """Yield blocks of Markdown: the title, then what there is."""
        yield f"### {name}: {result}" if result else f"### {name}"
        if self.text and self.text != result:
            yield _plain(self.text)
        if self.lines:
            yield "\n".join(f"- {each}" for each in self.lines)
        if self.differences:
            yield _block(self.differences, "diff")
        if self.output:
            yield "Last output:"
            yield _block(self.output[-_LONGEST_OUTPUT:])
        if self.state:
            yield _plain(self.state)


class MarkdownReport:
    """Keeps what another report prints, and writes it at the end as one text."""

    def __init__(self, other: Report, write: Callable[[str], object]) -> None:
        """Prepare.

        Args:
            other: Gets everything at once.
            write: Is called once, at the end, with the text.
        """
        self._other = other
        self._write = write
        self._sections: defaultdict[str, _Section] = defaultdict(_Section)
        self._lock = threading.Lock()

    def location(self, name: str, text: str) -> None:
        """Keep the text."""
        self._other.location(name, text)
        with self._lock:
            self._sections[name].text = text

    def stage(self, name: str, stage: str, text: str, seconds: float) -> None:
        """Keep a line with the time."""
        self._other.stage(name, stage, text, seconds)
        self._add(name, f"✓ {stage}: {_plain(text)} ({seconds:.1f} s)")

    def progress(self, name: str, stage: str, text: str) -> None:
        """Keep nothing: it is over when somebody reads the text."""
        self._other.progress(name, stage, text)

    def warning(self, name: str, stage: str, text: str) -> None:
        """Keep a line."""
        self._other.warning(name, stage, text)
        self._add(name, f"**Warning:** {_plain(text)}")

    def differences(self, name: str, found: Differences) -> None:
        """Keep a line for each definition that changes."""
        self._other.differences(name, found)
        with self._lock:
            self._sections[name].differences = _diff(found.details)

    def failure(self, name: str, stage: str, reason: str, output: str) -> None:
        """Keep a line with the reason, and the end of the output."""
        self._other.failure(name, stage, reason, output)
        self._add(name, f"✗ {stage}: **{_plain(reason)}**")
        with self._lock:
            self._sections[name].output = output.strip()

    def state(self, name: str, text: str) -> None:
        """Keep the text."""
        self._other.state(name, text)
        with self._lock:
            self._sections[name].state = text

    def end(self, text: str, **facts: Any) -> None:  # noqa: ANN401 - JSON values
        """Write the text."""
        self._other.end(text, **facts)
        results = {each["location"]: each["result"] for each in facts.get("outcomes", ())}
        with self._lock:
            self._write("\n\n".join(self._blocks(text, results)) + "\n")

    def _add(self, name: str, line: str) -> None:
        with self._lock:
            self._sections[name].lines.append(line)

    def _blocks(self, text: str, results: Mapping[str, str]) -> Iterator[str]:
        yield f"## bulkhead deploy\n\n{_plain(text)}"
        written = 0
        for number, name in enumerate(sorted(self._sections)):
            block = "\n\n".join(self._sections[name].blocks(name, results.get(name)))
            written += len(block)
            if written > _LONGEST:
                yield f"{len(self._sections) - number} more code locations are in the log."
                return
            yield block


def _diff(details: str) -> str:
    lines = [_SIGNS.get(line[0], line[0]) + line[1:] for line in details.splitlines()]
    more = len(lines) - _MOST_DIFFERENCES
    return "\n".join([*lines[:_MOST_DIFFERENCES], *([f"  and {more} more"] if more > 0 else [])])


def _block(text: str, kind: str = "") -> str:
    """Return a code block; its fence is longer than any in the text."""
    longest = max((len(each) for each in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{kind}\n{text}\n{fence}"


def _plain(text: str) -> str:
    """Return a text in one line, with nothing that Markdown or HTML would read as markup."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
