"""Shows long steps: their titles, elapsed times and logs.

On a terminal each running step has a live line. Elsewhere (CI) a step prints a line when it starts,
every 30 seconds, and when it ends.
"""

import re
import subprocess
import threading
import time
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.progress import Progress as LiveLines, SpinnerColumn, TextColumn, TimeElapsedColumn

from bulkhead_kind.process import CommandError, environment

HEARTBEAT = 30.0
"""Seconds between two lines of a running step, where there is no terminal."""

TAIL = 25
"""Lines of the log that the error of a failed step shows."""


class StepError(Exception):
    """A step failed; `str()` has the error, the end of the log, and what to do."""


class Step:
    """A running step: its commands write into its log."""

    def __init__(self, title: str, log: Path) -> None:
        """Start an empty log at `log` for the step called `title`."""
        self.title = title
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("")

    def run(
        self,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: IO[bytes] | None = None,
    ) -> None:
        """Run `command` and write its output to the log.

        `env` extends this process's environment. Raises CommandError when the command fails.
        """
        words = [str(word) for word in command]
        with self.log.open("ab") as log:
            log.write(f"$ {' '.join(words)}\n".encode())
            log.flush()
            try:
                done = subprocess.run(
                    words,
                    env=environment(env),
                    cwd=cwd,
                    stdin=stdin or subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    check=False,
                )
            except FileNotFoundError as error:
                raise CommandError(f"{words[0]} is not installed") from error
        if done.returncode:
            raise CommandError(f"`{words[0]}` exited with code {done.returncode}")


class Progress:
    """Shows steps, also several at a time; threads may share it."""

    def __init__(
        self, logs: Path, console: Console | None = None, heartbeat: float = HEARTBEAT
    ) -> None:
        """Keep the steps' logs in the folder `logs`; `heartbeat` is in seconds."""
        self.logs = logs
        self.console = console or Console(highlight=False)
        self._heartbeat = heartbeat
        self._live: LiveLines | None = None
        self._running = 0
        self._lock = threading.Lock()

    def print(self, text: str) -> None:
        """Print a line between the steps."""
        self.console.print(text, soft_wrap=True)

    @contextmanager
    def step(self, title: str) -> Generator[Step, None, None]:
        """Show a step from its start to its end.

        Raises StepError, with the end of the log, when a command or a file operation in it fails.
        """
        step = Step(title, self.logs / f"{_slug(title)}.log")
        began = time.monotonic()
        try:
            with self._shown(step, began):
                yield step
        except (CommandError, OSError) as error:
            raise StepError(_failure(step, error)) from error
        self.print(f"[green]✓[/] {title} [dim]{_seconds(began)}[/]")

    def _shown(self, step: Step, began: float) -> AbstractContextManager[None]:
        return self._live_line(step) if self.console.is_terminal else self._beats(step, began)

    @contextmanager
    def _live_line(self, step: Step) -> Generator[None, None, None]:
        with self._lock:
            if self._live is None:
                self._live = LiveLines(
                    SpinnerColumn(),
                    TextColumn("{task.description}"),
                    TimeElapsedColumn(),
                    TextColumn("[dim]{task.fields[log]}"),
                    console=self.console,
                    transient=True,
                )
                self._live.start()
            live = self._live
            self._running += 1
        task = live.add_task(step.title, total=None, log=_relative(step.log))
        try:
            yield
        finally:
            with self._lock:
                live.remove_task(task)
                self._running -= 1
                if not self._running:
                    live.stop()
                    self._live = None

    @contextmanager
    def _beats(self, step: Step, began: float) -> Generator[None, None, None]:
        self.print(f"… {step.title} [dim](log: {_relative(step.log)})[/]")
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(self._heartbeat):
                self.print(f"… {step.title}, {_seconds(began)} so far")

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", title.lower()).strip("-")


def _seconds(began: float) -> str:
    return f"{time.monotonic() - began:.0f} s"


def _relative(path: Path) -> Path:
    """Return `path` relative to the working folder if it is below it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _failure(step: Step, error: Exception) -> str:
    with step.log.open(errors="replace") as log:
        end = deque(log, maxlen=TAIL)
    shown = "".join(f"    {line}" for line in end) or "    (empty)\n"
    return (
        f"{step.title} failed: {error}\n"
        f"End of {_relative(step.log)}:\n{shown}"
        "Fix the cause, then run the same command again. It resumes at this step."
    )
