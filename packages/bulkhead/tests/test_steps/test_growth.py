"""What comes of it when a step is to be given more memory while it runs."""

from collections.abc import Callable
from typing import Any, cast

import pytest

from bulkhead.kube.pods import StepPod
from bulkhead.steps import growth
from bulkhead.steps.ceiling import Ceiling
from bulkhead.steps.growth import InPlaceGrowth
from bulkhead.steps.step_jobs import RefusedError

MIB = 2**20
JOB = "dagster-step-train"

Resize = Callable[["Node", int], None]


class Node:
    """A step's pod, and what the cluster makes of a wish for another limit.

    It is what `InPlaceGrowth` sees of both the run's Jobs and the watch over their pods.
    """

    def __init__(self, on_resize: Resize) -> None:
        self.state = "running"
        self.limit = 256
        self.wishes: list[int] = []
        self._on_resize = on_resize

    def pod(self, job_name: str) -> StepPod:
        limits = {"limits": {"memory": f"{self.limit}Mi"}}
        container = {"name": "dagster", "state": {self.state: {}}, "resources": limits}
        metadata = {"name": job_name, "namespace": "bulkhead-hello"}
        spec = {"containers": [{"name": "dagster"}]}
        return StepPod(
            {"metadata": metadata, "spec": spec, "status": {"containerStatuses": [container]}}
        )

    def resize(self, pod: StepPod, memory: int) -> None:
        del pod
        self.wishes.append(memory)
        self._on_resize(self, memory)


@pytest.fixture(autouse=True)
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the Dagster UI shows, with a timeout that suits a test."""
    said: list[str] = []
    monkeypatch.setattr(growth, "_IN_FORCE_SECONDS", 0.05)
    monkeypatch.setattr(
        growth.DagsterEvent, "engine_event", lambda _context, message, _data: said.append(message)
    )
    return said


def growing(on_resize: Resize) -> tuple[InPlaceGrowth, Node]:
    node = Node(on_resize)
    steps = InPlaceGrowth(cast("Any", node), cast("Any", node), Ceiling("hello", {}))
    steps.allow(JOB, cast("Any", _Context()), 1024 * MIB)
    return steps, node


class _Context:
    class step:  # noqa: N801 - as Dagster names it
        key = "train"


def grant(node: Node, memory: int) -> None:
    node.limit = memory // MIB


def put_off(node: Node, memory: int) -> None:
    """The node has no room: the limit stays as it is."""


def be_killed(node: Node, memory: int) -> None:
    """It was killed first; what the kubelet then tells is what was granted."""
    node.state, node.limit = "terminated", memory // MIB


def refuse(message: str, *, may_pass: bool, is_killed: bool = False) -> Resize:
    def answer(node: Node, memory: int) -> None:
        if is_killed:
            be_killed(node, memory)
        raise RefusedError(message, may_pass=may_pass)

    return answer


def test_a_step_grows_twofold_until_it_has_all_that_it_may_have(said: list[str]) -> None:
    steps, _ = growing(grant)
    assert [steps.grow(JOB) for _ in range(3)] == [512 * MIB, 1024 * MIB, None]
    assert said == [
        "Step train grew from 256Mi to 512Mi, while it ran.",
        "Step train grew from 512Mi to 1Gi, while it ran.",
        "Step train cannot grow beyond 1Gi: this is its max_memory or its ceiling.",
    ]


def test_a_node_without_room_is_named_once_and_asked_again(said: list[str]) -> None:
    steps, node = growing(put_off)
    assert [steps.grow(JOB), steps.grow(JOB)] == [256 * MIB] * 2
    assert said == ["Step train cannot grow to 512Mi now: its node has no room. It keeps 256Mi."]
    assert node.wishes == [512 * MIB] * 2


def test_of_a_step_that_was_killed_meanwhile_no_node_is_said_to_have_no_room(
    said: list[str],
) -> None:
    steps, _ = growing(be_killed)
    steps.grow(JOB)
    assert said == []


def test_a_quota_without_room_is_told_with_its_figures(said: list[str]) -> None:
    steps, _ = growing(refuse("exceeded quota: bulkhead, used: 8Gi", may_pass=False))
    assert steps.grow(JOB) == 256 * MIB
    (told,) = said
    assert told == (
        "Step train cannot grow to 512Mi: the quota of its code location has no room "
        "(exceeded quota: bulkhead, used: 8Gi). It keeps 256Mi."
    )


def test_an_api_server_that_does_not_answer_is_asked_again() -> None:
    steps, node = growing(refuse("no answer: timed out", may_pass=True))
    assert [steps.grow(JOB), steps.grow(JOB)] == [256 * MIB] * 2
    assert len(node.wishes) == 2


def test_a_cluster_that_cannot_do_it_is_asked_once() -> None:
    steps, node = growing(refuse("the server could not find the resource", may_pass=False))
    assert [steps.grow(JOB), steps.grow(JOB)] == [None, None]
    assert len(node.wishes) == 1


def test_a_step_that_is_over_takes_nothing_from_the_others() -> None:
    steps, node = growing(refuse("pods not found", may_pass=False, is_killed=True))
    assert steps.grow(JOB) is None
    node.state = "running"  # another one
    steps.grow(JOB)
    assert len(node.wishes) == 2
