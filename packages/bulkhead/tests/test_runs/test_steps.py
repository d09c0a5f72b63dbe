"""Runs whose every step is a pod, from launch to end, with the processes that pods would run."""

import json
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.launcher import WorkerStatus

from bulkhead import names

STEP_RESOURCES = {"requests": {"cpu": "1"}, "limits": {"cpu": "2", "memory": "1Gi"}}


def by_step(platform: Any) -> dict[str, list[Any]]:
    steps: dict[str, list[Any]] = {}
    for job in platform.cluster.jobs_of("step_worker"):
        key = job["metadata"]["annotations"][names.STEP_KEY_ANNOTATION]
        steps.setdefault(key, []).append(job)
    return steps


def test_a_plain_project_runs_a_pod_per_step_through_fan_out_collect_and_retry(
    platform: Any, tmp_path: Path
) -> None:
    attempts = tmp_path / "attempts"
    run = platform.launch("fan_out", {"add_at_second_attempt": {"attempts_file": str(attempts)}})
    assert platform.wait_for_end(run) == dg.DagsterRunStatus.SUCCESS, platform.cluster.logs()

    steps = by_step(platform)
    assert {key: len(jobs) for key, jobs in steps.items()} == {
        "numbers": 1,
        "square[1]": 1,
        "square[2]": 1,
        "add_at_second_attempt": 2,
        "report": 1,
    }
    assert attempts.read_text().count("attempt") == 2
    (report,) = [
        entry.dagster_event.step_output_data.metadata
        for entry in platform.instance.all_logs(run.run_id)
        if entry.dagster_event
        and entry.dagster_event.is_successful_output
        and entry.dagster_event.step_key == "report"
    ]
    assert report["total"].value == 5
    assert report["costly imports"].value == []

    (run_job,) = platform.cluster.jobs_of("run_worker")
    for key, jobs in steps.items():
        for job in jobs:
            check_step_job(job, key, run, run_job)
    (retried, _) = steps["add_at_second_attempt"]
    assert resources(retried) == {**STEP_RESOURCES, "limits": {"cpu": "1", "memory": "1Gi"}}
    assert resources(steps["report"][0]) == STEP_RESOURCES


def test_code_of_a_step_finds_the_instance_at_dagster_home(platform: Any) -> None:
    run = platform.launch("own_instance", {})
    assert platform.wait_for_end(run) == dg.DagsterRunStatus.SUCCESS, platform.cluster.logs()


def check_step_job(job: Any, step_key: str, run: dg.DagsterRun, run_job: Any) -> None:
    pod = job["spec"]["template"]
    labels = {
        names.CODE_LOCATION_LABEL: "blue",
        names.RUN_ID_LABEL: run.run_id,
        names.STEP_KEY_LABEL: names.label_value(step_key),
    }
    for metadata in (job["metadata"], pod["metadata"]):
        assert labels.items() <= metadata["labels"].items()
        assert metadata["annotations"] == {names.STEP_KEY_ANNOTATION: step_key}
    assert [(owner["kind"], owner["uid"]) for owner in job["metadata"]["ownerReferences"]] == [
        ("Job", run_job["metadata"]["uid"])
    ]
    assert pod["spec"]["serviceAccountName"] == names.STEP_SERVICE_ACCOUNT
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert pod["spec"]["securityContext"] == {"runAsNonRoot": True}
    assert pod["spec"]["volumes"] == []


def resources(job: Any) -> Any:
    return job["spec"]["template"]["spec"]["containers"][0]["resources"]


def test_a_resumed_run_adopts_the_step_that_still_works(platform: Any, tmp_path: Path) -> None:
    started, go = tmp_path / "started", tmp_path / "go"
    run = platform.launch("long_step", {"wait": {"started_file": str(started), "go_file": str(go)}})
    platform.wait_for(started.exists)
    (run_job,) = platform.cluster.jobs_of("run_worker")

    platform.cluster.delete_pods_of(run_job["metadata"]["name"])
    platform.wait_for(lambda: len(platform.cluster.running()) == 1)
    platform.instance.resume_run(run.run_id, workspace=None, attempt_number=1)
    second = platform.cluster.jobs[f"{run_job['metadata']['name']}-1"]
    platform.wait_for(lambda: owner(platform, "wait") == second["metadata"]["uid"])
    go.touch()

    assert platform.wait_for_end(run) == dg.DagsterRunStatus.SUCCESS, platform.cluster.logs()
    assert started.read_text().count("started") == 1
    assert {key: len(jobs) for key, jobs in by_step(platform).items()} == {"wait": 1, "report": 1}


