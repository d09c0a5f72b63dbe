"""Waiting for what other threads do."""

import time
from collections.abc import Callable


def wait_until(holds: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait for a condition; fail with its source line after `seconds`."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.01)
