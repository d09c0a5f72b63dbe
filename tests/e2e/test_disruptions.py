"""A step that the cluster ends runs again: that was not its fault; and never twice at once."""

from __future__ import annotations

import itertools
import json
import uuid
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import pytest
from kubernetes import client
from tests.e2e import nodes, pods
from tests.e2e.waiting import NotYet, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.cluster import Kube
    from tests.e2e.dagster_client import Dagster
    from tests.e2e.installation import Installation
    from tests.e2e.ledger import Ledger

NAMESPACE = "bulkhead-steps"
HOSTNAME = "kubernetes.io/hostname"


def _begun(ledger: Ledger, run: str, step: str) -> None:
    until(lambda: ledger.rows(run, step) or NotYet("no row"), 120, f"step {step} to begin")


def _repeats(dagster: Dagster, run: str) -> list[str]:
    """What the page says of each repetition that was the executor's own doing."""
    return [e.message for e in dagster.events(run) if "bulkhead/repeat" in e.metadata]


class Scene(NamedTuple):
    """A run to whose step something was done, and what that step's pod was."""

    run: str
    pod: client.V1Pod


@pytest.fixture(scope="module")
def scenes(
    kube: Kube, dagster: Dagster, endings: str, ledger: Ledger
) -> Iterator[dict[str, Future[Scene]]]:
    """Runs whose step is drained or deleted while it works, all side by side, each to its end."""

    def delete(pod: client.V1Pod, **options: int) -> None:
        kube.core.delete_namespaced_pod(pod.metadata.name, NAMESPACE, **options)

    def drain(pod: client.V1Pod) -> None:
        with nodes.cordoned(kube, pod.spec.node_name):
            nodes.evict(kube, pod.metadata.name, NAMESPACE)
            until(lambda: _moved(kube, pod), 120, "the step to start elsewhere")

    def play(job: str, act: Callable[[client.V1Pod], None]) -> Scene:
        run = dagster.launch(endings, job)
        pod = pods.step_pod(kube, NAMESPACE, run, job)
        _begun(ledger, run, job)
        act(pod)
        dagster.succeed(run, 240)
        return Scene(run, pod)

    acts: dict[str, tuple[str, Callable[[client.V1Pod], None]]] = {
        "drained": ("worker", drain),
        "deleted": ("worker", delete),
        "stubborn-deleted": ("stubborn", delete),
        "stubborn-deleted-by-force": ("stubborn", partial(delete, grace_period_seconds=0)),
    }
    with ThreadPoolExecutor(len(acts)) as pool:
        yield {name: pool.submit(play, *act) for name, act in acts.items()}


def _run_of(pod: client.V1Pod) -> str:
    return pod.metadata.labels[pods.RUN_ID]


def _moved(kube: Kube, pod: client.V1Pod) -> bool | NotYet:
    there = pods.step_pods(kube, NAMESPACE, _run_of(pod))
    elsewhere = [
        other
        for other in there
        if other.status.phase == "Running" and other.spec.node_name != pod.spec.node_name
    ]
    return bool(elsewhere) or NotYet([pods.describe(other) for other in there])


@pytest.mark.timeout(360)
def test_a_step_whose_node_is_drained_runs_again_elsewhere(
    dagster: Dagster, ledger: Ledger, scenes: dict[str, Future[Scene]]
) -> None:
    run, pod = scenes["drained"].result()
    (said,) = _repeats(dagster, run)
    assert said.startswith(f"Step worker was evicted from node {pod.spec.node_name}: ")
    assert said.endswith("It is repeated (1 of 3 times); its own retries are not used up.")
    assert Counter(row.what for row in ledger.rows(run)) == {"begun": 2, "done": 1}


@pytest.mark.timeout(360)
def test_a_step_whose_pod_somebody_deletes_runs_again(
    dagster: Dagster, ledger: Ledger, scenes: dict[str, Future[Scene]]
) -> None:
    run, pod = scenes["deleted"].result()
    (said,) = _repeats(dagster, run)
    assert said.startswith(f"Somebody deleted the pod of step worker, {pod.metadata.name}.")
    assert Counter(row.what for row in ledger.rows(run)) == {"begun": 2, "done": 1}


@pytest.mark.timeout(360)
@pytest.mark.parametrize("scene", ["stubborn-deleted", "stubborn-deleted-by-force"])
def test_a_step_that_ignores_the_signal_to_end_never_runs_twice_at_once(
    ledger: Ledger, scenes: dict[str, Future[Scene]], scene: str
) -> None:
    rows = ledger.rows(scenes[scene].result().run)
    _, again = [index for index, row in enumerate(rows) if row.what == "begun"]
    assert [row.what for row in rows[again:]].count("done") == 1
    second = [row.at for row in rows[again:] if row.what == "at work"]
    gaps = [later - earlier for earlier, later in itertools.pairwise(second)]
    assert min(gaps) > 0.3, "two steps were at work side by side"


