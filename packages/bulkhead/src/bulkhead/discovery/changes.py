"""Wakes the main thread when other threads have something new for it."""

import threading
import time
from typing import Final

# Changes come in bursts (helm upgrades several objects): wait until they pause, but not for long.
_QUIET_SECONDS: Final = 0.2
_LONGEST_BURST_SECONDS: Final = 1.0


class Changes:
    """Counts a burst of changes as one."""

    def __init__(self) -> None:
        """Start without a change."""
        self._condition = threading.Condition()
        self._pending = False
        self._stopped = False

    def notify(self) -> None:
        """Report a change."""
        with self._condition:
            self._pending = True
            self._condition.notify_all()

    def stop(self) -> None:
        """Let `wait` return False from now on."""
        with self._condition:
            self._stopped = True
            self._condition.notify_all()

    def wait(self, timeout: float) -> bool:
        """Wait until something changed and then nothing for a moment, or until the timeout.

        Returns:
            False where `stop` was called.
        """
        with self._condition:
            self._condition.wait_for(lambda: self._pending or self._stopped, timeout=timeout)
            end = time.monotonic() + _LONGEST_BURST_SECONDS
            while self._pending and not self._stopped and time.monotonic() < end:
                self._pending = False
                self._condition.wait(_QUIET_SECONDS)
            self._pending = False
            return not self._stopped
