"""The jobs of `user_code/hello` that the tests run: names, settings and output."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Job:
    """A job, and the op in it that has the settings."""

    job: str
    op: str

    def config(self, base: Mapping[str, Any], **settings: Any) -> dict[str, Any]:
        """Run configuration: `base` and settings of the op."""
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
class Span:
    """A piece of work: a slice of `steady_neighbour`, or a turn of `spin_cpu`."""

    seconds: float
    ended: float
    """Seconds since 1970."""

    @property
    def started(self) -> float:
        """Seconds since 1970."""
        return self.ended - self.seconds

    def lies_in(self, start: float, end: float) -> bool:
        """Whether all of it was done between two moments."""
        return start <= self.started and self.ended <= end


def steady_slices(log: str) -> list[Span]:
    """The slices that `steady_neighbour` printed."""
    found = re.finditer(r"slice \d+: ([0-9.]+) s, ended at ([0-9.]+)", log)
    return [Span(float(each[1]), float(each[2])) for each in found]


@dataclass(frozen=True)
class Turn(Span):
    """A turn of `spin_cpu`, with the CPU time of its threads."""

    cpu_seconds: float


def spinning_turns(log: str) -> list[Turn]:
    """The turns that `spin_cpu` printed."""
    found = re.finditer(r"turn \d+: ([0-9.]+) CPU seconds in ([0-9.]+) s, ended at ([0-9.]+)", log)
    return [Turn(float(each[2]), float(each[3]), float(each[1])) for each in found]
