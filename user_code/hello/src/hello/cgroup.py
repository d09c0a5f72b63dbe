"""The limits of this process, from its control group."""

from pathlib import Path
from typing import NamedTuple

ROOT = Path("/sys/fs/cgroup")

UNLIMITED = 2**62
"""Version 1 has the largest number of whole pages, a little below 2**63, for "no limit"."""


class Limits(NamedTuple):
    """Limits of a control group; None: no limit."""

    memory_bytes: int | None
    cores: float | None


def read_limits(root: Path = ROOT) -> Limits:
    """Read the limits of this process's control group, version 2 or version 1.

    Raises:
        FileNotFoundError: `root` is not a control group.
    """
    if (root / "cgroup.controllers").exists():
        return _version_2(root)
    return _version_1(root)


def _version_2(root: Path) -> Limits:
    memory = (root / "memory.max").read_text().strip()
    quota, period = (root / "cpu.max").read_text().split()
    return Limits(
        None if memory == "max" else int(memory),
        None if quota == "max" else int(quota) / int(period),
    )


def _version_1(root: Path) -> Limits:
    memory = int((root / "memory" / "memory.limit_in_bytes").read_text())
    quota = int((root / "cpu" / "cpu.cfs_quota_us").read_text())
    period = int((root / "cpu" / "cpu.cfs_period_us").read_text())
    return Limits(
        None if memory >= UNLIMITED else memory,
        None if quota < 0 else quota / period,
    )
