"""How far a load check is, and how much time it has."""

import enum
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

REPORT_SECONDS: Final = 5.0
"""Progress is reported at the start of each stage, and then this often."""


class Stage(enum.Enum):
    """What a load check does at the moment; the value is for people."""

    CREATING = "creating the pod"
    QUOTA = "waiting for room in the quota"
    SCHEDULING = "waiting for a node"
    PULLING = "pulling the image"
    STARTING = "starting the container"
    LOADING = "loading the definitions"
    READING = "reading the report"


@dataclass(frozen=True)
class Progress:
    """A load check that goes on."""

    stage: Stage
    seconds: float
    """Since this stage began."""
    detail: str = ""
    """What it waits for, in the words of the scheduler, the kubelet or the API server."""


Report = Callable[[Progress], None]


class Clock:
    """The time of a load check. It reports the stage when it changes, and every few seconds."""

    def __init__(self, timeout: float, report: Report) -> None:
        """Start the clock.

        Args:
            timeout: seconds for the whole check.
            report: takes the progress.
        """
        self._report = report
        self.stage = Stage.CREATING
        self._started = self._entered = self._reported = time.monotonic()
        self._end = self._started + timeout
        self._report(Progress(self.stage, 0.0))

    def enter(self, stage: Stage, detail: str = "") -> None:
        """Say what the check does now."""
        now = time.monotonic()
        if stage is not self.stage:
            self.stage = stage
            self._entered = now
        elif now - self._reported < REPORT_SECONDS:
            return
        self._reported = now
        self._report(Progress(stage, now - self._entered, detail))

    @property
    def is_over(self) -> bool:
        """Whether the timeout has passed."""
        return time.monotonic() >= self._end

    @property
    def remaining(self) -> float:
        """Seconds until the timeout, 0 or more."""
        return max(0.0, self._end - time.monotonic())

    @property
    def elapsed(self) -> float:
        """Seconds since the start of the check."""
        return time.monotonic() - self._started

    @property
    def elapsed_in_stage(self) -> float:
        """Seconds since the stage began."""
        return time.monotonic() - self._entered

    @property
    def pause(self) -> float:
        """Seconds until the next report is due, or the timeout if it is earlier."""
        return max(0.0, min(self._reported + REPORT_SECONDS - time.monotonic(), self.remaining))
