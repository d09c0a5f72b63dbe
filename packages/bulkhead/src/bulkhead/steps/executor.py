"""How a run pod starts its steps' pods, follows them, and decides what comes after their end."""

import os
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from dagster import (
    DagsterEvent,
    DagsterInstance,
    DagsterUnmetExecutorRequirementsError,
    MetadataValue,
)
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
    UserDefinedDagsterK8sConfig,
    UserFailureData,
    own_failure_or_retry,
)
from bulkhead.kube.quantities import exact_bytes, parse_bytes
from bulkhead.steps.connections import keep_connections
from bulkhead.steps.event_tail import EventTail
from bulkhead.steps.handler import IsolatedStepHandler, Patience
from bulkhead.steps.history import History, Repeat, grown_memory
from bulkhead.steps.verdicts import Cause, Verdict

_POLL_SECONDS_ENV = "DAGSTER_STEP_DELEGATING_EXECUTOR_SLEEP_SECONDS"
_SHORTEST_POLL_SECONDS = 0.05
_LONGEST_POLL_SECONDS = 0.5
_POLLS_PER_WAIT = 60

_MOST_CONNECTIONS = 4

# What the cluster ended is not started again in the same breath: it may be about to end more.
_INFRASTRUCTURE_WAIT_SECONDS = 1

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
            f"{type(launcher).__name__}, which knows of no cluster. To run all steps here, set the "
            "run's config to {'execution': {'config': {'in_process': {}}}}."
        )
    keep_connections(instance, _MOST_CONNECTIONS)
    history = History()
    handler = IsolatedStepHandler(
        patience=Patience(
            scheduling=config["scheduling_timeout_seconds"],
            start=config["start_timeout_seconds"],
            quota=config["quota_timeout_seconds"],
            image_pull=config["image_pull_timeout_seconds"],
            node=config["node_timeout_seconds"],
        ),
        history=history,
        image=None,  # that of the code location
        container_context=K8sContainerContext(
            run_k8s_config=UserDefinedDagsterK8sConfig.from_dict(config.get("step_k8s_config", {}))
        ),
        load_incluster_config=launcher.load_incluster_config,
        kubeconfig_file=launcher.kubeconfig_file,
        per_step_k8s_config=config.get("per_step_k8s_config", {}),
    )
    return IsolatedStepExecutor(
        handler,
        history=history,
        max_infrastructure_repeats=config["max_infrastructure_repeats"],
        retries=RetryMode.from_config(config["retries"]) or RetryMode.ENABLED,
        sleep_seconds=_fixed_poll_seconds(),
        # In the multiprocess executor 0 means as many as there are processors: no limit of its own.
        max_concurrent=config.get("max_concurrent") or None,
        tag_concurrency_limits=config.get("tag_concurrency_limits"),
        step_dependency_config=StepDependencyConfig.from_config(
            config.get("step_dependency_config")
        ),
    )


def _fixed_poll_seconds() -> float | None:
    return None if _POLL_SECONDS_ENV not in os.environ else float(os.environ[_POLL_SECONDS_ENV])


class _Again(NamedTuple):
    """A repetition, and how people are told of it."""

    repeat: Repeat
    sentence: str
    wait_seconds: int


