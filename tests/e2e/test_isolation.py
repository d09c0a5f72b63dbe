"""A step, or a code location, does not affect its neighbours."""

from __future__ import annotations

import itertools
import statistics
from typing import TYPE_CHECKING

import pytest
from tests.e2e import hello, pods, resources
from tests.e2e.installation import HELLO, HELLO_NAMESPACE
from tests.e2e.waiting import NotYet, until

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Any

    from tests.e2e.cluster import Kube, Pod
    from tests.e2e.dagster_client import Dagster
    from tests.e2e.installation import Installation


@pytest.mark.timeout(180)
def test_a_step_may_write_to_its_home_and_to_temporary_folders_and_nowhere_else(
    dagster: Dagster, endings: str
) -> None:
    """Its pod mounts nothing, so this is the image: code and libraries cannot be changed."""
    run = dagster.launch(endings, "prowler")
    dagster.succeed(run)
    (found,) = [e.metadata["found"] for e in dagster.events(run) if "found" in e.metadata]
    assert set(found) == {"/opt/dagster/home", "/run/lock", "/tmp", "/var/tmp"}


@pytest.mark.timeout(300)
def test_a_step_over_its_memory_is_killed_while_another_locations_run_goes_on_and_succeeds(
    kube: Kube,
    platform: Installation,
    dagster: Dagster,
    registered: dict[str, Any],
    small: str,
) -> None:
    namespace = registered[small]["namespace"]
    bystander, eater = hello.SLEEPER, hello.EAT_MEMORY
    neighbour = dagster.launch(small, bystander.job, bystander.config({}, seconds=45))
    witness = pods.step_pod(kube, namespace, neighbour, bystander.op)
    standing = pods.long_lived(kube, platform.namespace, HELLO_NAMESPACE, namespace)

    limits = resources.requested(eater.op, cpu="500m", memory="256Mi")
    run = dagster.launch(HELLO, eater.job, eater.config(limits, mebibytes=1024))
    assert dagster.finish(run) == "FAILURE"
    (pod,) = pods.step_pods(kube, HELLO_NAMESPACE, run)
    assert pods.container_end(pod).reason == "OOMKilled"
    assert [e.step for e in dagster.events(run) if e.kind == "STEP_FAILURE"] == [eater.op]

    dagster.succeed(neighbour)
    (after,) = pods.step_pods(kube, namespace, neighbour)
    assert pods.identities([after]) == pods.identities([witness])
    assert pods.long_lived(kube, platform.namespace, HELLO_NAMESPACE, namespace) == standing


@pytest.mark.timeout(360)
def test_a_step_that_spins_on_8_threads_gets_its_limit_and_its_neighbour_keeps_its_pace(
    kube: Kube, dagster: Dagster
) -> None:
    """Both run on one node. In turns the spinning step spins and rests.

    So other load of the machine is as likely during a turn as between two turns. Eight threads use
    the limit of one core on all cores of the node, and compete with the neighbour for them. The
    neighbour requests as much CPU as its limit, so it keeps all of it.
    """
    limit = 1.0
    steady, spinner = hello.STEADY_NEIGHBOUR, hello.SPIN_CPU
    requested = resources.requested(steady.op, cpu="500m", memory="320Mi", cpu_request="500m")
    steady_run = dagster.launch(HELLO, steady.job, steady.config(requested, seconds=600))
    neighbour = pods.step_pod(kube, HELLO_NAMESPACE, steady_run, steady.op)

    requested = resources.requested(spinner.op, cpu="1", memory="320Mi", cpu_request="100m")
    step = requested["execution"]["config"]["per_step_k8s_config"][spinner.op]
    step["pod_spec_config"] = {
        "node_selector": {"kubernetes.io/hostname": neighbour.spec.node_name}
    }
    config = spinner.config(requested, threads=8, seconds=6, turns=7, rest_seconds=6)
    spin_run = dagster.launch(HELLO, spinner.job, config)
    pod = pods.step_pod(kube, HELLO_NAMESPACE, spin_run, spinner.op)
    assert pod.spec.node_name == neighbour.spec.node_name
    dagster.succeed(spin_run, 240)
    slices = hello.steady_slices(_log(kube, neighbour))
    dagster.terminate(steady_run)

    turns = hello.spinning_turns(_log(kube, pod))
    used = statistics.median(turn.cpu_seconds / turn.seconds for turn in turns)
    together = _pace(slices, [(turn.started, turn.ended) for turn in turns])
    alone = _pace(slices, [(turn.ended, then.started) for turn, then in itertools.pairwise(turns)])
    changes = [one / other - 1 for one, other in zip(together, alone, strict=True)]
    shown = ", ".join(f"{change:+.1%}" for change in changes)
    print(f"the neighbour's deciles changed by {shown}; the spinning step used {used:.2f} cores")
    assert limit * 0.8 < used < limit * 1.05, f"used {used:.3f} of {limit} cores"
    assert max(map(abs, changes)) < 0.2, f"alone {alone}, together {together}"


