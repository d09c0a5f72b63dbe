"""A step that the cluster ends is retried, without its own retries, and never runs twice."""

from __future__ import annotations

import itertools
import json
import uuid
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import pytest
from tests.e2e import nodes, pods
from tests.e2e.dagster_client import RETRY
from tests.e2e.waiting import NotYet, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.cluster import Kube, Pod
    from tests.e2e.dagster_client import Dagster
    from tests.e2e.installation import Installation
    from tests.e2e.ledger import Ledger

NAMESPACE = "bulkhead-steps"
HOSTNAME = "kubernetes.io/hostname"


RETRIED = "Retrying (1 of 3); this does not use the step's own retries."

ROWS_OF_FAILS_ONCE = {"own attempt 1": 2, "own attempt 2": 1, "done": 1}
"""Rows of `fails_once`, which the cluster ended during its first attempt.

Its RetryPolicy allows one retry, which it needs for its own failure.
"""


def _begun(ledger: Ledger, run: str, step: str) -> None:
    until(lambda: ledger.rows(run, step) or NotYet("no row"), 120, f"step {step} to begin")


def _retries(dagster: Dagster, run: str) -> list[str]:
    """The message of each retry by the executor itself."""
    return [e.message for e in dagster.events(run) if RETRY in e.metadata]


def _assert_own_retry_was_kept(dagster: Dagster, ledger: Ledger, run: str) -> None:
    """Assert that `fails_once` was ended once, and after that used its own retry."""
    assert Counter(row.what for row in ledger.rows(run)) == ROWS_OF_FAILS_ONCE
    assert len(_retries(dagster, run)) == 1
    kinds = Counter(e.kind for e in dagster.events(run))
    assert (kinds["STEP_UP_FOR_RETRY"], kinds["STEP_SUCCESS"]) == (2, 1)


class Scene(NamedTuple):
    """A run, and the pod of its step that was drained or deleted."""

    run: str
    pod: Pod


@pytest.fixture(scope="module")
def scenes(
    kube: Kube, dagster: Dagster, endings: str, ledger: Ledger
) -> Iterator[dict[str, Future[Scene]]]:
    """Runs whose step is drained or deleted while it runs, all at the same time."""

    def delete(pod: Pod, **options: int) -> None:
        kube.core.delete_namespaced_pod(pod.metadata.name, NAMESPACE, **options)

    def drain(pod: Pod) -> None:
        with nodes.cordoned(kube, pod.spec.node_name):
            nodes.evict(kube, pod.metadata.name, NAMESPACE)
            until(lambda: _moved(kube, pod), 120, "the step to start elsewhere")

    def play(job: str, act: Callable[[Pod], None]) -> Scene:
        run = dagster.launch(endings, job)
        pod = pods.step_pod(kube, NAMESPACE, run, job)
        _begun(ledger, run, job)
        act(pod)
        dagster.succeed(run, 240)
        return Scene(run, pod)

    acts: dict[str, tuple[str, Callable[[Pod], None]]] = {
        "drained": ("fails_once", drain),
        "deleted": ("fails_once", delete),
        "stubborn-deleted": ("stubborn", delete),
        "stubborn-deleted-by-force": ("stubborn", partial(delete, grace_period_seconds=0)),
    }
    with ThreadPoolExecutor(len(acts)) as pool:
        yield {name: pool.submit(play, *act) for name, act in acts.items()}


def _run_of(pod: Pod) -> str:
    return pod.metadata.labels[pods.RUN_ID]


def _moved(kube: Kube, pod: Pod) -> bool | NotYet:
    there = pods.step_pods(kube, NAMESPACE, _run_of(pod))
    elsewhere = [
        other
        for other in there
        if other.status.phase == "Running" and other.spec.node_name != pod.spec.node_name
    ]
    return bool(elsewhere) or NotYet([pods.describe(other) for other in there])


@pytest.mark.timeout(360)
def test_a_step_whose_node_is_drained_is_retried_elsewhere_and_keeps_its_own_retry(
    dagster: Dagster, ledger: Ledger, scenes: dict[str, Future[Scene]]
) -> None:
    run, pod = scenes["drained"].result()
    (message,) = _retries(dagster, run)
    assert message.startswith(f"Step fails_once was evicted from node {pod.spec.node_name}: ")
    assert message.endswith(f" {RETRIED}")
    _assert_own_retry_was_kept(dagster, ledger, run)