class IsolatedStepExecutor(StepDelegatingExecutor):
    """Reads a run's events, and has an answer to every end of a step's pod.

    **Polls.** What a step waits for between its neighbour's end and its own start is, on average,
    half of the time between two looks at the event log; Dagster looks once a second. Each look is
    one query on a connection that is kept. It comes often while there are events and seldom while
    there are none: the interval is a sixtieth of the time since the last event, from 0.05 s to
    0.5 s. A fixed interval in `DAGSTER_STEP_DELEGATING_EXECUTOR_SLEEP_SECONDS` stays fixed.

    **Ends.** A step that the cluster ended is repeated, and so is one that was killed for memory
    and may grow. Neither uses up retries of the step's own; all of them show as retries in the
    page. Where the run says that nothing is to be retried, nothing is.
    """

    def __init__(
        self,
        handler: IsolatedStepHandler,
        *,
        history: History,
        max_infrastructure_repeats: int,
        sleep_seconds: float | None,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        """Take what `StepDelegatingExecutor` takes, as `kwargs`, and what is ours.

        Args:
            handler: starts and judges the steps.
            history: what the handler knows of earlier attempts; kept up to date here.
            max_infrastructure_repeats: how often one step may be repeated for the cluster's sake.
            sleep_seconds: a fixed interval between two looks at the event log; None: it adapts.
            **kwargs: of `StepDelegatingExecutor`.
        """
        super().__init__(
            handler,
            sleep_seconds=sleep_seconds or _SHORTEST_POLL_SECONDS,
            # At every look: it asks the watch, not the cluster.
            check_step_health_interval_seconds=0,
            **kwargs,
        )
        self._handler = handler
        self._history = history
        self._max_infrastructure_repeats = max_infrastructure_repeats
        self._tail: EventTail | None = None
        self._adapts = sleep_seconds is None
        self._last_event = time.monotonic()

    def _pop_events(
        self, instance: DagsterInstance, run_id: str, seen_storage_ids: set[int]
    ) -> list[DagsterEvent]:
        """Return all events that have come; what ended before this is judged after it."""
        del seen_storage_ids  # the tail knows
        if self._tail is None:
            self._tail = EventTail(instance, run_id, self._pop_events_limit)
        events = self._tail.read(from_further_back=self._handler.settle())
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
        """Write down the end of a step whose pod did not: its failure, or that it is repeated."""
        step = step_context.step.key
        verdict = self._handler.verdict(step)
        if verdict is None:  # not ours: resources of the step could not be set up
            return _DAGSTERS_OWN(self, step_context, err_info, known_state)
        again = None if self._retries.disabled else self._again(verdict, step_context)
        if again:
            DagsterEvent.engine_event(
                step_context,
                f"{verdict.sentence} {again.sentence}",
                EngineEventData(metadata={**_metadata(verdict), **again.repeat.metadata()}),
            )
            return DagsterEvent.step_retry_event(
                step_context, StepRetryData(_error(verdict), again.wait_seconds or None)
            )
        verdict = self._with_advice(verdict, step_context)
        retry = self._own_retry(verdict, step_context, known_state)
        if retry:
            DagsterEvent.engine_event(
                step_context, verdict.sentence, EngineEventData(metadata=_metadata(verdict))
            )
            return DagsterEvent.step_retry_event(step_context, retry)
        return DagsterEvent.step_failure_event(
            step_context,
            StepFailureData(
                error=_error(verdict),
                user_failure_data=UserFailureData(
                    label=verdict.cause.value,
                    description=verdict.sentence,
                    metadata=_metadata(verdict),
                ),
                error_source=ErrorSource.FRAMEWORK_ERROR,
            ),
        )

    # Its name in Dagster 1.12.
    get_failure_or_retry_event_after_error = log_failure_or_retry_event_after_error

    def _again(self, verdict: Verdict, step_context: IStepContext) -> _Again | None:
        """Return the repetition that is the executor's own doing, if this end calls for one."""
        step, attempt = step_context.step.key, int(verdict.facts["attempt"])
        if verdict.cause.is_infrastructure:
            _end_with_the_run(step_context)
            made = self._history.infrastructure_repeats(step)
            if made >= self._max_infrastructure_repeats:
                return None
            return _Again(
                Repeat(attempt, verdict.cause, self._history.memory(step)),
                f"It is repeated ({made + 1} of {self._max_infrastructure_repeats} times); "
                "its own retries are not used up.",
                _INFRASTRUCTURE_WAIT_SECONDS,
            )
        if verdict.cause is Cause.OUT_OF_MEMORY:
            memory = self._grown(verdict, step_context)
            if memory:
                return _Again(
                    Repeat(attempt, verdict.cause, memory),
                    f"It is repeated with {exact_bytes(memory)}.",
                    0,
                )
        return None

    def _grown(self, verdict: Verdict, step_context: IStepContext) -> int | None:
        step = step_context.step.key
        asked = self._handler.asked(step_context.step.tags)
        allowed = asked.retries_on_oom
        if allowed is not None and self._history.memory_repeats(step) >= allowed:
            return None
        limit = verdict.facts.get("memory_limit")
        if limit is None:
            return None
        return grown_memory(parse_bytes(str(limit)), asked.max_memory, self._handler.ceiling.memory)

    def _with_advice(self, verdict: Verdict, step_context: IStepContext) -> Verdict:
        """Say what to do about a step that was killed for memory and is not repeated."""
        limit = verdict.facts.get("memory_limit")
        if verdict.cause is not Cause.OUT_OF_MEMORY or limit is None:
            return verdict
        asked, ceiling = self._handler.asked(step_context.step.tags), self._handler.ceiling
        used = parse_bytes(str(limit))
        if ceiling.memory is not None and used >= ceiling.memory:
            return verdict.and_then(
                f"That is the ceiling of code location {ceiling.location} (set by the platform "
                f"admin in codeLocations.{ceiling.location}.ceiling): let the step use less, or "
                "have the ceiling raised."
            )
        if asked.max_memory is None:
            return verdict.and_then(
                f'Give it more, such as step_resources(memory="{exact_bytes(2 * used)}"), or let '
                f'it grow when it needs to: step_resources(max_memory="{exact_bytes(4 * used)}").'
            )
        if used >= asked.max_memory:
            return verdict.and_then("That is its max_memory: raise it, or let the step use less.")
        return verdict.and_then("It has used up its retries_on_oom.")

    def _own_retry(
        self, verdict: Verdict, step_context: IStepContext, known_state: KnownExecutionState
    ) -> StepRetryData | None:
        """Return the retry that the op's own policy asks for, if code of it may have run."""
        policy = step_context.op_retry_policy
        if policy is None or self._retries.disabled or verdict.cause.is_before_start:
            return None
        step = step_context.step.key
        attempts = known_state.get_retry_state().get_attempt_count(step)
        own = attempts - len(self._history.repeats(step))
        if own >= policy.max_retries:
            return None
        return StepRetryData(_error(verdict), policy.calculate_delay(own + 1))


def _end_with_the_run(step_context: IStepContext) -> None:
    """End this process where the run has ended without it, or was deleted from the page.

    Its steps are being taken away then, and would be repeated as if the cluster had done it.

    Raises:
        DagsterExecutionInterruptedError: the run has ended.
    """
    run = step_context.instance.get_run_by_id(step_context.run_id)
    if run is None or run.is_finished:
        state = "is not known any more" if run is None else f"has ended ({run.status.value})"
        raise DagsterExecutionInterruptedError(f"Run {step_context.run_id} {state}")


def poll_seconds(quiet_seconds: float) -> float:
    """Return how long to wait for the next event, in seconds, after so many seconds without one."""
    return min(max(quiet_seconds / _POLLS_PER_WAIT, _SHORTEST_POLL_SECONDS), _LONGEST_POLL_SECONDS)


def _error(verdict: Verdict) -> SerializableErrorInfo:
    lines = verdict.facts.get("last_lines")
    said = f"\n\nThe last it printed:\n{lines}" if lines else ""
    return SerializableErrorInfo(f"{verdict.sentence}{said}\n", stack=[], cls_name=None)


def _metadata(verdict: Verdict) -> dict[str, Any]:
    shown = {"cause": verdict.cause.value, **verdict.facts}
    return {
        name: MetadataValue.md(f"```\n{value}\n```") if name == "last_lines" else value
        for name, value in shown.items()
    }
