"""Runs whose pod is over before they have begun."""

from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest
from dagster._core.launcher import LaunchRunContext

from bulkhead.runs.starts import StartWatch

CONFIG = {"wait": {"started_file": "/never/started", "go_file": "/never/go"}}


@pytest.fixture
def start(platform: Any) -> Callable[[], dg.DagsterRun]:
    """Launch a run as the daemon does: it is starting before it is launched."""
    platform.launcher._starts = StartWatch(interval=0.1)

    def launch() -> dg.DagsterRun:
        run = platform.create_run("long_step", CONFIG)
        event = dg.DagsterEvent(dg.DagsterEventType.PIPELINE_STARTING.value, run.job_name)
        platform.instance.report_dagster_event(event, run.run_id)
        platform.launcher.launch_run(LaunchRunContext(run, workspace=None))
        return run

    return launch


def failure(platform: Any, run: dg.DagsterRun) -> str:
    (event,) = [
        entry.dagster_event
        for entry in platform.instance.all_logs(run.run_id)
        if entry.dagster_event and entry.dagster_event.is_run_failure
    ]
    return str(event.message)


def test_a_run_whose_pod_is_killed_before_it_begins_fails_at_once_and_says_why(
    platform: Any, start: Callable[[], dg.DagsterRun]
) -> None:
    run = start()
    (job,) = platform.cluster.jobs_of("run_worker")
    name = job["metadata"]["name"]
    platform.cluster.kill(name, "OOMKilled")
    assert platform.wait_for_end(run) == dg.DagsterRunStatus.FAILURE
    assert failure(platform, run) == (
        f"The run's own pod {name}-abcde ran out of memory (OOM-killed): its limit is "
        "512Mi, set by the platform admin in runLauncher.resources. The run had not started."
    )


def test_each_launch_is_looked_after_also_when_there_was_none_for_a_while(
    platform: Any, start: Callable[[], dg.DagsterRun]
) -> None:
    for _ in range(2):
        run = start()
        *_, job = platform.cluster.jobs_of("run_worker")
        platform.cluster.kill(job["metadata"]["name"])
        assert platform.wait_for_end(run) == dg.DagsterRunStatus.FAILURE


@pytest.mark.parametrize("platform", ["pending"], indirect=True)
def test_a_run_whose_pod_waits_for_a_node_is_left_alone(
    platform: Any, start: Callable[[], dg.DagsterRun]
) -> None:
    run = start()
    asked = len(platform.cluster.requests)
    platform.wait_for(lambda: len(platform.cluster.requests) > asked + 5)
    assert platform.instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.STARTING


def test_an_error_on_the_way_does_not_end_the_watch(
    platform: Any, start: Callable[[], dg.DagsterRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    check, failed = platform.launcher.check_run_worker_health, []

    def fails_at_first(run: dg.DagsterRun) -> Any:
        if not failed:
            failed.append(run)
            raise OSError("the API server is away")
        return check(run)

    monkeypatch.setattr(platform.launcher, "check_run_worker_health", fails_at_first)
    run = start()
    (job,) = platform.cluster.jobs_of("run_worker")
    platform.cluster.kill(job["metadata"]["name"])
    assert platform.wait_for_end(run) == dg.DagsterRunStatus.FAILURE
    assert failed
