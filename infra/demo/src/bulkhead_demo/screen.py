"""Shows the runs of the flow.

On a terminal as a live table; elsewhere (CI) with a line when a run starts and when it ends.
"""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from bulkhead_demo.observed import Run, Snapshot

STATES = {"SUCCESS": ("✓", "green"), "FAILURE": ("✗", "red"), "CANCELED": ("✗", "yellow")}


class Screen:
    """A context manager that shows runs; times are counted from its start."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.time) -> None:
        """Print to `console`; `clock` returns seconds since 1970."""
        self._console = console
        self._clock = clock
        self._began = clock()
        self._moment = Snapshot((), {})
        self._printed: dict[str, bool] = {}
        self._spinner = Spinner("dots")
        self._live = Live(
            get_renderable=self._table, console=console, refresh_per_second=4, transient=False
        )

    def print(self, text: str) -> None:
        """Print a line above the table."""
        self._console.print(text, soft_wrap=True)

    def show(self, snapshot: Snapshot) -> None:
        """Show the runs of a snapshot."""
        self._moment = snapshot
        if not self._console.is_terminal:
            for run in snapshot.runs:
                self._print_progress(run)

    def __enter__(self) -> Self:
        """Start the live table."""
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the live table; its last state stays."""
        if self._console.is_terminal:
            self._live.stop()

    def _print_progress(self, run: Run) -> None:
        """Print a line when a run starts, and one when it ends."""
        if run.id not in self._printed and (run.started or run.is_over):
            self._printed[run.id] = False
            self._line(run, f"… {_made(run)}")
        if run.is_over and not self._printed.get(run.id):
            self._printed[run.id] = True
            mark, _ = STATES[run.status]
            self._line(run, f"{mark} {_made(run)}, {_seconds(run, self._clock()):.0f} s")

    def _line(self, run: Run, text: str) -> None:
        self.print(f"{self._clock() - self._began:5.0f} s  {run.location:<10} {text}")

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, show_header=bool(self._moment.runs))
        for heading in ("", "code location", "assets"):
            table.add_column(heading)
        table.add_column("seconds", justify="right")
        for run in self._moment.runs:
            mark, style = STATES.get(run.status, ("", "cyan"))
            state = Text(mark, style=style) if mark else self._spinner
            seconds = f"{_seconds(run, self._clock()):.0f}" if run.started else "waiting"
            table.add_row(state, Text(run.location, style=style), self._makes(run), seconds)
        return table

    def _makes(self, run: Run) -> Text:
        """Return a run's assets; those that it has not materialized yet are dimmed."""
        if not run.assets:
            return Text(run.job)
        parts: list[Text] = []
        for name in run.assets:
            asset = self._moment.assets.get(name)
            done = run.status == "SUCCESS" or (asset and asset.run_id == run.id)
            parts.append(Text(name, style="" if done else "dim"))
        return Text(", ").join(parts)


def _made(run: Run) -> str:
    return ", ".join(run.assets) or run.job


def _seconds(run: Run, now: float) -> float:
    return (run.ended or now) - (run.started or run.created)
