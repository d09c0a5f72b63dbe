"""The rules of tidying up: which step's Job has outlived its run.

Pure functions over plain values, so that the rules can be read and tested without a cluster.

One look is not enough to remove anything: a run that has just ended may be about to end its steps
itself. So a Job must be a leftover in every look for some time. That also says that it is older
than the end of its run as it was first seen: the Jobs are listed before their runs are asked for.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bulkhead import names

ENDED: Final = frozenset({"SUCCESS", "FAILURE", "CANCELED"})
"""Statuses that a run of Dagster keeps for ever; a new attempt at it is a new run."""

UNKNOWN: Final = "not known any more"
"""In place of a status, for a run that is not in the database."""

_FINISHED: Final = frozenset({"Complete", "Failed"})


@dataclass(frozen=True, slots=True)
class StepJob:
    """The Job of one attempt at a step, which may still have a pod at work."""

    namespace: str
    name: str
    uid: str
    resource_version: str
    run_id: str
    step_key: str


@dataclass(frozen=True, slots=True)
class Leftover:
    """A Job whose run has ended, and how."""

    job: StepJob
    status: str
    """A status of `ENDED`, or `UNKNOWN`."""

    @property
    def message(self) -> str:
        """The sentence for people, once it is removed."""
        return (
            f"Removed step {self.job.step_key} of run {self.job.run_id}: the run had ended "
            f"({self.status}) and the step was still there"
        )


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a look came to."""

    due: tuple[Leftover, ...]
    """What is to be removed now."""
    since: Mapping[str, float]
    """Every leftover by its uid, with the time of the first look of this row that found it."""


def read_job(job: Mapping[str, Any]) -> StepJob | None:
    """Read a Job as the API gives it.

    Returns:
        None for a Job that is no step's, that has no pod at work any more, or that somebody is
        deleting already.

    Raises:
        KeyError: It is no Kubernetes object, so the answer that it came in cannot be trusted.
    """
    metadata = job["metadata"]
    labels = metadata.get("labels") or {}
    run_id, step_label = labels.get(names.RUN_ID_LABEL), labels.get(names.STEP_KEY_LABEL)
    if not run_id or not step_label or metadata.get("deletionTimestamp"):
        return None
    if _is_over(job.get("status") or {}):
        return None
    return StepJob(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        run_id=run_id,
        step_key=(metadata.get("annotations") or {}).get(names.STEP_KEY_ANNOTATION, step_label),
    )


def _is_over(status: Mapping[str, Any]) -> bool:
    """Say whether the pods of a Job have ended.

    A Job that may try again counts a failed pod while the next one is at work.
    """
    conditions = status.get("conditions") or []
    if any(each["type"] in _FINISHED and each["status"] == "True" for each in conditions):
        return True
    return bool(status.get("failed")) and not status.get("active")


def find(jobs: Iterable[StepJob], statuses: Mapping[str, str]) -> tuple[Leftover, ...]:
    """Return the Jobs whose run has ended.

    Args:
        jobs: Jobs of steps.
        statuses: Of the runs of all these Jobs, asked for after the Jobs were listed. A run that
            is missing here is not in the database.
    """
    found = (Leftover(job, statuses.get(job.run_id, UNKNOWN)) for job in jobs)
    return tuple(each for each in found if each.status in ENDED or each.status == UNKNOWN)


def judge(
    found: Sequence[Leftover], since: Mapping[str, float], now: float, grace: float
) -> Judgement:
    """Decide what is to be removed.

    Args:
        found: The leftovers of this look.
        since: Of the look before. What is not found in a look, whatever the reason, begins anew.
        now: Time of this look in seconds, from a clock that never goes back.
        grace: How many seconds something must have been a leftover: in the first of a row of
            looks, in this one and in all between.
    """
    return Judgement(
        due=tuple(
            each for each in found if each.job.uid in since and now - since[each.job.uid] >= grace
        ),
        since={each.job.uid: since.get(each.job.uid, now) for each in found},
    )
