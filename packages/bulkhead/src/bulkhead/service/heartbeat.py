"""Whether every thread of a service still works; `/healthz` reports it.

If the API server does not answer, a restart does not help: it does not bring it back, and the
workspace on disk is still the best one. A restart helps against a thread that ended or hangs. So
`/healthz` depends on the heartbeats alone: a thread beats at each attempt, successful or not, and
everything that it waits for has a timeout.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

_log = logging.getLogger(__name__)


class Heartbeat:
    """The heartbeat of one thread."""

    def __init__(self, name: str, *, seconds: float) -> None:
        """Start to count.

        Args:
            name: The thread's name in the answer of `/healthz`.
            seconds: The longest time that may pass between two beats.
        """
        self.name = name
        self._seconds = seconds
        self._last = time.monotonic()
        self._ended: str | None = None
        self._retired = False

    def beat(self) -> None:
        """Record that the thread works."""
        self._last = time.monotonic()

    def retire(self) -> None:
        """Expect no more beats: the thread is to end."""
        self._retired = True

    def guard(self, run: Callable[[], None]) -> Callable[[], None]:
        """Wrap the function of a thread, so that its end is recorded, by an error or not."""

        def guarded() -> None:
            try:
                run()
                self._ended = "the thread ended"
            except Exception as error:  # noqa: BLE001 - shown by /healthz
                _log.exception("The thread %s failed.", self.name)
                self._ended = f"the thread failed: {error!r}"

        return guarded

    @property
    def problem(self) -> str | None:
        """What is wrong; None if nothing is."""
        if self._retired:
            return None
        if self._ended is not None:
            return f"{self.name}: {self._ended}"
        silent = time.monotonic() - self._last
        if silent > self._seconds:
            return (
                f"{self.name}: no heartbeat for {silent:.0f} s; at most {self._seconds:.0f} s "
                "are allowed"
            )
        return None


def health(
    heartbeats: Iterable[Heartbeat], retrying: Sequence[str]
) -> tuple[bool, Mapping[str, Any]]:
    """Return the answer of `/healthz`.

    Args:
        heartbeats: Of all threads.
        retrying: What fails now and is retried. It does not make the service unhealthy.
    """
    problems = [each.problem for each in heartbeats if each.problem]
    return not problems, {
        "healthy": not problems,
        "problems": problems,
        "retrying": list(retrying),
    }
