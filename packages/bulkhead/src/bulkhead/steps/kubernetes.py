"""How a run pod starts its steps' pods and follows them."""

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from dagster import DagsterEvent, DagsterInstance, DagsterUnmetExecutorRequirementsError
from dagster._core.execution.retries import RetryMode
from dagster._core.execution.step_dependency_config import StepDependencyConfig
from dagster._core.executor.step_delegating import StepDelegatingExecutor
from dagster_k8s import K8sRunLauncher
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.job import UserDefinedDagsterK8sConfig

from bulkhead.steps.handler import IsolatedStepHandler

_POLL_SECONDS_ENV = "DAGSTER_STEP_DELEGATING_EXECUTOR_SLEEP_SECONDS"
_SHORTEST_POLL_SECONDS = 0.2
_LONGEST_POLL_SECONDS = 1.0  # Dagster's own
_POLLS_PER_WAIT = 60

_HEALTH_CHECK_SECONDS = 2


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
    return _EventPollingExecutor(
        IsolatedStepHandler(
            image=None,  # that of the code location
            container_context=K8sContainerContext(
                run_k8s_config=UserDefinedDagsterK8sConfig.from_dict(
                    config.get("step_k8s_config", {})
                )
            ),
            load_incluster_config=launcher.load_incluster_config,
            kubeconfig_file=launcher.kubeconfig_file,
            per_step_k8s_config=config.get("per_step_k8s_config", {}),
            snapshot_seconds=_HEALTH_CHECK_SECONDS / 2,
        ),
        retries=RetryMode.from_config(config["retries"]) or RetryMode.ENABLED,
        sleep_seconds=_fixed_poll_seconds(),
        check_step_health_interval_seconds=_HEALTH_CHECK_SECONDS,
        # In the multiprocess executor 0 means as many as there are processors: no limit of its own.
        max_concurrent=config.get("max_concurrent") or None,
        tag_concurrency_limits=config.get("tag_concurrency_limits"),
        should_verify_step=True,
        step_dependency_config=StepDependencyConfig.from_config(
            config.get("step_dependency_config")
        ),
    )


def _fixed_poll_seconds() -> float | None:
    return None if _POLL_SECONDS_ENV not in os.environ else float(os.environ[_POLL_SECONDS_ENV])


class _EventPollingExecutor(StepDelegatingExecutor):
    """Reads a run's events often while they come and seldom while they don't.

    What a step waits for between its neighbour's end and its own start is, on average, half of this
    poll; Dagster polls once a second. Each poll is one query and, since its PostgreSQL storage
    keeps no connections, one new connection, so a run that waits an hour for one step must not ask
    five times a second: the interval is a sixtieth of the time since the last event, from 0.2 s to
    1 s. A fixed interval in `DAGSTER_STEP_DELEGATING_EXECUTOR_SLEEP_SECONDS` stays fixed.
    """

    def __init__(self, *args: Any, sleep_seconds: float | None, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, sleep_seconds=sleep_seconds or _SHORTEST_POLL_SECONDS, **kwargs)
        self._adapts = sleep_seconds is None
        self._last_event = time.monotonic()

    def _pop_events(
        self, instance: DagsterInstance, run_id: str, seen_storage_ids: set[int]
    ) -> Sequence[DagsterEvent]:
        events = super()._pop_events(instance, run_id, seen_storage_ids)
        now = time.monotonic()
        if events:
            self._last_event = now
        if self._adapts:
            self._sleep_seconds = poll_seconds(now - self._last_event)
        return events


def poll_seconds(quiet_seconds: float) -> float:
    """Return how long to wait for the next event, in seconds, after so many seconds without one."""
    return min(max(quiet_seconds / _POLLS_PER_WAIT, _SHORTEST_POLL_SECONDS), _LONGEST_POLL_SECONDS)
