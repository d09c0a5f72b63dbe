"""The rules of the reconciler: which Job of a step has outlived its run.

Pure functions over plain values, so that the rules can be read and tested without a cluster.

One check is not enough to remove anything: a run that has just ended may be about to end its steps
itself. So a Job must be a leftover in every check during the grace period. In each check the Jobs
are listed before their runs are queried, so a Job that is found is older than the end of its run.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bulkhead import names
from bulkhead.kube.objects import annotations, labels, part, parts
from bulkhead.webserver_api.runs import ENDED

UNKNOWN: Final = "not known any more"
"""Instead of a status, for a run that is not in the database."""

_FINISHED: Final = frozenset({"Complete", "Failed"})


@dataclass(frozen=True, slots=True)
class StepJob:
    """The Job of one attempt at a step, which may still have a running pod."""

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
    """A status of `runs.ENDED`, or `UNKNOWN`."""

    @property
    def message(self) -> str:
        """The sentence for people, after the removal."""
        return (
            f"Removed step {self.job.step_key} of run {self.job.run_id}: the run had ended "
            f"({self.status}) and the step was still there"
        )


@dataclass(frozen=True, slots=True)
class Judgement:
    """The result of a check."""

    due: tuple[Leftover, ...]
    """The leftovers to remove now."""
    since: Mapping[str, float]
    """When each leftover was found first, by uid. Since then every check found it."""


def read_job(job: Mapping[str, Any]) -> StepJob | None:
    """Read a Job as the API returns it.

    Returns:
        None for a Job that is not of a step, that has no running pod any more, or that is being
        deleted already.

    Raises:
        KeyError: It is not a Kubernetes object, so the answer is not to be trusted.
    """
    metadata = job["metadata"]
    found = labels(job)
    run_id, step_label = found.get(names.RUN_ID_LABEL), found.get(names.STEP_KEY_LABEL)
    if not run_id or not step_label or metadata.get("deletionTimestamp"):
        return None
    if _is_over(part(job, "status")):
        return None
    return StepJob(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        run_id=run_id,
        step_key=annotations(job).get(names.STEP_KEY_ANNOTATION, step_label),
    )


def _is_over(status: Mapping[str, Any]) -> bool:
    """Say whether the pods of a Job have ended.

    A Job that may retry counts a failed pod while the next one runs.
    """
    conditions = parts(status, "conditions")
    if any(each["type"] in _FINISHED and each["status"] == "True" for each in conditions):
        return True
    return bool(status.get("failed")) and not status.get("active")


def find(jobs: Iterable[StepJob], statuses: Mapping[str, str]) -> tuple[Leftover, ...]:
    """Return the Jobs whose run has ended.

    Args:
        jobs: Jobs of steps.
        statuses: Of the runs of all these Jobs, queried after the Jobs were listed. A run that is
            missing here is not in the database.
    """
    found = (Leftover(job, statuses.get(job.run_id, UNKNOWN)) for job in jobs)
    return tuple(each for each in found if each.status in ENDED or each.status == UNKNOWN)


def judge(
    found: Sequence[Leftover], since: Mapping[str, float], now: float, grace: float
) -> Judgement:
    """Decide which leftovers to remove.

    Args:
        found: The leftovers of this check.
        since: Of the check before. The grace period of a leftover that is not found in a check
            starts again.
        now: Time of this check in seconds, from a clock that never goes back.
        grace: For how many seconds every check must have found a leftover.
    """
    return Judgement(
        due=tuple(
            each for each in found if each.job.uid in since and now - since[each.job.uid] >= grace
        ),
        since={each.job.uid: since.get(each.job.uid, now) for each in found},
    )
