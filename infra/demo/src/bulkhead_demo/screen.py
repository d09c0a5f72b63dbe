"""What a person sees while the flow goes on.

On a terminal one table that is drawn anew; elsewhere (CI) a line when a run starts and one when it
ends.
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

from bulkhead_demo.observed import Moment, Run

STATES = {"SUCCESS": ("✓", "green"), "FAILURE": ("✗", "red"), "CANCELED": ("✗", "yellow")}


class Screen:
    """A context in which runs are shown; times are counted from its beginning."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.time) -> None:
        """Draw on `console`; `clock` tells seconds since 1970."""
        self._console = console
        self._clock = clock
        self._began = clock()
        self._moment = Moment((), {})
        self._told: dict[str, bool] = {}
        self._spinner = Spinner("dots")
        self._live = Live(
            get_renderable=self._table, console=console, refresh_per_second=4, transient=False
        )

    def say(self, text: str) -> None:
        """Print a line above the table."""
        self._console.print(text, soft_wrap=True)

    def show(self, moment: Moment) -> None:
        """Show how things are now."""
        self._moment = moment
        if not self._console.is_terminal:
            for run in moment.runs:
                self._tell(run)

    def __enter__(self) -> Self:
        """Begin to draw."""
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the table as it is at the end."""
        if self._console.is_terminal:
            self._live.stop()

    def _tell(self, run: Run) -> None:
        """Print a line for what has not been told of a run yet."""
        if run.id not in self._told and (run.started or run.is_over):
            self._told[run.id] = False
            self._line(run, f"… {_made(run)}")
        if run.is_over and not self._told.get(run.id):
            self._told[run.id] = True
            mark, _ = STATES[run.status]
            self._line(run, f"{mark} {_made(run)}, {_seconds(run, self._clock()):.0f} s")

    def _line(self, run: Run, text: str) -> None:
        self.say(f"{self._clock() - self._began:5.0f} s  {run.location:<10} {text}")

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, show_header=bool(self._moment.runs))
        for heading in ("", "code location", "makes"):
            table.add_column(heading)
        table.add_column("seconds", justify="right")
        for run in self._moment.runs:
            mark, style = STATES.get(run.status, ("", "cyan"))
            state = Text(mark, style=style) if mark else self._spinner
            seconds = f"{_seconds(run, self._clock()):.0f}" if run.started else "waits"
            table.add_row(state, Text(run.location, style=style), self._makes(run), seconds)
        return table

    def _makes(self, run: Run) -> Text:
        """A run's assets; those that are there already stand out."""
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
