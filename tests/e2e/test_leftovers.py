"""No step outlives its run for long, whatever became of the run and whoever was down meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.e2e import hello, pods
from tests.e2e.installation import HELLO, HELLO_NAMESPACE
from tests.e2e.waiting import NotYet, until

if TYPE_CHECKING:
    from kubernetes import client
    from tests.e2e.cluster import Kube
    from tests.e2e.dagster_client import Dagster
    from tests.e2e.installation import Installation

IN_TIME = 120
"""Seconds, from the daemon's return on, in which what was left behind is gone."""

REMOVED = "LeftoverRemoved"


@pytest.mark.timeout(540)
def test_a_step_whose_run_ended_while_the_daemon_was_down_is_removed_and_no_other(
    kube: Kube, platform: Installation, dagster: Dagster
) -> None:
    """The run's own pod is lost, then the run is deleted from the page's list.

    Nobody is left to end its step: a run pod that is lost leaves its steps to the one that resumes
    the run, and no daemon is there to resume it before there is nothing to be resumed.
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
        _assert_at_work(kube, left)
    finally:
        _scale_daemon(kube, platform, 1)
    until(lambda: _daemon_is_back(kube, platform), 120, "the daemon to be back")

    pods.gone(kube, HELLO_NAMESPACE, left.metadata.name, IN_TIME)
    event = until(lambda: _told(kube, left), 30, f"an event about Job {_job(left)}")
    assert event.type == "Warning"
    assert event.message == (
        f"Removed step {job.op} of run {run}: the run had ended (not known any more) "
        "and the step was still there"
    )
    assert not pods.alive(pods.of_run(kube, HELLO_NAMESPACE, run))

    _assert_at_work(kube, bystander)
    assert not _told(kube, bystander)
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
            each.type == "Ready" and each.status == "True" for each in pod.status.conditions or []
        )
    ]
    return bool(ready) or NotYet([pods.describe(pod) for pod in there])


def _lose_run_pod(kube: Kube, run: str) -> None:
    """Take the pod that drives a run away from its Job, which makes no other one."""
    (pod,) = pods.run_pods(kube, HELLO_NAMESPACE, run)
    kube.core.delete_namespaced_pod(pod.metadata.name, HELLO_NAMESPACE)
    pods.gone(kube, HELLO_NAMESPACE, pod.metadata.name)


def _assert_at_work(kube: Kube, before: client.V1Pod) -> None:
    pod = kube.core.read_namespaced_pod(before.metadata.name, HELLO_NAMESPACE)
    assert pods.identities([pod]) == pods.identities([before])
    assert pod.status.phase == "Running", pods.describe(pod)
    assert not pod.metadata.deletion_timestamp, pods.describe(pod)


def _told(kube: Kube, pod: client.V1Pod) -> client.CoreV1Event | NotYet:
    """The event that says that the Job of a step's pod was removed."""
    found = pods.events(kube, HELLO_NAMESPACE, "Job", _job(pod))
    removed = [event for event in found if event.reason == REMOVED]
    return removed[0] if removed else NotYet([event.reason for event in found])


def _job(pod: client.V1Pod) -> str:
    return pod.metadata.labels["batch.kubernetes.io/job-name"]