def _log(kube: Kube, pod: Pod) -> str:
    return kube.core.read_namespaced_pod_log(pod.metadata.name, pod.metadata.namespace)


def _pace(slices: list[hello.Span], spans: list[tuple[float, float]]) -> list[float]:
    """The nine deciles of the neighbour's slices within some spans of time, in seconds."""
    inside = [
        each.seconds for each in slices if any(each.lies_in(start, end) for start, end in spans)
    ]
    assert len(inside) >= 20, f"{len(inside)} slices are too few: {inside}"
    return statistics.quantiles(inside, n=10)


@pytest.mark.timeout(240)
def test_a_step_above_the_ceiling_never_starts_and_says_which_ceiling(
    kube: Kube, dagster: Dagster, registered: dict[str, Any], small: str
) -> None:
    namespace = registered[small]["namespace"]
    ceiling = registered[small]["ceiling"]["memory"]
    job = hello.SLEEPER
    above = resources.requested(job.op, cpu="200m", memory="768Mi")
    run = dagster.launch(small, job.job, job.config(above, seconds=5))
    assert dagster.finish(run) == "FAILURE"
    assert (
        f"Step {job.op} requests memory 768Mi; the ceiling of code location {small} is {ceiling}, "
        f"set by the platform admin in codeLocations.{small}.ceiling. Request less, or ask the "
        "admin to raise the ceiling." in dagster.why(run)
    )
    assert not pods.step_pods(kube, namespace, run)
    assert not _jobs(kube, namespace, run)


@pytest.mark.timeout(360)
def test_a_location_over_its_quota_delays_only_itself_and_goes_on_when_there_is_room(
    kube: Kube, dagster: Dagster, registered: dict[str, Any], small: str
) -> None:
    """`small` has room for one step at a time; three could run at the same time."""
    namespace = registered[small]["namespace"]
    job = hello.FAN_OUT
    crowded = dagster.launch(small, job.job, job.config({}, steps=3, seconds=10))
    rejection = until(
        lambda: _rejections(kube, namespace, crowded), 120, "a rejected step of the crowded run"
    )
    assert "exceeded quota: bulkhead" in rejection

    free = dagster.launch(HELLO, job.job, job.config({}, steps=2, seconds=0))
    dagster.succeed(free)
    delayed = dagster.run(crowded)
    assert delayed["status"] == "STARTED", "the crowded run should still wait for room"

    dagster.succeed(crowded, 240)
    lives = until(
        lambda: _lives(kube, namespace, crowded), 60, "the containers of all steps to have ended"
    )
    assert len(lives) >= 3
    overlaps = [
        (first, second) for first, second in itertools.pairwise(lives) if second[0] < first[1]
    ]
    assert not overlaps, "two steps ran at the same time"


def _lives(kube: Kube, namespace: str, run: str) -> list[tuple[datetime, datetime]] | NotYet:
    """When the container of each step started and ended, in that order."""
    there = pods.step_pods(kube, namespace, run)
    running = [pods.describe(pod) for pod in there if not pods.has_container_ended(pod)]
    if running:
        return NotYet(running)
    ends = [pods.container_end(pod) for pod in there]
    return sorted((end.started_at, end.finished_at) for end in ends)


def _rejections(kube: Kube, namespace: str, run: str) -> str | NotYet:
    """The messages with which the API server rejected pods of a run's steps."""
    jobs = kube.batch.list_namespaced_job(
        namespace, label_selector=f"{pods.RUN_ID}={run},{pods.STEP_KEY}"
    ).items
    messages = [
        event.message
        for job in jobs
        for event in pods.events(kube, namespace, "Job", job.metadata.name)
        if event.reason == "FailedCreate"
    ]
    return "\n".join(messages) or NotYet([job.metadata.name for job in jobs])


def _jobs(kube: Kube, namespace: str, run: str) -> list[str]:
    jobs = kube.batch.list_namespaced_job(
        namespace, label_selector=f"{pods.RUN_ID}={run},{pods.STEP_KEY}"
    ).items
    return [job.metadata.name for job in jobs]
