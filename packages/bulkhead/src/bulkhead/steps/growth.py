"""Raises the memory limit of a running step, so that it need not be killed and retried.

Kubernetes 1.33 and later change the resources of a running container in place
(https://kubernetes.io/docs/tasks/configure-pod-container/resize-container-resources/). Where the
API server does not serve that, or the run's account is not allowed to use it, a step is killed at
its limit and retried.
"""

import datetime as dt
import logging
import time
from dataclasses import dataclass, field
from typing import Final

from dagster import DagsterEvent

from bulkhead.dagster_compat import EngineEventData, IStepContext
from bulkhead.kube.pods import StepPod
from bulkhead.steps import sentences
from bulkhead.steps.ceiling import Ceiling
from bulkhead.steps.history import GROWN_KEY, grown_memory
from bulkhead.steps.step_jobs import RefusedError, StepJobs
from bulkhead.steps.watch import StepWatch

_logger = logging.getLogger("bulkhead.steps")

# The kubelet needs half a second. A node without room postpones the change.
_IN_FORCE_SECONDS: Final = 5.0
_CHECK_SECONDS: Final = 0.02


@dataclass
class _GrowingStep:
    """A step whose limit may grow."""

    context: IStepContext
    max_memory: int
    reported: set[str] = field(default_factory=set[str])

    @property
    def key(self) -> str:
        return self.context.step.key


class InPlaceGrowth:
    """The steps of one run whose limits may grow, by the names of their Jobs."""

    def __init__(self, jobs: StepJobs, watch: StepWatch, ceiling: Ceiling) -> None:
        """Use the run's Jobs, and what is known of their pods."""
        self._jobs = jobs
        self._watch = watch
        self._ceiling = ceiling
        self._steps: dict[str, _GrowingStep] = {}
        self._is_served = True

    def allow(self, job_name: str, context: IStepContext, max_memory: int) -> None:
        """Allow a step to grow up to `max_memory` bytes, within the ceiling."""
        self._steps[job_name] = _GrowingStep(context, max_memory)

    def grow(self, job_name: str) -> int | None:
        """Double the memory limit of a running step, within its max_memory and the ceiling.

        Returns:
            Its limit after that, in bytes; the same as before where there is no room now. None
            where the limit cannot grow further, and where this cluster cannot change it.
        """
        step, pod = self._steps.get(job_name), self._live_pod(job_name)
        limit = pod.memory_limit if pod else None
        if step is None or pod is None or limit is None or not self._is_served:
            return None
        wanted = grown_memory(limit, step.max_memory, self._ceiling.memory)
        if wanted is None:
            _report_once(step, sentences.of_largest_size(step.key, limit))
            return None
        try:
            self._jobs.resize(pod, wanted)
        except RefusedError as error:
            return self._refused(error, job_name, limit, wanted)
        if self._is_in_force(job_name, wanted):
            _report_growth(step, pod, limit, wanted)
            return wanted
        if self._live_pod(job_name):
            _report_once(step, sentences.of_growth_above_node(step.key, limit, wanted))
        return limit

    def _refused(self, refusal: RefusedError, job_name: str, limit: int, wanted: int) -> int | None:
        """Handle a refusal for this step, or for all steps; return what `grow` returns."""
        if "exceeded quota" in str(refusal):
            step = self._steps[job_name]
            sentence = sentences.of_growth_above_quota(step.key, limit, wanted, str(refusal))
            _report_once(step, sentence)
            return limit
        if refusal.may_pass:
            return limit
        if self._live_pod(job_name):  # a refusal for a pod that has ended means nothing for others
            _logger.warning("Running steps of this run cannot grow: %s", refusal)
            self._is_served = False
        return None

    def _live_pod(self, job_name: str) -> StepPod | None:
        """Return the pod of a step while it has not ended."""
        pod = self._watch.pod(job_name)
        return None if pod is None or pod.is_over else pod

    def _is_in_force(self, job_name: str, wanted: int) -> bool:
        """Wait until a limit is in force; return whether it is."""
        deadline = time.monotonic() + _IN_FORCE_SECONDS
        while time.monotonic() < deadline:
            pod = self._live_pod(job_name)
            if pod is None:
                return False
            if pod.memory_limit == wanted:
                return True
            time.sleep(_CHECK_SECONDS)
        return False


def _report_growth(step: _GrowingStep, pod: StepPod, limit: int, wanted: int) -> None:
    started = pod.running_since
    seconds = (dt.datetime.now(dt.timezone.utc) - started).total_seconds() if started else None
    DagsterEvent.engine_event(
        step.context,
        sentences.of_growth(step.key, limit, wanted, seconds),
        EngineEventData(metadata={"grown_from": limit, GROWN_KEY: wanted}),
    )


def _report_once(step: _GrowingStep, sentence: str) -> None:
    """Show a sentence in the Dagster UI, but only once."""
    what = sentence.partition("(")[0]  # a refusal's figures change from request to request
    if what not in step.reported:
        step.reported.add(what)
        DagsterEvent.engine_event(step.context, sentence, EngineEventData())
