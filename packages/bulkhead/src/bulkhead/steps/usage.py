"""What a step's container has used, read from its own cgroup (version 2 or 1).

https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files and
https://docs.kernel.org/admin-guide/cgroup-v1/memory.html
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_ROOT: Final = Path("/sys/fs/cgroup")
_SAMPLES_PER_SECOND: Final = 10

# After an answer the limit is higher, or there was no room. Another request at once is of no use.
_REQUEST_SECONDS: Final = 0.5

# In version 1 "no limit" is the largest number of pages that can be counted.
_NO_LIMIT_V1: Final = 2**60


@dataclass(frozen=True)
class Usage:
    """Figures of one container since it started; None where its cgroup does not have them."""

    peak_memory: int | None
    """Bytes; the largest working set, which is the used memory without inactive page cache."""
    memory_limit: int | None
    """Bytes."""
    cpu_seconds: float | None
    oom_kills: int
    """Processes of this container that the kernel OOM-killed."""


def oom_kills(root: Path = _ROOT) -> int:
    """Return how many processes of the container that is mounted at `root` were OOM-killed."""
    cgroup = _cgroup(root)
    return cgroup.oom_kills() if cgroup else 0


class UsageMeter:
    """Samples the container's memory ten times a second, for its peak and for its growth.

    The kernel's own peak includes the page cache. The cache grows up to the limit with every file
    that is read, and does not show what a step needs. A sample costs about 50 µs.

    Where a step may grow, more memory is requested near the limit: when less than a quarter of it
    is left, or less than what was allocated in the last second.
    """

    def __init__(self, root: Path = _ROOT, grow: Callable[[], int | None] | None = None) -> None:
        """Prepare to sample the cgroup that is mounted at `root`.

        Args:
            root: mount point of the container's own cgroup.
            grow: requests more memory and returns the limit after that in bytes, or None where it
                cannot grow; None where the step may not grow.
        """
        self._cgroup = _cgroup(root)
        self._grow = grow
        self._peak = 0
        self._next_request = 0.0
        self._recent: deque[int] = deque(maxlen=_SAMPLES_PER_SECOND)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="usage", daemon=True)

    def start(self) -> None:
        """Start to sample."""
        if self._cgroup:
            self._thread.start()

    def stop(self) -> Usage:
        """Stop to sample, and return what was used until now."""
        self._stop.set()
        if not self._cgroup:
            return Usage(None, None, None, 0)
        self._take_sample()
        return Usage(
            peak_memory=self._peak or None,
            memory_limit=self._cgroup.memory_limit(),
            cpu_seconds=self._cgroup.cpu_seconds(),
            oom_kills=self._cgroup.oom_kills(),
        )

    def _sample(self) -> None:
        while not self._stop.wait(1 / _SAMPLES_PER_SECOND):
            used = self._take_sample()
            if self._grow and time.monotonic() >= self._next_request and self._is_near_limit(used):
                self._next_request = math.inf
                # In a thread of its own: an answer may take seconds, and the peak may be then.
                threading.Thread(target=self._request, args=[self._grow], daemon=True).start()

    def _request(self, grow: Callable[[], int | None]) -> None:
        if grow() is None:
            self._grow = None
        self._next_request = time.monotonic() + _REQUEST_SECONDS

    def _take_sample(self) -> int:
        used = (self._cgroup and self._cgroup.working_set()) or 0
        self._peak = max(self._peak, used)
        self._recent.append(used)
        return used

    def _is_near_limit(self, used: int) -> bool:
        limit = self._cgroup and self._cgroup.memory_limit()
        if not limit:
            return False
        return limit - used < max(limit // 4, used - self._recent[0])


class _CgroupV2:
    def __init__(self, root: Path) -> None:
        self._root = root

    def working_set(self) -> int | None:
        used = _number(self._root / "memory.current")
        return used and used - _pairs(self._root / "memory.stat").get("inactive_file", 0)

    def memory_limit(self) -> int | None:
        return _number(self._root / "memory.max")  # "max" is no number

    def cpu_seconds(self) -> float | None:
        used = _pairs(self._root / "cpu.stat").get("usage_usec")
        return None if used is None else used / 1e6

    def oom_kills(self) -> int:
        return _pairs(self._root / "memory.events").get("oom_kill", 0)


class _CgroupV1:
    def __init__(self, root: Path) -> None:
        self._memory = root / "memory"
        self._cpu = root / "cpuacct"

    def working_set(self) -> int | None:
        used = _number(self._memory / "memory.usage_in_bytes")
        return used and used - _pairs(self._memory / "memory.stat").get("total_inactive_file", 0)

    def memory_limit(self) -> int | None:
        limit = _number(self._memory / "memory.limit_in_bytes")
        return limit if limit and limit < _NO_LIMIT_V1 else None

    def cpu_seconds(self) -> float | None:
        used = _number(self._cpu / "cpuacct.usage")
        return None if used is None else used / 1e9

    def oom_kills(self) -> int:
        return _pairs(self._memory / "memory.oom_control").get("oom_kill", 0)


def _cgroup(root: Path) -> _CgroupV2 | _CgroupV1 | None:
    if (root / "memory.current").exists():
        return _CgroupV2(root)
    if (root / "memory" / "memory.usage_in_bytes").exists():
        return _CgroupV1(root)
    return None


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _pairs(path: Path) -> dict[str, int]:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split() for line in lines)
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}  # noqa: PLR2004 - a pair
