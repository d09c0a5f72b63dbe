"""A run whose own pod is killed is resumed by another pod: nothing hangs or runs twice."""

from __future__ import annotations

import re
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from tests.e2e import nodes, pods
from tests.e2e.dagster_client import CANCELED
from tests.e2e.waiting import NotYet, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.cluster import Kube, Pod
    from tests.e2e.dagster_client import Dagster, Event
    from tests.e2e.ledger import Ledger

NAMESPACE = "bulkhead-steps"
STEPS = {"first", "left", "right", "at_second_attempt", "last"}


def _at_start(events: list[Event]) -> bool:
    return any(e.kind == "RUN_START" for e in events)


def _between_steps(events: list[Event]) -> bool:
    return any(e.kind == "STEP_SUCCESS" for e in events)


def _two_running(events: list[Event]) -> bool:
    return {"left", "right"} <= {e.step for e in events if e.kind == "STEP_START"}


def _in_retry(events: list[Event]) -> bool:
    return any(e.kind == "STEP_UP_FOR_RETRY" for e in events)


def _at_the_end(events: list[Event]) -> bool:
    return any(e.kind == "STEP_SUCCESS" and e.step == "last" for e in events)


MOMENTS: dict[str, Callable[[list[Event]], bool]] = {
    "before-the-first-step": _at_start,
    "between-steps": _between_steps,
    "while-two-run": _two_running,
    "during-a-retry": _in_retry,
    "at-the-end": _at_the_end,
}


class Killed(NamedTuple):
    """A run, and the UID of its pod that was killed."""

    run: str
    pod_uid: str


@pytest.fixture(scope="module")
def killed(kube: Kube, dagster: Dagster, endings: str) -> Iterator[dict[str, Future[Killed]]]:
    """One run for each moment, all at the same time; the pod of each is killed at its moment."""

    def wait_for(run: str, moment: str) -> None:
        until(
            lambda: MOMENTS[moment](dagster.events(run)) or NotYet(dagster.status(run)),
            240,
            f"run {run} to be {moment}",
            interval=0.2,
        )

    def kill_at(moment: str) -> Killed:
        run = dagster.launch(endings, "long_way")
        if moment == "at-the-end":
            wait_for(run, "while-two-run")
            pod = _run_pod(kube, run)
            # A run pod ends within half a second after its last step: it is stopped before.
            with nodes.shell(kube, pod.spec.node_name) as shell:
                until(
                    lambda: _has_begun(dagster.events(run), "last") or NotYet(dagster.status(run)),
                    120,
                    f"the last step of run {run} to begin",
                    interval=0.1,
                )
                stop = f"{nodes.processes_of(pod.metadata.uid)} | xargs kill -STOP"
                nodes.on_node(kube, shell, stop)
        wait_for(run, moment)
        pod = _run_pod(kube, run)
        kube.core.delete_namespaced_pod(pod.metadata.name, NAMESPACE, grace_period_seconds=0)
        return Killed(run, pod.metadata.uid)

    with ThreadPoolExecutor(len(MOMENTS)) as pool:
        yield {moment: pool.submit(kill_at, moment) for moment in MOMENTS}


def _has_begun(events: list[Event], step: str) -> bool:
    return any(e.kind == "STEP_START" and e.step == step for e in events)


def _run_pod(kube: Kube, run: str) -> Pod:
    (pod,) = pods.run_pods(kube, NAMESPACE, run)
    return pod


@pytest.mark.timeout(600)
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_whose_pod_is_killed_goes_on_and_runs_each_attempt_once(
    kube: Kube, dagster: Dagster, ledger: Ledger, killed: dict[str, Future[Killed]], moment: str
) -> None:
    run, killed_pod = killed[moment].result(timeout=300)
    dagster.succeed(run, 300)
    there = pods.run_pods(kube, NAMESPACE, run)
    second = [pod for pod in there if pod.metadata.uid != killed_pod]
    assert len(second) == 1, [pods.describe(pod) for pod in there]
    events = dagster.events(run)
    begun = Counter(row.step for row in ledger.rows(run) if row.what == "begun")
    assert begun == {**dict.fromkeys(STEPS, 1), "at_second_attempt": 2}
    succeeded = Counter(e.step for e in events if e.kind == "STEP_SUCCESS")
    assert succeeded == dict.fromkeys(STEPS, 1)
    pods.at_rest(kube, NAMESPACE, run)


@pytest.mark.timeout(300)
def test_a_run_that_is_cancelled_while_its_steps_wait_leaves_no_pod(
    kube: Kube, dagster: Dagster, endings: str
) -> None:
    run = dagster.launch(endings, "too_large_for_any_node")
    until(lambda: _pending(kube, run), 90, "the step to wait for a node")
    dagster.terminate(run)
    assert dagster.finish(run, 90) == CANCELED
    pods.at_rest(kube, NAMESPACE, run)


def _pending(kube: Kube, run: str) -> bool | NotYet:
    there = pods.step_pods(kube, NAMESPACE, run)
    return any(pod.status.phase == "Pending" for pod in there) or NotYet(
        [pods.describe(pod) for pod in there]
    )


@pytest.mark.timeout(300)
def test_a_run_whose_own_pod_runs_out_of_memory_says_so(dagster: Dagster, endings: str) -> None:
    """All steps run in the run's own pod, whose limit is too low for this one."""
    in_run_pod: dict[str, Any] = {"execution": {"config": {"in_process": {}}}}
    run = dagster.launch(endings, "hog", in_run_pod, {"dagster/max_retries": "0"})
    assert dagster.finish(run, 240) == "FAILURE"
    log = "\n".join(f"{e.message} {e.error}" for e in dagster.events(run))
    assert re.search(
        r"The run's own pod dagster-run-\S+ ran out of memory \(OOM-killed\): its limit is 512Mi, "
        r"set by the platform admin in runLauncher\.resources\.",
        log,
    ), log
