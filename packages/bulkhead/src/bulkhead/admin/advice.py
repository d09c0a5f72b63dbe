"""What limits would fit what was used: attempts at steps in, suggestions out; no I/O."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import median
from typing import Final, NamedTuple

from bulkhead.kube.quantities import MIB, readable_bytes

FEWEST_SAMPLES: Final = 3
"""With fewer nothing is suggested."""

_ROUNDED_TO: Final = 16 * MIB
# A fifth more than was ever seen; and 192Mi, because a step takes about 136Mi before its own code
# runs (`bulkhead.steps.resources.SMALLEST_MEMORY`).
_HEADROOM_DIVISOR: Final = 5
_SMALLEST: Final = 192 * MIB

# What a container used of the CPU counts from its start, its time only from when its Python is up;
# that is some two seconds later, which would make short steps look busier than they can be.
_SHORTEST_SECONDS_FOR_CORES: Final = 10


class End(Enum):
    """How an attempt at a step ended."""

    SUCCEEDED = "succeeded"
    KILLED = "killed"
    """For want of memory: all of the limit was used, and more was needed."""
    OTHERWISE = "otherwise"
    """Failed, cancelled, evicted: what it used tells what is needed at least, but not how much."""


class Step(NamedTuple):
    """A step of all runs: the code location, the job, the step's key without its dynamic part."""

    location: str
    job: str
    key: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one pod of a step used."""

    step: Step
    end: End
    memory: int
    """Largest use in bytes; of one that was killed, at least its limit."""
    limit: int | None
    """Bytes; None where there was none."""
    cpu_seconds: float | None = None
    seconds: float | None = None
    """How long it ran."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What a step used, and what would be enough for it; memory in bytes.

    `samples` are the attempts that succeeded or were killed for memory, `kills` the latter of them.
    Medians, p95 and all CPU figures are of samples; `largest_memory` is of all attempts. What is
    not known, or rests on too few samples, is None. `saved_memory` is below 0 where a step should
    ask for more.
    """

    location: str
    job: str
    step: str
    samples: int
    kills: int
    killed_memory: int | None
    """The largest limit at which it was killed."""
    asked_memory: int | None
    median_memory: int | None
    p95_memory: int | None
    largest_memory: int
    median_cpu_seconds: float | None
    largest_cpu_seconds: float | None
    cores: float | None
    """On average, while it ran."""
    suggested_memory: int | None
    saved_memory: int | None


def advise(attempts: Iterable[Attempt]) -> list[Advice]:
    """Return the advice for each step: the largest saving first, those without suggestion last.

    Args:
        attempts: Of the newest run first, and of each run in the order of its log. So the first
            limit of a step is what it asks for now: a repetition may have grown.
    """
    by_step: dict[Step, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        by_step[attempt.step].append(attempt)
    advice = [_advice(step, by_step[step]) for step in sorted(by_step)]
    return sorted(advice, key=_rank)


def conclusion(advice: Sequence[Advice]) -> str:
    """Say in a sentence or two what all of it comes to."""
    short = sum((each.saved_memory or 0) < 0 for each in advice)
    unsure = sum(each.samples < FEWEST_SAMPLES for each in advice)
    givers = sum((each.saved_memory or 0) > 0 for each in advice)
    said: list[str] = []
    if givers:
        more = f"; {short} {'needs' if short == 1 else 'need'} more" if short else ""
        amount = readable_bytes(could_give_back(advice))
        said.append(f"{_count(givers)} could give back {amount}{more}.")
    elif short:
        said.append(
            f"{_count(short)} {'needs' if short == 1 else 'need'} more; none could give any back."
        )
    elif unsure < len(advice):
        said.append("Nothing to change.")
    if unsure:
        has = "has" if unsure == 1 else "have"
        said.append(
            f"{_count(unsure)} {has} fewer than {FEWEST_SAMPLES} samples, too few to suggest "
            "anything."
        )
    return " ".join(said)


def could_give_back(advice: Iterable[Advice]) -> int:
    """Return the bytes that steps ask for and do not need; those that need more count nothing."""
    return sum(max(each.saved_memory or 0, 0) for each in advice)


def _rank(advice: Advice) -> tuple[bool, int]:
    return advice.suggested_memory is None, -(advice.saved_memory or 0)


def _count(steps: int) -> str:
    return f"{steps} step{'' if steps == 1 else 's'}"


def _advice(step: Step, attempts: Sequence[Attempt]) -> Advice:
    samples = [each for each in attempts if each.end is not End.OTHERWISE]
    kills = [each.memory for each in attempts if each.end is End.KILLED]
    memory = sorted(each.memory for each in samples)
    cpu_seconds = [each.cpu_seconds for each in samples if each.cpu_seconds is not None]
    asked = next((each.limit for each in attempts if each.limit), None)
    suggested = _suggested_memory(attempts) if len(samples) >= FEWEST_SAMPLES else None
    return Advice(
        location=step.location,
        job=step.job,
        step=step.key,
        samples=len(samples),
        kills=len(kills),
        killed_memory=max(kills, default=None),
        asked_memory=asked,
        median_memory=round(median(memory)) if memory else None,
        p95_memory=_p95(memory) if memory else None,
        largest_memory=max(each.memory for each in attempts),
        median_cpu_seconds=round(median(cpu_seconds), 3) if cpu_seconds else None,
        largest_cpu_seconds=max(cpu_seconds, default=None),
        cores=_cores(samples),
        suggested_memory=suggested,
        saved_memory=None if suggested is None or asked is None else asked - suggested,
    )


def _suggested_memory(attempts: Sequence[Attempt]) -> int:
    largest = max(each.memory for each in attempts)
    killed = max((each.memory for each in attempts if each.end is End.KILLED), default=0)
    succeeded = max((each.memory for each in attempts if each.end is End.SUCCEEDED), default=0)
    enough = max(largest + largest // _HEADROOM_DIVISOR, _SMALLEST)
    if killed >= succeeded:  # then nobody knows how much it takes
        enough = max(enough, 2 * killed)
    return -(-enough // _ROUNDED_TO) * _ROUNDED_TO


def _p95(ascending: Sequence[int]) -> int:
    """Return the smallest that at least 95 of 100 do not exceed (nearest rank)."""
    return ascending[-(-len(ascending) * 95 // 100) - 1]


def _cores(samples: Sequence[Attempt]) -> float | None:
    timed = [
        (each.cpu_seconds, each.seconds)
        for each in samples
        if each.cpu_seconds is not None and each.seconds is not None
    ]
    seconds = sum(lasted for _, lasted in timed)
    if not timed or seconds / len(timed) < _SHORTEST_SECONDS_FOR_CORES:
        return None
    return round(sum(used for used, _ in timed) / seconds, 3)
