"""The jobs of `user_code/hello` that the tests run: their names, their settings, what they say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Job:
    """A job, and the op in it that takes the settings and does what the job is for."""

    job: str
    op: str

    def config(self, base: Mapping[str, Any], **settings: Any) -> dict[str, Any]:
        """Run configuration: `base`, and settings of the op."""
        ops = {"ops": {self.op: {"config": settings}}} if settings else {}
        return {**base, **ops}


GREETING = Job("hello_dagster", "hello")
OBSERVE_LIMITS = Job("observe_limits", "observe_limits")
SLEEPER = Job("sleeper", "sleep")
EAT_MEMORY = Job("eat_memory", "eat_memory")
SPIN_CPU = Job("spin_cpu", "spin_cpu")
STEADY_NEIGHBOUR = Job("steady_neighbour", "steady_neighbour")
SEQUENCE = Job("sequence", "sequence")
FAN_OUT = Job("fan_out", "fan_out")
RETRY = Job("retry_then_succeed", "retry_then_succeed")


@dataclass(frozen=True)
class Slice:
    """One of the equal pieces of work of `steady_neighbour`."""

    seconds: float
    ended: float
    """Seconds since 1970."""


def steady_slices(log: str) -> list[Slice]:
    """What `steady_neighbour` has printed."""
    found = re.finditer(r"slice \d+: ([0-9.]+) s, ended at ([0-9.]+)", log)
    return [Slice(float(each[1]), float(each[2])) for each in found]
