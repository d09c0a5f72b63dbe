"""Suggests memory limits: takes what attempts at steps used, returns suggestions; no I/O."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import median
from typing import Final, NamedTuple

from bulkhead.kube.quantities import MIB, readable_bytes
from bulkhead.steps.resources import SUGGESTED_MEMORY

FEWEST_SAMPLES: Final = 3
"""With fewer samples there is no suggestion."""

_ROUNDED_TO: Final = 16 * MIB
# A suggestion is a fifth more than the largest use.
_HEADROOM_DIVISOR: Final = 5

# CPU time counts from the start of the container, the step's duration from the start of Python, two
# seconds later. So the figure of a short step would be too high.
_SHORTEST_SECONDS_FOR_CORES: Final = 10


class End(Enum):
    """How an attempt at a step ended."""

    SUCCEEDED = "succeeded"
    OUT_OF_MEMORY = "out_of_memory"
    """OOM-killed: it used its whole limit and needed more."""
    OTHER = "other"
    """Failed, cancelled, evicted: it needs at least what it used, and possibly more."""


class Step(NamedTuple):
    """A step in all its runs: code location, job, and step key without its dynamic part."""

    location: str
    job: str
    key: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one attempt at a step used."""

    step: Step
    end: End
    memory: int
    """Largest use in bytes; at least the limit if it ran out of memory."""
    limit: int | None
    """Bytes; None if it had no limit."""
    cpu_seconds: float | None = None
    seconds: float | None = None
    """How long the step ran."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What a step used, and the limit that would be enough for it; memory in bytes.

    `samples` counts the attempts that succeeded or ran out of memory, `oom_kills` those that ran
    out of memory. Medians, p95 and all CPU figures are of samples; `largest_memory` is of all
    attempts. Unknown figures and figures from too few samples are None. `saved_memory` is negative
    if the step should request more.
    """

    location: str
    job: str
    step: str
    samples: int
    oom_kills: int
    largest_oom_limit: int | None
    """The largest limit with which it ran out of memory."""
    requested_memory: int | None
    median_memory: int | None
    p95_memory: int | None
    largest_memory: int
    median_cpu_seconds: float | None
    largest_cpu_seconds: float | None
    cores: float | None
    """Average number of cores in use while the step ran."""
    suggested_memory: int | None
    saved_memory: int | None


def advise(attempts: Iterable[Attempt]) -> list[Advice]:
    """Return the advice for each step: the largest saving first, steps without suggestion last.

    Args:
        attempts: Those of the newest run first, and in each run in the order of its log. So the
            first limit of a step is its current request; the limit of a retry may be larger.
    """
    by_step: dict[Step, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        by_step[attempt.step].append(attempt)
    advice = [_advice(step, by_step[step]) for step in sorted(by_step)]
    return sorted(advice, key=_rank)


def conclusion(advice: Sequence[Advice]) -> str:
    """Return the advice for all steps in one or two sentences."""
    short = sum((each.saved_memory or 0) < 0 for each in advice)
    unsure = sum(each.samples < FEWEST_SAMPLES for each in advice)
    generous = sum((each.saved_memory or 0) > 0 for each in advice)
    sentences: list[str] = []
    if generous:
        request, need = ("requests", "needs") if generous == 1 else ("request", "need")
        more = f"; {_count(short)} {'needs' if short == 1 else 'need'} more" if short else ""
        amount = readable_bytes(possible_saving(advice))
        sentences.append(
            f"{_count(generous)} {request} {amount} more than {'it' if generous == 1 else 'they'} "
            f"{need}{more}."
        )
    elif short:
        sentences.append(
            f"{_count(short)} {'needs' if short == 1 else 'need'} more; no step requests too much."
        )
    elif unsure < len(advice):
        sentences.append("Nothing to change.")
    if unsure:
        has = "has" if unsure == 1 else "have"
        sentences.append(
            f"{_count(unsure)} {has} fewer than {FEWEST_SAMPLES} samples, too few for a suggestion."
        )
    return " ".join(sentences)


def possible_saving(advice: Iterable[Advice]) -> int:
    """Return the bytes that steps request and do not need; steps that need more count as 0."""
    return sum(max(each.saved_memory or 0, 0) for each in advice)


def _rank(advice: Advice) -> tuple[bool, int]:
    return advice.suggested_memory is None, -(advice.saved_memory or 0)


def _count(steps: int) -> str:
    return f"{steps} step{'' if steps == 1 else 's'}"


def _advice(step: Step, attempts: Sequence[Attempt]) -> Advice:
    samples = [each for each in attempts if each.end is not End.OTHER]
    oom_limits = [each.memory for each in attempts if each.end is End.OUT_OF_MEMORY]
    memory = sorted(each.memory for each in samples)
    cpu_seconds = [each.cpu_seconds for each in samples if each.cpu_seconds is not None]
    requested = next((each.limit for each in attempts if each.limit), None)
    suggested = _suggested_memory(attempts) if len(samples) >= FEWEST_SAMPLES else None
    return Advice(
        location=step.location,
        job=step.job,
        step=step.key,
        samples=len(samples),
        oom_kills=len(oom_limits),
        largest_oom_limit=max(oom_limits, default=None),
        requested_memory=requested,
        median_memory=round(median(memory)) if memory else None,
        p95_memory=_p95(memory) if memory else None,
        largest_memory=max(each.memory for each in attempts),
        median_cpu_seconds=round(median(cpu_seconds), 3) if cpu_seconds else None,
        largest_cpu_seconds=max(cpu_seconds, default=None),
        cores=_cores(samples),
        suggested_memory=suggested,
        saved_memory=None if suggested is None or requested is None else requested - suggested,
    )


def _suggested_memory(attempts: Sequence[Attempt]) -> int:
    largest = max(each.memory for each in attempts)
    oom = max((each.memory for each in attempts if each.end is End.OUT_OF_MEMORY), default=0)
    succeeded = max((each.memory for each in attempts if each.end is End.SUCCEEDED), default=0)
    enough = max(largest + largest // _HEADROOM_DIVISOR, SUGGESTED_MEMORY)
    if oom >= succeeded:  # no attempt shows how much is enough
        enough = max(enough, 2 * oom)
    return -(-enough // _ROUNDED_TO) * _ROUNDED_TO


def _p95(ascending: Sequence[int]) -> int:
    """Return the 95th percentile (nearest rank)."""
    return ascending[-(-len(ascending) * 95 // 100) - 1]


def _cores(samples: Sequence[Attempt]) -> float | None:
    timed = [
        (each.cpu_seconds, each.seconds)
        for each in samples
        if each.cpu_seconds is not None and each.seconds is not None
    ]
    seconds = sum(duration for _, duration in timed)
    if not timed or seconds / len(timed) < _SHORTEST_SECONDS_FOR_CORES:
        return None
    return round(sum(used for used, _ in timed) / seconds, 3)
