"""Waits with a timeout, and reports what it waits for."""

import time
from collections.abc import Callable
from typing import Final

Say = Callable[[str], None]
"""Gets one sentence for a person."""

_POLL_SECONDS: Final = 1.0
_REMIND_SECONDS: Final = 15.0


class MigrationError(Exception):
    """The schema does not have this image's version, and cannot get it; the message says why."""


class Deadline:
    """A timeout for several waits together."""

    def __init__(self, seconds: float, say: Say) -> None:
        """Start the timeout."""
        self._seconds = seconds
        self._say = say
        self._started = time.monotonic()
        self._reminded: tuple[str, float] | None = None

    def wait(self, what: str, advice: str) -> None:
        """Pause once, for at most a second; report what is waited for, first and every 15 s.

        Args:
            what: What is waited for; its state may follow a colon.
            advice: What to do if it does not come.

        Raises:
            MigrationError: The timeout is over.
        """
        now = time.monotonic()
        elapsed = now - self._started
        if elapsed >= self._seconds:
            raise MigrationError(f"Timed out after {elapsed:.0f} s, waiting for {what}. {advice}")
        subject = what.partition(":")[0]
        if self._reminded is None or self._reminded[0] != subject:
            self._say(f"Waiting for {what}. Timeout in {self._seconds - elapsed:.0f} s.")
            self._reminded = (subject, now)
        elif now - self._reminded[1] >= _REMIND_SECONDS:
            self._say(f"Still waiting, after {elapsed:.0f} s, for {what}.")
            self._reminded = (subject, now)
        time.sleep(min(_POLL_SECONDS, max(0.05, self._seconds - elapsed)))