def owner(platform: Any, step_key: str) -> str:
    (job,) = by_step(platform)[step_key]
    return job["metadata"]["ownerReferences"][0]["uid"]


def test_terminating_a_run_leaves_no_step_behind(platform: Any, tmp_path: Path) -> None:
    started = tmp_path / "started"
    run = platform.launch(
        "long_step", {"wait": {"started_file": str(started), "go_file": str(tmp_path / "go")}}
    )
    platform.wait_for(started.exists)
    assert platform.launcher.terminate(run.run_id) is True
    assert platform.wait_for_end(run) == dg.DagsterRunStatus.CANCELED
    platform.wait_for(lambda: not platform.cluster.running())
    assert platform.cluster.jobs == {}


def test_a_step_whose_process_dies_fails_with_its_reason_and_its_last_words(
    platform: Any, tmp_path: Path
) -> None:
    started = tmp_path / "started"
    run = platform.launch(
        "long_step", {"wait": {"started_file": str(started), "go_file": str(tmp_path / "go")}}
    )
    platform.wait_for(started.exists)
    ((step_job,),) = by_step(platform).values()
    platform.cluster.kill(step_job["metadata"]["name"])
    assert platform.wait_for_end(run) == dg.DagsterRunStatus.FAILURE
    message = failure_of(platform, run).error.message
    assert message.startswith("Step wait was terminated by SIGKILL (signal 9).")
    assert "STEP_START" in message.partition("Last output:")[2]
    facts = failure_of(platform, run).user_failure_data.metadata
    assert facts["cause"].value == "Signal"
    assert facts["attempt"].value == 1


def failure_of(platform: Any, run: dg.DagsterRun) -> Any:
    (failure,) = [
        entry.dagster_event.step_failure_data
        for entry in platform.instance.all_logs(run.run_id)
        if entry.dagster_event and entry.dagster_event.is_step_failure
    ]
    return failure


def test_a_run_whose_own_pod_dies_says_why(platform: Any, tmp_path: Path) -> None:
    started = tmp_path / "started"
    run = platform.launch(
        "long_step", {"wait": {"started_file": str(started), "go_file": str(tmp_path / "go")}}
    )
    platform.wait_for(started.exists)
    assert platform.launcher.check_run_worker_health(run).status == WorkerStatus.RUNNING
    (run_job,) = platform.cluster.jobs_of("run_worker")
    name = run_job["metadata"]["name"]
    platform.cluster.kill(name, "OOMKilled")

    def health() -> Any:
        health = platform.launcher.check_run_worker_health(run)
        return health if health.status == WorkerStatus.FAILED else None

    assert platform.wait_for(health).msg == (
        f"The run's own pod {name}-abcde ran out of memory (OOM-killed): its limit is "
        "512Mi, set by the platform admin in runLauncher.resources."
    )


def test_steps_have_the_image_that_the_runs_tag_names(platform: Any) -> None:
    """As the pod of the run: with the image of today's code server they would run other code."""
    old = "registry/blue@sha256:2"
    tag = json.dumps({"container_config": {"image": old}})
    run = platform.launch("own_instance", {}, tags={"dagster-k8s/config": tag})
    assert platform.wait_for_end(run) == dg.DagsterRunStatus.SUCCESS, platform.cluster.logs()
    jobs = [*platform.cluster.jobs_of("run_worker"), *platform.cluster.jobs_of("step_worker")]
    assert len(jobs) == 2
    assert {image(job) for job in jobs} == {old}
    assert platform.instance.get_run_by_id(run.run_id).tags["dagster/image"] == old


def image(job: Any) -> str:
    return job["spec"]["template"]["spec"]["containers"][0]["image"]
