"""Raises the memory limit of a step while it runs, so that it need not be killed and repeated.

Kubernetes 1.33 and later change the resources of a running container in place
(https://kubernetes.io/docs/tasks/configure-pod-container/resize-container-resources/). Where that
is not served, or the run's account may not do it, a step is killed at its limit and repeated.
"""

import datetime as dt
import logging
import time
from dataclasses import dataclass, field
from typing import Final

from dagster import DagsterEvent

from bulkhead.dagster_compat import EngineEventData, IStepContext
from bulkhead.kube.pods import StepPod
from bulkhead.kube.quantities import exact_bytes
from bulkhead.steps.ceiling import Ceiling
from bulkhead.steps.history import GROWN_KEY, grown_memory
from bulkhead.steps.step_jobs import RefusedError, StepJobs
from bulkhead.steps.watch import StepWatch

_logger = logging.getLogger("bulkhead.steps")

# The kubelet takes half a second for it; a node without room puts it off.
_IN_FORCE_SECONDS: Final = 5.0


@dataclass
class _Growing:
    """A step that may grow."""

    context: IStepContext
    max_memory: int
    told: set[str] = field(default_factory=set[str])


class InPlaceGrowth:
    """The steps of one run that may grow, by the names of their Jobs."""

    def __init__(self, jobs: StepJobs, watch: StepWatch, ceiling: Ceiling) -> None:
        """Use the run's Jobs, and what is known of their pods."""
        self._jobs = jobs
        self._watch = watch
        self._ceiling = ceiling
        self._growing: dict[str, _Growing] = {}
        self._is_served = True

    def allow(self, job_name: str, context: IStepContext, max_memory: int) -> None:
        """Let a step grow, up to so many bytes and to the ceiling."""
        self._growing[job_name] = _Growing(context, max_memory)

    def grow(self, job_name: str) -> int | None:
        """Give a step twice the memory that it has, as far as it may.

        Returns:
            Its limit by then, in bytes: unchanged where there is no room just now. None where it
            has all that it may have, and where limits can't be raised at all.
        """
        growing, pod = self._growing.get(job_name), self._live_pod(job_name)
        limit = pod.memory_limit if pod else None
        if growing is None or pod is None or limit is None or not self._is_served:
            return None
        wanted = grown_memory(limit, growing.max_memory, self._ceiling.memory)
        if wanted is None:
            self._tell(growing, "has all the memory that it may have", limit)
            return None
        try:
            self._jobs.resize(pod, wanted)
        except RefusedError as error:
            return self._refused(error, job_name, limit, wanted)
        if self._comes_into_force(job_name, wanted):
            self._tell_growth(growing, pod, limit, wanted)
            return wanted
        if self._live_pod(job_name):
            self._tell(growing, "would grow, but its node has no room for it just now", limit)
        return limit

    def _refused(self, refusal: RefusedError, job_name: str, limit: int, wanted: int) -> int | None:
        """Draw the conclusion for this step, or for all; return what `grow` does."""
        if "exceeded quota" in str(refusal):
            self._tell(
                self._growing[job_name],
                f"would grow to {exact_bytes(wanted)}, but the quota of its code location has no "
                f"room for it ({refusal})",
                limit,
            )
            return limit
        if refusal.may_pass:
            return limit
        if self._live_pod(job_name):  # of one that has ended meanwhile it would say nothing
            _logger.warning("Steps of this run can't grow while they run: %s", refusal)
            self._is_served = False
        return None

    def _live_pod(self, job_name: str) -> StepPod | None:
        """The step's pod, while it is not over."""
        pod = self._watch.pod(job_name)
        return None if pod is None or pod.is_over else pod

    def _comes_into_force(self, job_name: str, wanted: int) -> bool:
        patience = time.monotonic() + _IN_FORCE_SECONDS
        while time.monotonic() < patience:
            pod = self._live_pod(job_name)
            if pod is None:
                return False
            if pod.memory_limit == wanted:
                return True
            time.sleep(0.02)
        return False

    def _tell_growth(self, growing: _Growing, pod: StepPod, limit: int, wanted: int) -> None:
        started = pod.running_since
        after = (
            f" after {(dt.datetime.now(dt.timezone.utc) - started).total_seconds():.0f} s"
            if started
            else ""
        )
        DagsterEvent.engine_event(
            growing.context,
            f"Step {growing.context.step.key} grew from {exact_bytes(limit)} to "
            f"{exact_bytes(wanted)}{after}, while it ran.",
            EngineEventData(metadata={"grown_from": limit, GROWN_KEY: wanted}),
        )

    def _tell(self, growing: _Growing, what: str, limit: int) -> None:
        """Tell in the page, once for each limit."""
        key = f"{limit} {what[:20]}"
        if key not in growing.told:
            growing.told.add(key)
            DagsterEvent.engine_event(
                growing.context,
                f"Step {growing.context.step.key} {what}; it keeps its {exact_bytes(limit)}.",
                EngineEventData(),
            )
