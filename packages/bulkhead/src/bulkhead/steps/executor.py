"""The executor: reads the events of a run, starts its steps, and reports how they ended."""

import os
import time
from collections.abc import Mapping
from typing import Any, cast

from dagster import DagsterEvent, DagsterInstance, DagsterUnmetExecutorRequirementsError
from dagster_k8s import K8sRunLauncher

from bulkhead.dagster_compat import (
    DagsterExecutionInterruptedError,
    EngineEventData,
    ErrorSource,
    IStepContext,
    K8sContainerContext,
    KnownExecutionState,
    RetryMode,
    SerializableErrorInfo,
    StepDelegatingExecutor,
    StepDependencyConfig,
    StepFailureData,
    StepRetryData,
    UserFailureData,
    kubernetes_config,
    own_failure_or_retry,
)
from bulkhead.steps import reports, sentences
from bulkhead.steps.connections import keep_connections
from bulkhead.steps.event_tail import EventTail
from bulkhead.steps.handler import IsolatedStepHandler
from bulkhead.steps.history import History, PlatformRetry
from bulkhead.steps.judging import Timeouts
from bulkhead.steps.resources import StepResources
from bulkhead.steps.retries import own_retry_delay, platform_retry, without_past_delays
from bulkhead.steps.verdicts import Verdict

_POLL_SECONDS_ENV = "DAGSTER_STEP_DELEGATING_EXECUTOR_SLEEP_SECONDS"
_SHORTEST_POLL_SECONDS = 0.05
_LONGEST_POLL_SECONDS = 0.5
_POLLS_PER_WAIT = 60

_MOST_CONNECTIONS = 4

# The cluster may be about to end more pods.
_INFRASTRUCTURE_DELAY_SECONDS = 1

_DAGSTERS_OWN = own_failure_or_retry(StepDelegatingExecutor)


def kubernetes_executor(
    instance: DagsterInstance, config: Mapping[str, Any]
) -> StepDelegatingExecutor:
    """Return the executor for a run whose settings are `config`.

    Raises:
        DagsterUnmetExecutorRequirementsError: the instance does not launch runs in Kubernetes.
    """
    launcher = instance.run_launcher
    if not isinstance(launcher, K8sRunLauncher):
        raise DagsterUnmetExecutorRequirementsError(
            "The executor isolated_step runs steps in pods, but this instance launches runs with "
            f"{type(launcher).__name__}. To run all steps in one process, set the run's config "
            "to {'execution': {'config': {'in_process': {}}}}."
        )
    keep_connections(instance, _MOST_CONNECTIONS)
    history = History()
    handler = IsolatedStepHandler(
        timeouts=Timeouts(
            scheduling=config["scheduling_timeout_seconds"],
            start=config["start_timeout_seconds"],
            quota=config["quota_timeout_seconds"],
            image_pull=config["image_pull_timeout_seconds"],
            node=config["node_timeout_seconds"],
        ),
        history=history,
        image=None,  # the image of the code location
        container_context=K8sContainerContext(
            run_k8s_config=kubernetes_config(config.get("step_k8s_config", {}))
        ),
        load_incluster_config=launcher.load_incluster_config,
        kubeconfig_file=launcher.kubeconfig_file,
        per_step_k8s_config=config.get("per_step_k8s_config", {}),
    )
    return IsolatedStepExecutor(
        handler,
        history=history,
        max_infrastructure_retries=config["max_infrastructure_repeats"],
        retries=cast("Any", RetryMode).from_config(config["retries"]) or RetryMode.ENABLED,
        sleep_seconds=_fixed_poll_seconds(),
        # In the multiprocess executor 0 means one per processor; here that is no limit.
        max_concurrent=config.get("max_concurrent") or None,
        tag_concurrency_limits=config.get("tag_concurrency_limits"),
        step_dependency_config=StepDependencyConfig.from_config(
            config.get("step_dependency_config")
        ),
    )


def _fixed_poll_seconds() -> float | None:
    return None if _POLL_SECONDS_ENV not in os.environ else float(os.environ[_POLL_SECONDS_ENV])


