"""Starts, judges and ends the Jobs of one run's steps, as Dagster's step executor requests."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, cast

from dagster import DagsterEvent, MetadataValue

from bulkhead.dagster_compat import (
    CheckStepHealthResult,
    EngineEventData,
    K8sStepHandler,
    StepHandlerContext,
)
from bulkhead.steps import launching, manifest, reports, sentences
from bulkhead.steps.ceiling import Ceiling
from bulkhead.steps.cluster import StepCluster, connect
from bulkhead.steps.history import History
from bulkhead.steps.judging import Judgement, Observation, Timeouts, judge, judge_rejected_job
from bulkhead.steps.launch import Launch
from bulkhead.steps.launching import ExecutorSettings
from bulkhead.steps.resuming import take_over
from bulkhead.steps.step_jobs import RefusedError
from bulkhead.steps.verdicts import Cause, Verdict

_RETRIGGER_SECONDS: Final = 3.0
_CREATE_RETRY_SECONDS: Final = 2.0

_WITH_LAST_LINES: Final = frozenset(
    {Cause.EXIT_CODE, Cause.SIGNAL, Cause.SILENT, Cause.OUT_OF_MEMORY}
)


class IsolatedStepHandler(K8sStepHandler):
    """A step handler whose Jobs belong to the run's Job, are watched together, and are judged.

    **Owner.** A step's Job is owned by the Job of the run, and not by the run's pod as with
    `enable_owner_references` of dagster-k8s. With both, the cluster removes the steps of a run that
    is cancelled or deleted. But a run pod can go alone (evicted, its node lost, deleted) while its
    run is to be resumed, and would take its steps with it. Its Job stays.

    **Health.** Checking the health of a step costs no request, because the watch knows it. Why an
    unhealthy step ended is the verdict of its `Launch`. The verdict stays until the step is started
    again. If it cannot be written to the run's log, the next check writes it.
    """

    def __init__(self, *, timeouts: Timeouts, history: History, **config: Any) -> None:  # noqa: ANN401
        """Take the arguments of `K8sStepHandler`, as `config`, and two more.

        Args:
            timeouts: how long steps may wait.
            history: the run's earlier attempts; the reader of the event log keeps it up to date.
            **config: of `K8sStepHandler`.
        """
        cast("Any", super()).__init__(**config)
        self.ceiling: Final = Ceiling.of_environment()
        self._timeouts = timeouts
        self._history = history
        self._settings = ExecutorSettings(
            self._executor_container_context,
            self._executor_image,
            cast("Mapping[str, Mapping[str, Any]]", self._per_step_k8s_config),
        )
        self._launches: dict[str, Launch] = {}
        self._settled: frozenset[str] = frozenset()
        self._cluster: StepCluster | None = None

    def settle(self) -> bool:
        """Note which pods have ended, before the event log is read.

        Only these are judged afterwards. A step writes its result to the log before its process
        ends, so a result that is not in the log then will never be.

        Returns:
            Whether more pods have ended since the last call.
        """
        before = self._settled
        if self._cluster:
            self._settled = self._cluster.watch.ended()
        return not self._settled <= before

    def launched(self, step_key: str) -> Launch | None:
        """Return the latest attempt at a step; None where this run pod knows of none."""
        return self._launches.get(step_key)

    def launch_step(self, step_handler_context: StepHandlerContext) -> Iterator[DagsterEvent]:
        """Create the step's Job, or note why it cannot be created.

        A failure becomes a verdict and not an exception, so that one step does not end the run of
        the others.
        """
        launch = launching.new_launch(step_handler_context)
        self._launches[launch.step] = launch
        launch.verdict = launch.verdict or launching.prepare(
            launch,
            step_handler_context,
            self._settings,
            self._history,
            self.ceiling,
            cluster=self._connected(step_handler_context),
        )
        if launch.verdict is None:
            yield cast("Any", DagsterEvent).step_worker_starting(
                step_handler_context.get_step_context(launch.step),
                message=f'Executing step "{launch.step}" in Kubernetes job {launch.job_name}.',
                metadata={"Kubernetes Job name": MetadataValue.text(launch.job_name)},
            )
            launch.verdict = self._create(launch, self._connected(step_handler_context))

    def check_step_health(self, step_handler_context: StepHandlerContext) -> CheckStepHealthResult:
        """Return whether the step may still end by itself; if not, its launch has a verdict."""
        launch = self._launches.get(manifest.key_of(step_handler_context))
        if launch is None:
            return self._resume(step_handler_context)
        launch.verdict = launch.verdict or self._judge(launch, step_handler_context)
        if launch.verdict is None:
            return CheckStepHealthResult.healthy()
        return CheckStepHealthResult.unhealthy(sentences.of_verdict(launch.verdict))

    def terminate_step(self, step_handler_context: StepHandlerContext) -> Iterator[DagsterEvent]:
        """Delete the step's Job, and its pod with it."""
        launch = self._launches.get(manifest.key_of(step_handler_context))
        if launch is None:
            return
        yield DagsterEvent.engine_event(
            step_handler_context.get_step_context(launch.step),
            message=f"Deleting Kubernetes job {launch.job_name} for step",
            event_specific_data=EngineEventData(),
        )
        self._connected(step_handler_context).jobs.delete(launch.job_name)

    def _create(self, launch: Launch, cluster: StepCluster) -> Verdict | None:
        """Create the Job; return why it cannot be created, if that is final."""
        now = time.monotonic()
        if now < launch.next_request_at:
            return None
        try:
            cluster.jobs.create(launch.job)
        except RefusedError as error:
            launch.next_request_at = now + _CREATE_RETRY_SECONDS
            judgement = judge_rejected_job(
                launch, str(error), self._timeouts, now, may_pass=error.may_pass
            )
            launch.waits_for(judgement.waits_for, now)
            return judgement.verdict
        launch.is_created = True
        return None

    def _judge(self, launch: Launch, context: StepHandlerContext) -> Verdict | None:
        cluster = self._connected(context)
        if not launch.is_created:
            return self._create(launch, cluster)
        now = time.monotonic()
        seen = Observation(
            pod=cluster.watch.pod(launch.job_name),
            refusal=cluster.watch.refusal(launch.job_name),
            is_settled=launch.job_name in self._settled,
        )
        judgement = judge(launch, seen, self._timeouts, now)
        if seen.pod and not seen.pod.is_over:
            launch.waits_only_for(judgement.waits_for, now)
        else:
            launch.waits_for(judgement.waits_for, now)
        _report_wait(launch, judgement, context)
        verdict = self._act(launch, judgement, cluster, now)
        return _completed(verdict, seen, launch, cluster) if verdict else None

    def _act(
        self, launch: Launch, judgement: Judgement, cluster: StepCluster, now: float
    ) -> Verdict | None:
        """Send the requests that a judgement names; return its verdict, if it has one."""
        verdict = judgement.verdict
        if judgement.retriggers:
            launch.next_request_at = now + _RETRIGGER_SECONDS
            cluster.jobs.retrigger(launch.job_name)
        if judgement.checks_job:
            launch.job_checked_at = now
            if cluster.jobs.exists(launch.job_name) is False:
                verdict = Verdict(Cause.DELETED, launch.step, launch.attempt, job=launch.job_name)
        if judgement.deletes_job:
            cluster.jobs.delete(launch.job_name)
        return verdict

    def _resume(self, context: StepHandlerContext) -> CheckStepHealthResult:
        """Return whether an earlier pod of this run started the attempt; it is then judged."""
        launch = launching.new_launch(context)
        if not take_over(launch, self._connected(context), self._history):
            return CheckStepHealthResult.unhealthy("The step was not started.")
        self._launches[launch.step] = launch
        return CheckStepHealthResult.healthy()

    def _connected(self, context: StepHandlerContext) -> StepCluster:
        """Return what reaches the run's steps; the first call starts to watch them."""
        if self._cluster is None:
            self._cluster = connect(
                self._api_client,
                launching.namespace_of(context, self._settings),
                context.execute_step_args.run_id,
                self.ceiling,
            )
        return self._cluster


def _report_wait(launch: Launch, judgement: Judgement, context: StepHandlerContext) -> None:
    """Show in the Dagster UI what a step waits for, once."""
    if judgement.report:
        launch.reported.add(judgement.report.cause)
        DagsterEvent.engine_event(
            context.get_step_context(launch.step),
            sentences.of_verdict(judgement.report),
            EngineEventData(metadata=reports.metadata(judgement.report)),
        )


def _completed(
    verdict: Verdict, seen: Observation, launch: Launch, cluster: StepCluster
) -> Verdict:
    """Return a verdict with what only further requests tell."""
    if seen.pod is None:
        return verdict
    if verdict.cause is Cause.DELETED:
        seconds = cluster.jobs.exceeded_deadline(launch.job_name)
        if seconds:
            return replace(
                verdict, cause=Cause.DEADLINE, time_limit=seconds, is_time_limit_of_job=True
            )
    if verdict.cause in _WITH_LAST_LINES:
        return replace(verdict, last_lines=cluster.jobs.last_lines(seen.pod))
    return verdict
