"""What a deploy prints: a line for each stage, for people or as JSON."""

import json
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from bulkhead.deploy.load_check.differences import Differences

_NAME_WIDTH: Final = 10
_STAGE_WIDTH: Final = 9
_INDENT: Final = " " * 4


class Report(Protocol):
    """Where a deploy writes; several threads may share it."""

    def location(self, name: str, text: str) -> None:
        """Say what is going to be done with a code location."""
        ...

    def stage(self, name: str, stage: str, text: str, seconds: float) -> None:
        """Say that a stage succeeded."""
        ...

    def progress(self, name: str, stage: str, text: str) -> None:
        """Say what a stage waits for."""
        ...

    def warning(self, name: str, stage: str, text: str) -> None:
        """Say what may be a problem, although the stage goes on."""
        ...

    def differences(self, name: str, found: Differences) -> None:
        """Say in full how the definitions differ from what is live."""
        ...

    def failure(self, name: str, stage: str, reason: str, output: str) -> None:
        """Say why a stage failed, with its last output."""
        ...

    def state(self, name: str, text: str) -> None:
        """Say what is live after a failure."""
        ...

    def end(self, text: str, **facts: Any) -> None:  # noqa: ANN401 - JSON values
        """Say how the whole deploy ended."""
        ...


class TextReport:
    """Lines for people."""

    def __init__(self, names: Sequence[str], write: Callable[[str], None]) -> None:
        """Prepare.

        Args:
            names: The code locations. With several, every line begins with a name.
            write: Prints a line.
        """
        self._write = write
        self._width = max(_NAME_WIDTH, *(len(name) for name in names)) + 2
        self._prefixed = len(names) > 1
        self._lock = threading.Lock()

    def location(self, name: str, text: str) -> None:
        """Print the name and the text."""
        self._print(f"{name.ljust(self._width)}{text}")

    def stage(self, name: str, stage: str, text: str, seconds: float) -> None:
        """Print a line with the time."""
        self._print(f"{self._start(name)}✓ {stage.ljust(_STAGE_WIDTH)} {text}  {seconds:.1f} s")

    def progress(self, name: str, stage: str, text: str) -> None:
        """Print a line."""
        self._print(f"{self._start(name)}… {stage.ljust(_STAGE_WIDTH)} {text}")

    def warning(self, name: str, stage: str, text: str) -> None:
        """Print a line."""
        self._print(f"{self._start(name)}! {stage.ljust(_STAGE_WIDTH)} {text}")

    def differences(self, name: str, found: Differences) -> None:
        """Print nothing: the line of the stage has the numbers and the first names."""

    def failure(self, name: str, stage: str, reason: str, output: str) -> None:
        """Print the reason and the output."""
        lines = [f"{self._start(name)}✗ {stage.ljust(_STAGE_WIDTH)} {reason}"]
        if output:
            lines += [f"{_INDENT}Last output:", *(f"{_INDENT}  {each}" for each in _lines(output))]
        self._print("\n".join(lines))

    def state(self, name: str, text: str) -> None:
        """Print the text."""
        self._print(f"{self._start(name)}  {text}")

    def end(self, text: str, **facts: Any) -> None:  # noqa: ANN401 - JSON values
        """Print the text."""
        del facts
        self._print(text)

    def _start(self, name: str) -> str:
        return name.ljust(self._width) if self._prefixed else "  "

    def _print(self, text: str) -> None:
        with self._lock:
            self._write(text)


class JsonReport:
    """One JSON object per line, for machines."""

    def __init__(self, write: Callable[[str], None]) -> None:
        """Prepare; `write` prints a line."""
        self._write = write
        self._lock = threading.Lock()

    def location(self, name: str, text: str) -> None:
        """Print an object of kind `location`."""
        self._print("location", location=name, text=text)

    def stage(self, name: str, stage: str, text: str, seconds: float) -> None:
        """Print an object of kind `stage`."""
        self._print("stage", location=name, stage=stage, text=text, seconds=round(seconds, 2))

    def progress(self, name: str, stage: str, text: str) -> None:
        """Print an object of kind `progress`."""
        self._print("progress", location=name, stage=stage, text=text)

    def warning(self, name: str, stage: str, text: str) -> None:
        """Print an object of kind `warning`."""
        self._print("warning", location=name, stage=stage, text=text)

    def differences(self, name: str, found: Differences) -> None:
        """Print an object of kind `differences`."""
        self._print("differences", location=name, **found.as_json())

    def failure(self, name: str, stage: str, reason: str, output: str) -> None:
        """Print an object of kind `failure`."""
        self._print("failure", location=name, stage=stage, text=reason, output=output)

    def state(self, name: str, text: str) -> None:
        """Print an object of kind `state`."""
        self._print("state", location=name, text=text)

    def end(self, text: str, **facts: Any) -> None:  # noqa: ANN401 - JSON values
        """Print an object of kind `end`, with the facts."""
        self._print("end", text=text, **facts)

    def _print(self, kind: str, **fields: Any) -> None:  # noqa: ANN401 - JSON values
        with self._lock:
            self._write(json.dumps({"kind": kind, **fields}))


def _lines(output: str) -> list[str]:
    return output.strip().splitlines()
