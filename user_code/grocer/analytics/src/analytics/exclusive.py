"""One process at a time for a file that can't stand two."""

import contextlib
import fcntl
import time
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def exclusive(file: Path, patience_seconds: float = 600) -> Iterator[None]:
    """Hold the lock of a file, `<file>.lock` beside it, for the time of a `with` block.

    All who use the file must ask for its lock: nothing else keeps them out. The lock of a process
    that ends, however it ends, is free again.

    Raises:
        TimeoutError: another holds it for longer than that.
    """
    lock = file.with_name(f"{file.name}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + patience_seconds
    with lock.open("a") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise TimeoutError(
                        f"{file} has been in use by another process for {patience_seconds:g} s: "
                        f"it holds {lock}. See which steps are running, and run this one again."
                    ) from None
                time.sleep(0.1)
        yield
