"""A lock for a file that only one process at a time may use."""

import contextlib
import fcntl
import time
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def exclusive(file: Path, timeout_seconds: float = 600) -> Iterator[None]:
    """Hold the lock of a file, `<file>.lock` beside it, during a `with` block.

    The lock is advisory: all processes that use the file must take it. It is released when its
    process ends.

    Raises:
        TimeoutError: another process holds it for longer than the timeout.
    """
    lock = file.with_name(f"{file.name}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + timeout_seconds
    with lock.open("a") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise TimeoutError(
                        f"{file} has been in use by another process for {timeout_seconds:g} s: "
                        f"it holds {lock}. Wait for the running steps, then retry."
                    ) from None
                time.sleep(0.1)
        yield
