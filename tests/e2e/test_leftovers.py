"""A step that outlives its run is removed, also when the daemon was down in the meantime."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.e2e import hello, pods
from tests.e2e.cluster import listed
from tests.e2e.installation import HELLO, HELLO_NAMESPACE
from tests.e2e.waiting import NotYet, until

if TYPE_CHECKING:
    from tests.e2e.cluster import Event, Kube, Pod
    from tests.e2e.dagster_client import Dagster
    from tests.e2e.installation import Installation

IN_TIME = 120
"""Seconds after the start of the daemon in which the leftover step is removed."""

REMOVED = "LeftoverRemoved"


@pytest.mark.timeout(540)
def test_a_step_whose_run_ended_while_the_daemon_was_down_is_removed_and_no_other(
    kube: Kube, platform: Installation, dagster: Dagster
) -> None:
    """The run's own pod is lost, then the run is deleted in the Dagster UI.

    A lost run pod leaves its steps to the pod that resumes the run. Here no daemon runs that could
    resume it, and later there is no run to resume. So only the reconciler can end the step.
    """
    job = hello.SLEEPER
    config = job.config({}, seconds=900)
    run, other = dagster.launch(HELLO, job.job, config), dagster.launch(HELLO, job.job, config)
    left = pods.step_pod(kube, HELLO_NAMESPACE, run, job.op)
    bystander = pods.step_pod(kube, HELLO_NAMESPACE, other, job.op)

    _scale_daemon(kube, platform, 0)
    try:
        until(lambda: _daemon_is_down(kube, platform), 60, "the daemon to be down")
        _lose_run_pod(kube, run)
        dagster.delete_run(run)
        _assert_running(kube, left)
    finally:
        _scale_daemon(kube, platform, 1)
    until(lambda: _daemon_is_back(kube, platform), 120, "the daemon to be back")

    pods.gone(kube, HELLO_NAMESPACE, left.metadata.name, IN_TIME)
    event = until(lambda: _removal(kube, left), 30, f"an event about Job {_job(left)}")
    assert event.type == "Warning"
    assert event.message == (
        f"Removed step {job.op} of run {run}: the run had ended (not known any more) "
        "and the step was still there"
    )
    assert not pods.alive(pods.of_run(kube, HELLO_NAMESPACE, run))

    _assert_running(kube, bystander)
    assert not _removal(kube, bystander)
    assert dagster.status(other) == "STARTED"
    dagster.terminate(other)
    platform.answers(180)


def _scale_daemon(kube: Kube, platform: Installation, replicas: int) -> None:
    kube.apps.patch_namespaced_deployment_scale(
        f"{platform.release}-daemon", platform.namespace, {"spec": {"replicas": replicas}}
    )


def _daemon_is_down(kube: Kube, platform: Installation) -> bool | NotYet:
    there = pods.of_component(kube, platform.namespace, platform.release, "daemon")
    return not there or NotYet([pods.describe(pod) for pod in there])


def _daemon_is_back(kube: Kube, platform: Installation) -> bool | NotYet:
    there = pods.of_component(kube, platform.namespace, platform.release, "daemon")
    ready = [
        pod
        for pod in there
        if any(
            each.type == "Ready" and each.status == "True" for each in listed(pod.status.conditions)
        )
    ]
    return bool(ready) or NotYet([pods.describe(pod) for pod in there])


def _lose_run_pod(kube: Kube, run: str) -> None:
    """Delete the pod of a run; its Job creates no other one."""
    (pod,) = pods.run_pods(kube, HELLO_NAMESPACE, run)
    kube.core.delete_namespaced_pod(pod.metadata.name, HELLO_NAMESPACE)
    pods.gone(kube, HELLO_NAMESPACE, pod.metadata.name)


def _assert_running(kube: Kube, before: Pod) -> None:
    pod = kube.core.read_namespaced_pod(before.metadata.name, HELLO_NAMESPACE)
    assert pods.identities([pod]) == pods.identities([before])
    assert pod.status.phase == "Running", pods.describe(pod)
    assert not pod.metadata.deletion_timestamp, pods.describe(pod)


def _removal(kube: Kube, pod: Pod) -> Event | NotYet:
    """The event about the removal of the Job of a step's pod."""
    found = pods.events(kube, HELLO_NAMESPACE, "Job", _job(pod))
    removed = [event for event in found if event.reason == REMOVED]
    return removed[0] if removed else NotYet([event.reason for event in found])


def _job(pod: Pod) -> str:
    return pod.metadata.labels["batch.kubernetes.io/job-name"]