@pytest.mark.timeout(300)
def test_a_step_that_is_deleted_again_and_again_fails_in_the_end(
    kube: Kube, dagster: Dagster, endings: str
) -> None:
    run = dagster.launch(
        endings, "worker", {"execution": {"config": {"max_infrastructure_repeats": 1}}}
    )
    first = pods.step_pod(kube, NAMESPACE, run, "worker")
    kube.core.delete_namespaced_pod(first.metadata.name, NAMESPACE, grace_period_seconds=1)
    second = until(
        lambda: _other_pod(kube, run, first.metadata.name), 120, "the step to be repeated"
    )
    kube.core.delete_namespaced_pod(second, NAMESPACE, grace_period_seconds=1)
    assert dagster.finish(run, 120) == "FAILURE"
    (failure,) = [e for e in dagster.events(run) if e.kind == "STEP_FAILURE"]
    assert f"Somebody deleted the pod of step worker, {second}." in failure.error
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
    """A priority above that of steps."""
    api = client.SchedulingV1Api(kube.api)
    name = f"e2e-urgent-{uuid.uuid4().hex[:6]}"
    api.create_priority_class(
        client.V1PriorityClass(metadata=client.V1ObjectMeta(name=name), value=1_000_000)
    )
    yield name
    api.delete_priority_class(name)


@pytest.mark.timeout(300)
def test_a_step_that_makes_room_for_a_more_urgent_pod_runs_again(  # noqa: PLR0917 - fixtures
    kube: Kube, dagster: Dagster, endings: str, ledger: Ledger, urgent: str, namespace: str
) -> None:
    """The step asks for most of a node's CPU, and so does the urgent pod, on the same node."""
    busy = {"limits": {"cpu": "1200m"}, "requests": {"cpu": "1200m"}}
    run = dagster.launch(
        endings,
        "worker",
        {
            "ops": {"worker": {"config": {"seconds": 15}}},
            "execution": {
                "config": {
                    "per_step_k8s_config": {"worker": {"container_config": {"resources": busy}}}
                }
            },
        },
    )
    pod = pods.step_pod(kube, NAMESPACE, run, "worker")
    _begun(ledger, run, "worker")
    manifest = pods.restricted_pod("urgent", namespace, ["sleep", "10"])
    manifest["spec"] |= {
        "priorityClassName": urgent,
        "nodeSelector": {"kubernetes.io/hostname": pod.spec.node_name},
    }
    manifest["spec"]["containers"][0]["resources"] = {
        kind: {"cpu": "1200m", "memory": "64Mi"} for kind in ("limits", "requests")
    }
    pods.create(kube, manifest)
    until(lambda: _repeats(dagster, run) or NotYet("no repetition"), 90, "the step to make room")
    dagster.succeed(run, 200)
    said = _repeats(dagster, run)[0]
    assert said.startswith(f"Step worker had to make room on node {pod.spec.node_name} ")
    assert [row.what for row in ledger.rows(run)][-1] == "done"


@pytest.mark.timeout(420)
def test_a_step_on_a_node_that_falls_silent_is_not_run_elsewhere_while_it_may_still_run(
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
        until(lambda: _told_of_silence(dagster, run) or NotYet("not told"), 60, "people to be told")
        nodes.ready(kube, node, wanted=True, timeout=120)
    dagster.succeed(run, 200)
    assert Counter(row.what for row in ledger.rows(run)) == {"begun": 1, "done": 1}
    assert not _repeats(dagster, run)


@pytest.mark.timeout(480)
def test_a_step_whose_node_is_gone_for_good_runs_again_elsewhere(
    kube: Kube, platform: Installation, dagster: Dagster, endings: str, ledger: Ledger
) -> None:
    """Its processes end with its node, and a person says that this node is out of service."""
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
    (said,) = _repeats(dagster, run)
    assert said.startswith(f"Step worker lost its node {node}.")
    assert Counter(row.what for row in ledger.rows(run)) == {"begun": 2, "done": 1}


def _expendable_node(kube: Kube, platform: Installation) -> tuple[str, str]:
    """A node without the database, for without that nothing could be told; and the database's."""
    (database,) = pods.of_component(kube, platform.namespace, platform.release, "database")
    there = {node.metadata.name for node in kube.core.list_node().items}
    return min(there - {database.spec.node_name}), database.spec.node_name


def _told_of_silence(dagster: Dagster, run: str) -> bool:
    return any("has stopped answering" in event.message for event in dagster.events(run))