@pytest.mark.timeout(360)
def test_a_step_whose_pod_is_deleted_is_retried_and_keeps_its_own_retry(
    dagster: Dagster, ledger: Ledger, scenes: dict[str, Future[Scene]]
) -> None:
    run, pod = scenes["deleted"].result()
    (message,) = _retries(dagster, run)
    assert message == f"The pod of step fails_once, {pod.metadata.name}, was deleted. {RETRIED}"
    _assert_own_retry_was_kept(dagster, ledger, run)


@pytest.mark.timeout(360)
@pytest.mark.parametrize("scene", ["stubborn-deleted", "stubborn-deleted-by-force"])
def test_a_step_that_ignores_sigterm_never_runs_twice_at_the_same_time(
    ledger: Ledger, scenes: dict[str, Future[Scene]], scene: str
) -> None:
    rows = ledger.rows(scenes[scene].result().run)
    _, start = [index for index, row in enumerate(rows) if row.what == "begun"]
    assert [row.what for row in rows[start:]].count("done") == 1
    second = [row.at for row in rows[start:] if row.what == "at work"]
    gaps = [later - earlier for earlier, later in itertools.pairwise(second)]
    assert min(gaps) > 0.3, "two attempts ran at the same time"


@pytest.mark.timeout(300)
def test_a_step_that_is_deleted_more_often_than_allowed_fails(
    kube: Kube, dagster: Dagster, endings: str
) -> None:
    run = dagster.launch(
        endings, "worker", {"execution": {"config": {"max_infrastructure_repeats": 1}}}
    )
    first = pods.step_pod(kube, NAMESPACE, run, "worker")
    kube.core.delete_namespaced_pod(first.metadata.name, NAMESPACE, grace_period_seconds=1)
    second = until(
        lambda: _other_pod(kube, run, first.metadata.name), 120, "the step to be retried"
    )
    kube.core.delete_namespaced_pod(second, NAMESPACE, grace_period_seconds=1)
    assert dagster.finish(run, 120) == "FAILURE"
    (failure,) = [e for e in dagster.events(run) if e.kind == "STEP_FAILURE"]
    assert f"The pod of step worker, {second}, was deleted." in failure.error
    assert failure.metadata["attempt"] == 2


def _other_pod(kube: Kube, run: str, name: str) -> str | NotYet:
    there = pods.step_pods(kube, NAMESPACE, run)
    running = [
        pod.metadata.name
        for pod in there
        if pod.metadata.name != name and pod.status.phase == "Running"
    ]
    return running[0] if running else NotYet([pods.describe(pod) for pod in there])


@pytest.fixture
def urgent(kube: Kube) -> Iterator[str]:
    """A priority class above that of steps."""
    name = f"e2e-urgent-{uuid.uuid4().hex[:6]}"
    kube.scheduling.create_priority_class({"metadata": {"name": name}, "value": 1_000_000})
    yield name
    kube.scheduling.delete_priority_class(name)


@pytest.mark.timeout(300)
def test_a_step_that_is_preempted_is_retried_and_keeps_its_own_retry(  # noqa: PLR0917 - fixtures
    kube: Kube, dagster: Dagster, endings: str, ledger: Ledger, urgent: str, namespace: str
) -> None:
    """The step requests most of a node's CPU, and so does the urgent pod, on the same node."""
    busy = {"limits": {"cpu": "1200m"}, "requests": {"cpu": "1200m"}}
    run = dagster.launch(
        endings,
        "fails_once",
        {
            "ops": {"fails_once": {"config": {"seconds": 15}}},
            "execution": {
                "config": {
                    "per_step_k8s_config": {"fails_once": {"container_config": {"resources": busy}}}
                }
            },
        },
    )
    pod = pods.step_pod(kube, NAMESPACE, run, "fails_once")
    _begun(ledger, run, "fails_once")
    manifest = pods.restricted_pod("urgent", namespace, ["sleep", "10"])
    manifest["spec"] |= {
        "priorityClassName": urgent,
        "nodeSelector": {"kubernetes.io/hostname": pod.spec.node_name},
    }
    manifest["spec"]["containers"][0]["resources"] = {
        kind: {"cpu": "1200m", "memory": "64Mi"} for kind in ("limits", "requests")
    }
    pods.create(kube, manifest)
    until(lambda: _retries(dagster, run) or NotYet("no retry"), 90, "the step to be preempted")
    dagster.succeed(run, 200)
    (message,) = _retries(dagster, run)
    node = pod.spec.node_name
    assert message.startswith(
        f"Step fails_once was preempted on node {node} by a pod of higher priority: "
    )
    assert message.endswith(f" {RETRIED}")
    _assert_own_retry_was_kept(dagster, ledger, run)


