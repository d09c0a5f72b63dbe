"""Runs of a code location, in the Dagster UI and in the cluster."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e import hello, pods, resources, team_code
from tests.e2e.cluster import images
from tests.e2e.installation import HELLO, HELLO_NAMESPACE
from tests.e2e.waiting import NotYet, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.cluster import Kube
    from tests.e2e.dagster_client import Dagster
    from tests.e2e.installation import Installation

CLOCK = "clock"

CLOCK_CODE = """
import dagster as dg

@dg.op
def tick(context):
    print("ticked")

@dg.job
def ticking():
    tick()

every_minute = dg.ScheduleDefinition(
    name="every_minute",
    job=ticking,
    cron_schedule="* * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)

@dg.sensor(
    job=ticking, minimum_interval_seconds=5, default_status=dg.DefaultSensorStatus.RUNNING
)
def once(context):
    return dg.RunRequest(run_key="the only one")

defs = dg.Definitions(jobs=[ticking], schedules=[every_minute], sensors=[once])
"""


@pytest.fixture(scope="module", autouse=True)
def clock(kube: Kube, platform: Installation, registered: dict[str, Any]) -> Iterator[str]:
    """A code location with a running schedule and a running sensor.

    It exists from this module's first test on, so that its schedule ticks during the other tests.
    """
    namespace = registered[CLOCK]["namespace"]
    values = team_code.values(kube, namespace, CLOCK_CODE)
    platform.deploy(CLOCK, namespace, "hello", values, wait=False)
    yield CLOCK
    platform.helm.uninstall(CLOCK, namespace, wait=False)


@pytest.fixture(scope="module")
def greeting(dagster: Dagster) -> str:
    """A run of `hello_dagster` that has succeeded."""
    run = dagster.launch(HELLO, hello.GREETING.job)
    dagster.succeed(run)
    return run


@pytest.mark.timeout(240)
def test_hello_dagster_greets_in_its_captured_log(dagster: Dagster, greeting: str) -> None:
    assert "Hello, dagster!" in dagster.captured_logs(greeting, "hello").stdout


@pytest.mark.timeout(240)
def test_a_run_has_one_pod_of_its_own_and_one_for_each_step_in_its_locations_namespace(
    kube: Kube, dagster: Dagster, greeting: str
) -> None:
    everywhere = kube.core.list_pod_for_all_namespaces(
        label_selector=f"{pods.RUN_ID}={greeting}"
    ).items
    assert {pod.metadata.namespace for pod in everywhere} == {HELLO_NAMESPACE}
    steps = [pod for pod in everywhere if pods.STEP_KEY in pod.metadata.labels]
    assert len(everywhere) == len(steps) + 1
    keys = sorted(pod.metadata.labels[pods.STEP_KEY] for pod in steps)
    assert keys == sorted(step["stepKey"] for step in dagster.run(greeting)["stepStats"])
    assert len(keys) == len(set(keys)) == 2


@pytest.mark.timeout(240)
def test_run_and_step_pods_and_jobs_carry_the_labels_by_which_people_find_them(
    kube: Kube, greeting: str
) -> None:
    jobs = kube.batch.list_namespaced_job(
        HELLO_NAMESPACE, label_selector=f"{pods.RUN_ID}={greeting}"
    ).items
    there = [*pods.of_run(kube, HELLO_NAMESPACE, greeting), *jobs]
    assert len(there) == 6
    for each in there:
        assert each.metadata.labels[pods.LOCATION] == HELLO, each.metadata.name
        assert each.metadata.labels[pods.RUN_ID] == greeting, each.metadata.name
        if pods.STEP_KEY in each.metadata.labels:
            assert each.metadata.annotations[pods.STEP_KEY] == each.metadata.labels[pods.STEP_KEY]


@pytest.mark.timeout(240)
def test_run_and_step_pods_have_the_code_servers_image_by_digest(kube: Kube, greeting: str) -> None:
    (digest,) = {
        pod.spec.containers[0].image.partition("@")[2]
        for pod in pods.of_run(kube, HELLO_NAMESPACE, greeting)
    }
    assert digest.startswith("sha256:")
    assert digest == images()["hello"].partition("@")[2]


@pytest.mark.timeout(240)
def test_a_step_has_exactly_the_limits_it_asked_for_in_its_pod_and_in_its_cgroup(
    kube: Kube, dagster: Dagster
) -> None:
    job = hello.OBSERVE_LIMITS
    limits = {"cpu": "300m", "memory": "320Mi"}
    run = dagster.launch(HELLO, job.job, job.config(resources.requested(job.op, **limits)))
    dagster.succeed(run)
    (pod,) = pods.step_pods(kube, HELLO_NAMESPACE, run)
    (container,) = pod.spec.containers
    assert container.resources.limits == limits
    assert container.resources.requests == {"cpu": "150m", "memory": "160Mi"}
    seen = dagster.metadata(run, job.op)
    assert seen["memory_bytes"] == resources.amount(limits["memory"])
    assert seen["cores"] == pytest.approx(resources.amount(limits["cpu"]), abs=0.001)


@pytest.mark.timeout(240)
def test_a_step_pod_has_no_token(kube: Kube, dagster: Dagster) -> None:
    job = hello.SLEEPER
    run = dagster.launch(HELLO, job.job, job.config({}, seconds=600))
    pod = pods.step_pod(kube, HELLO_NAMESPACE, run, job.op)
    assert pod.spec.service_account_name == "bulkhead-step"
    assert pod.spec.automount_service_account_token is False
    assert not [
        source
        for volume in pod.spec.volumes
        if volume.projected
        for source in volume.projected.sources
        if source.service_account_token
    ]
    find = (
        "import pathlib;"
        "print([str(p) for p in pathlib.Path('/var/run/secrets').rglob('*') if p.is_file()])"
    )
    files = pods.execute(kube, HELLO_NAMESPACE, pod.metadata.name, ["python3", "-c", find])
    assert files.strip() == "[]"
    dagster.terminate(run)


@pytest.mark.timeout(240)
def test_terminating_a_run_removes_its_pods(kube: Kube, dagster: Dagster) -> None:
    job = hello.SLEEPER
    run = dagster.launch(HELLO, job.job, job.config({}, seconds=600))
    pods.step_pod(kube, HELLO_NAMESPACE, run, job.op)
    dagster.terminate(run)
    assert dagster.finish(run, 60) == "CANCELED"
    pods.at_rest(kube, HELLO_NAMESPACE, run)


@pytest.mark.timeout(240)
def test_artifacts_and_captured_logs_show_after_the_pods_are_gone(
    kube: Kube, dagster: Dagster
) -> None:
    run = dagster.launch(HELLO, hello.GREETING.job)
    dagster.succeed(run)
    kube.batch.delete_collection_namespaced_job(
        HELLO_NAMESPACE,
        label_selector=f"{pods.RUN_ID}={run}",
        propagation_policy="Background",
    )
    until(lambda: _none_left(kube, run), 60, f"the pods of run {run} to be gone")
    assert "Hello, dagster!" in dagster.captured_logs(run, "hello").stdout

    # `hello` reads the output of `get_name` from the object store.
    again = dagster.reexecute(run, ["hello"])
    dagster.succeed(again)
    assert "Hello, dagster!" in dagster.captured_logs(again, "hello").stdout
    steps = pods.step_pods(kube, HELLO_NAMESPACE, again)
    assert [pod.metadata.labels[pods.STEP_KEY] for pod in steps] == ["hello"]


def _none_left(kube: Kube, run: str) -> bool | NotYet:
    left = pods.of_run(kube, HELLO_NAMESPACE, run)
    return not left or NotYet([pods.describe(pod) for pod in left])


@pytest.mark.timeout(180)
def test_a_run_whose_own_pod_dies_before_it_starts_fails_within_a_minute_and_says_why(
    dagster: Dagster,
) -> None:
    """The import of its code needs more memory than its run pod has."""
    resources = {"requests": {"memory": "32Mi"}, "limits": {"memory": "48Mi"}}
    tag = json.dumps({"container_config": {"resources": resources}})
    run = dagster.launch(HELLO, hello.GREETING.job, tags={"dagster-k8s/config": tag})
    assert dagster.finish(run, 60) == "FAILURE"
    message = dagster.why(run)
    assert re.search(
        r"The run's own pod dagster-run-\S+ ran out of memory \(OOM-killed\): its limit is 48Mi, "
        r"set by the platform admin in runLauncher\.resources\. The run had not started\.",
        message,
    ), message


@pytest.mark.timeout(240)
def test_a_step_that_fails_once_succeeds_at_its_retry(kube: Kube, dagster: Dagster) -> None:
    job = hello.RETRY
    run = dagster.launch(HELLO, job.job, job.config({}))
    dagster.succeed(run)
    assert "STEP_UP_FOR_RETRY" in [event.kind for event in dagster.events(run)]
    attempts = [
        pod
        for pod in pods.step_pods(kube, HELLO_NAMESPACE, run)
        if pod.metadata.labels[pods.STEP_KEY] == job.op
    ]
    assert len(attempts) == 2


@pytest.mark.timeout(300)
def test_schedules_and_sensors_tick_and_their_runs_succeed(dagster: Dagster, clock: str) -> None:
    dagster.loaded(clock)
    for name, within in (("once", 60), ("every_minute", 120)):
        run = until(lambda name=name: _requested(dagster, name), within, f"a run of {name}")
        dagster.succeed(run)
        assert "ticked" in dagster.captured_logs(run, "tick").stdout


def _requested(dagster: Dagster, name: str) -> str | NotYet:
    ticks = dagster.ticks(CLOCK, name)
    runs = [run for tick in ticks if tick.status == "SUCCESS" for run in tick.run_ids]
    return runs[-1] if runs else NotYet(ticks)
