"""Decides whether an attempt at a step can still end by itself.

`judge` is a pure function of the attempt, of what is known of its pod, and of the time. Requests to
the cluster that a judgement names are sent by `bulkhead.steps.handler`.
"""

from dataclasses import dataclass, replace
from typing import Final

from bulkhead.kube.pods import StepPod
from bulkhead.steps import diagnosis, refusals
from bulkhead.steps.launch import Launch
from bulkhead.steps.verdicts import Cause, Verdict

# Most waits end before this, and then people need not read about them.
_REPORT_AFTER_SECONDS: Final = 3.0

_CHECK_JOB_SECONDS: Final = 20.0

# A pull that fails for one of these will not succeed later.
_FINAL_IMAGE_REASONS: Final = frozenset({"InvalidImageName", "ErrImageNeverPull"})
_FINAL_PULL_ANSWER: Final = "not found"


@dataclass(frozen=True)
class Timeouts:
    """How many seconds a step may wait, by what it waits for; then it fails."""

    scheduling: float
    start: float
    quota: float
    image_pull: float
    node: float

    def of(self, cause: Cause) -> float:
        """Return the timeout of what a step waits for."""
        match cause:
            case Cause.QUOTA:
                return self.quota
            case Cause.NEVER_STARTED:
                return self.start
            case Cause.NODE_SILENT:
                return self.node
            case Cause.IMAGE | Cause.CANNOT_START:
                return self.image_pull
            case _:
                return self.scheduling


@dataclass(frozen=True)
class Observation:
    """What is known of an attempt whose Job was created."""

    pod: StepPod | None = None
    """Its pod as last seen; None where there was none yet."""
    refusal: str | None = None
    """Why the Job controller could not create the pod, if it could not."""
    is_settled: bool = False
    """Whether the run's event log was read after the pod had ended."""


@dataclass(frozen=True)
class Judgement:
    """What an observation comes to."""

    verdict: Verdict | None = None
    """Why the attempt is over; None while it may still end by itself."""
    waits_for: Cause | None = None
    """What it waits for now."""
    report: Verdict | None = None
    """What the Dagster UI is to show about the wait."""
    deletes_job: bool = False
    """Whether the Job must go, because its pod could still start."""
    retriggers: bool = False
    """Whether the Job controller should try to create the pod now."""
    checks_job: bool = False
    """Whether to check that the Job still exists."""


_GOES_ON: Final = Judgement()


def judge(launch: Launch, seen: Observation, timeouts: Timeouts, now: float) -> Judgement:
    """Judge an attempt whose Job was created.

    Args:
        launch: the attempt; it is not changed.
        seen: what is known of it.
        timeouts: how long it may wait.
        now: monotonic seconds, from the same clock as the times of `launch`.
    """
    if seen.pod is None:
        return _judge_missing_pod(launch, seen.refusal, timeouts, now)
    if seen.pod.is_over:
        return _judge_ended_pod(launch, seen.pod, now) if seen.is_settled else _GOES_ON
    return _judge_waiting_pod(launch, seen.pod, timeouts, now)


def judge_rejected_job(
    launch: Launch, message: str, timeouts: Timeouts, now: float, *, may_pass: bool
) -> Judgement:
    """Judge an attempt whose Job the API server did not accept.

    Args:
        launch: the attempt; it is not changed.
        message: the API server's.
        timeouts: how long it may wait.
        now: monotonic seconds.
        may_pass: whether the status of the answer says that the next request may succeed.
    """
    refusal = refusals.of_message(message, launch.step)
    verdict = replace(refusal.verdict, attempt=launch.attempt)
    if refusal.may_pass or may_pass:
        return replace(_wait(launch, verdict, timeouts, now), report=None, deletes_job=False)
    return Judgement(verdict)


def _judge_missing_pod(
    launch: Launch, refusal: str | None, timeouts: Timeouts, now: float
) -> Judgement:
    if not refusal:
        return Judgement(checks_job=now - launch.job_checked_at >= _CHECK_JOB_SECONDS)
    verdict, may_pass = refusals.of_message(refusal, launch.step)
    verdict = replace(verdict, attempt=launch.attempt)
    if not may_pass:
        return Judgement(verdict, deletes_job=True)
    return replace(_wait(launch, verdict, timeouts, now), retriggers=now >= launch.next_request_at)


def _judge_ended_pod(launch: Launch, pod: StepPod, now: float) -> Judgement:
    if pod.is_gone and pod.is_running and launch.waited(Cause.DELETED, now) < pod.grace_seconds:
        # It was removed without waiting for its node. Its processes may run until the grace period
        # is over, and a step must not run twice at the same time.
        return Judgement(waits_for=Cause.DELETED)
    verdict = replace(diagnosis.of_ended_pod(pod, launch.step), attempt=launch.attempt)
    return Judgement(verdict, deletes_job=verdict.cause.is_infrastructure)


def _judge_waiting_pod(launch: Launch, pod: StepPod, timeouts: Timeouts, now: float) -> Judgement:
    verdict = diagnosis.of_waiting_pod(pod, launch.step)
    if verdict is None:
        return _GOES_ON
    verdict = replace(verdict, attempt=launch.attempt)
    if _cannot_be_pulled(verdict):
        return Judgement(verdict, verdict.cause, deletes_job=True)
    return _wait(launch, verdict, timeouts, now)


def _cannot_be_pulled(verdict: Verdict) -> bool:
    return verdict.cause is Cause.IMAGE and (
        verdict.reason in _FINAL_IMAGE_REASONS or _FINAL_PULL_ANSWER in verdict.detail
    )


def _wait(launch: Launch, verdict: Verdict, timeouts: Timeouts, now: float) -> Judgement:
    """Wait for what a verdict says, until its timeout."""
    cause = verdict.cause
    waited = launch.waited(cause, now)
    is_news = (
        cause is not Cause.NEVER_STARTED
        and cause not in launch.reported
        and waited >= _REPORT_AFTER_SECONDS
    )
    report = verdict if is_news else None
    if waited < timeouts.of(cause):
        return Judgement(waits_for=cause, report=report)
    return Judgement(replace(verdict, waited=waited), cause, report, deletes_job=True)