@pytest.mark.timeout(420)
def test_a_step_on_a_node_that_does_not_respond_is_not_run_elsewhere(
    kube: Kube, platform: Installation, dagster: Dagster, endings: str, ledger: Ledger
) -> None:
    node, _ = _expendable_node(kube, platform)
    there = {"pod_spec_config": {"node_selector": {HOSTNAME: node}}}
    run = dagster.launch(
        endings,
        "worker",
        {
            "ops": {"worker": {"config": {"seconds": 110}}},
            "execution": {"config": {"per_step_k8s_config": {"worker": there}}},
        },
    )
    pods.step_pod(kube, NAMESPACE, run, "worker")
    _begun(ledger, run, "worker")
    with nodes.shell(kube, node) as shell:
        nodes.on_node_later(
            kube, shell, {2: "systemctl stop kubelet", 80: "systemctl start kubelet"}
        )
        nodes.ready(kube, node, wanted=False, timeout=120)
        until(lambda: _is_reported(dagster, run, node) or NotYet("no event"), 60, "an event")
        nodes.ready(kube, node, wanted=True, timeout=120)
    dagster.succeed(run, 200)
    assert Counter(row.what for row in ledger.rows(run)) == {"begun": 1, "done": 1}
    assert not _retries(dagster, run)


@pytest.mark.timeout(480)
def test_a_step_whose_node_is_gone_for_good_is_retried_elsewhere(
    kube: Kube, platform: Installation, dagster: Dagster, endings: str, ledger: Ledger
) -> None:
    """Its processes end with its node, and an admin marks that node as out of service."""
    node, other = _expendable_node(kube, platform)
    there = {"key": HOSTNAME, "operator": "In", "values": [node]}
    preferred = [{"weight": 100, "preference": {"match_expressions": [there]}}]
    affinity = {"preferred_during_scheduling_ignored_during_execution": preferred}
    config = {"pod_spec_config": {"affinity": {"node_affinity": affinity}}}
    run_elsewhere = {"pod_spec_config": {"node_selector": {HOSTNAME: other}}}
    with nodes.shell(kube, node) as shell:
        run = dagster.launch(
            endings,
            "worker",
            {
                "ops": {"worker": {"config": {"seconds": 20}}},
                "execution": {"config": {"per_step_k8s_config": {"worker": config}}},
            },
            tags={"dagster-k8s/config": json.dumps(run_elsewhere)},
        )
        pod = pods.step_pod(kube, NAMESPACE, run, "worker")
        assert pod.spec.node_name == node
        _begun(ledger, run, "worker")
        kill = f"{nodes.processes_of(pod.metadata.uid)} | xargs kill -9"
        nodes.on_node_later(
            kube, shell, {1: f"systemctl stop kubelet; {kill}", 100: "systemctl start kubelet"}
        )
        nodes.ready(kube, node, wanted=False, timeout=120)
        with nodes.out_of_service(kube, node):
            until(lambda: _moved(kube, pod), 120, "the step to start elsewhere")
            dagster.succeed(run, 120)
            nodes.ready(kube, node, wanted=True, timeout=180)
    (message,) = _retries(dagster, run)
    assert message.startswith(f"Step worker lost its node {node}. ")
    assert message.endswith(f" {RETRIED}")
    assert Counter(row.what for row in ledger.rows(run)) == {"begun": 2, "done": 1}


def _expendable_node(kube: Kube, platform: Installation) -> tuple[str, str]:
    """A node without the database, which has to stay up; and the node of the database."""
    (database,) = pods.of_component(kube, platform.namespace, platform.release, "database")
    there = {node.metadata.name for node in kube.core.list_node().items}
    return min(there - {database.spec.node_name}), database.spec.node_name


def _is_reported(dagster: Dagster, run: str, node: str) -> bool:
    message = (
        f"Node {node} of step worker does not respond, so the step may still run there. It is not "
        "retried until the node responds or is removed from the cluster; otherwise it could run "
        "twice."
    )
    return message in [event.message for event in dagster.events(run)]