class IsolatedStepExecutor(StepDelegatingExecutor):
    """Runs each step of a run in a pod of its own, and retries what the platform has to answer for.

    **Polling.** Between the end of one step and the start of the next, half of the interval between
    two polls of the event log passes on average. Dagster polls once a second. Here each poll is one
    query on a connection that is kept. It is frequent while there are events and rare while there
    are none: the interval is a sixtieth of the time since the last event, from 0.05 s to 0.5 s. An
    interval that is set with `DAGSTER_STEP_DELEGATING_EXECUTOR_SLEEP_SECONDS` does not change.

    **Retries.** A step that the cluster ended is retried, and so is a step that ran out of memory
    and may grow. Neither uses the step's own retries. The Dagster UI shows all of them as retries.
    A run whose config disables retries has none of any kind.
    """

    def __init__(
        self,
        handler: IsolatedStepHandler,
        *,
        history: History,
        max_infrastructure_retries: int,
        sleep_seconds: float | None,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        """Take the arguments of `StepDelegatingExecutor`, as `kwargs`, and some more.

        Args:
            handler: starts and judges the steps.
            history: what the handler knows of earlier attempts; it is kept up to date here.
            max_infrastructure_retries: how often one step is retried that the cluster ended.
            sleep_seconds: fixed interval between two polls of the event log; None: it adapts.
            **kwargs: of `StepDelegatingExecutor`.
        """
        super().__init__(
            handler,
            sleep_seconds=sleep_seconds or _SHORTEST_POLL_SECONDS,
            # At every poll: it reads the watch, and sends no request.
            check_step_health_interval_seconds=0,
            **kwargs,
        )
        self._handler = handler
        self._history = history
        self._max_infrastructure_retries = max_infrastructure_retries
        self._tail: EventTail | None = None
        self._adapts = sleep_seconds is None
        self._last_event = time.monotonic()

    def _pop_events(
        self, instance: DagsterInstance, run_id: str, seen_storage_ids: set[int]
    ) -> list[DagsterEvent]:
        """Return all new events. Pods that ended before this call are judged after it."""
        del seen_storage_ids  # the tail knows them
        is_first = self._tail is None
        self._tail = self._tail or EventTail(instance, run_id, self._pop_events_limit)
        events = self._tail.read(from_further_back=self._handler.settle())
        if is_first:  # of a run that is resumed it has all that happened before
            events = without_past_delays(events)
        self._history.observe(events)
        now = time.monotonic()
        if events:
            self._last_event = now
        if self._adapts:
            self._sleep_seconds = poll_seconds(now - self._last_event)
        return events

    def log_failure_or_retry_event_after_error(
        self,
        step_context: IStepContext,
        err_info: SerializableErrorInfo,
        known_state: KnownExecutionState,
    ) -> DagsterEvent:
        """Report the end of a step whose pod did not report it: a failure or a retry."""
        launch = self._handler.launched(step_context.step.key)
        verdict = launch and launch.verdict
        if launch is None or verdict is None:  # resources of the step could not be set up
            return _DAGSTERS_OWN(self, step_context, err_info, known_state)
        sentence = sentences.of_verdict(verdict)
        if not self._retries.disabled:
            if verdict.cause.is_infrastructure:
                _stop_with_the_run(step_context)
            retry = self._platform_retry(verdict, launch.resources)
            if retry:
                return self._report_platform_retry(step_context, verdict, sentence, retry)
        advice = sentences.memory_advice(verdict, launch.resources, self._handler.ceiling)
        sentence = f"{sentence} {advice}" if advice else sentence
        delay = self._own_retry_delay(verdict, step_context, known_state)
        if delay is not None:
            return _report_own_retry(step_context, verdict, sentence, delay)
        return _report_failure(step_context, verdict, sentence)

    # Its name in Dagster 1.12.
    get_failure_or_retry_event_after_error = log_failure_or_retry_event_after_error

    def _platform_retry(self, verdict: Verdict, requested: StepResources) -> PlatformRetry | None:
        return platform_retry(
            verdict,
            self._history,
            requested,
            self._handler.ceiling,
            self._max_infrastructure_retries,
        )

    def _report_platform_retry(
        self, step_context: IStepContext, verdict: Verdict, sentence: str, retry: PlatformRetry
    ) -> DagsterEvent:
        if verdict.cause.is_infrastructure:
            number = self._history.infrastructure_retries(verdict.step) + 1
            what = sentences.of_infrastructure_retry(number, self._max_infrastructure_retries)
            delay = _INFRASTRUCTURE_DELAY_SECONDS
        else:
            what = sentences.of_memory_retry(retry.memory or 0)
            delay = None
        DagsterEvent.engine_event(
            step_context,
            f"{sentence} {what}",
            EngineEventData(metadata={**reports.metadata(verdict), **retry.metadata()}),
        )
        error = reports.error(verdict, sentence)
        return DagsterEvent.step_retry_event(step_context, StepRetryData(error, delay))

    def _own_retry_delay(
        self, verdict: Verdict, step_context: IStepContext, known_state: KnownExecutionState
    ) -> float | None:
        if self._retries.disabled:
            return None
        before = known_state.get_retry_state().get_attempt_count(verdict.step)
        return own_retry_delay(verdict, step_context.op_retry_policy, before, self._history)


def _report_own_retry(
    step_context: IStepContext, verdict: Verdict, sentence: str, delay: float
) -> DagsterEvent:
    metadata = reports.metadata(verdict)
    DagsterEvent.engine_event(step_context, sentence, EngineEventData(metadata=metadata))
    error = reports.error(verdict, sentence)
    return DagsterEvent.step_retry_event(step_context, StepRetryData(error, delay))


def _report_failure(step_context: IStepContext, verdict: Verdict, sentence: str) -> DagsterEvent:
    return cast("Any", DagsterEvent).step_failure_event(
        step_context,
        StepFailureData(
            error=reports.error(verdict, sentence),
            user_failure_data=UserFailureData(
                label=verdict.cause.value,
                description=sentence,
                metadata=reports.metadata(verdict),
            ),
            error_source=ErrorSource.FRAMEWORK_ERROR,
        ),
    )


def _stop_with_the_run(step_context: IStepContext) -> None:
    """Stop this process where the run has ended without it, or was deleted in the Dagster UI.

    The cluster is removing its steps then. They must not be retried.

    Raises:
        DagsterExecutionInterruptedError: the run has ended.
    """
    run = step_context.instance.get_run_by_id(step_context.run_id)
    if run is None or run.is_finished:
        state = "was deleted" if run is None else f"has ended ({run.status.value})"
        raise DagsterExecutionInterruptedError(f"Run {step_context.run_id} {state}.")


def poll_seconds(quiet_seconds: float) -> float:
    """Return the seconds until the next poll, after this time without an event."""
    return min(max(quiet_seconds / _POLLS_PER_WAIT, _SHORTEST_POLL_SECONDS), _LONGEST_POLL_SECONDS)
