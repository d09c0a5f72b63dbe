"""What the launcher asks the API server for."""

import json
from typing import Any

import dagster as dg
import pytest
from dagster._core.launcher import ResumeRunContext
from dagster._core.launcher.base import WorkerStatus

from bulkhead import names
from bulkhead.runs.kubernetes_launcher import NamespaceError

pytestmark = pytest.mark.parametrize("platform", ["pending"], indirect=True)

NO_CONFIG = {"wait": {"started_file": "x", "go_file": "y"}}

ELSEWHERE = {"namespace": "bulkhead-green"}

# As in conftest.py.
RUN_RESOURCES = {"requests": {"cpu": "50m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}}


def run_job(platform: Any) -> Any:
    (job,) = platform.cluster.jobs_of("run_worker")
    return job


def pod_spec(platform: Any) -> Any:
    return run_job(platform)["spec"]["template"]["spec"]


def test_a_run_pod_gets_its_own_account_token_and_resources(platform: Any) -> None:
    platform.launch("long_step", NO_CONFIG)
    spec = pod_spec(platform)
    assert spec["serviceAccountName"] == names.RUN_SERVICE_ACCOUNT
    assert spec["automountServiceAccountToken"] is True
    assert spec["containers"][0]["resources"] == RUN_RESOURCES
    assert spec["containers"][0]["image"] == "registry/blue@sha256:1"
    assert spec["securityContext"] == {"runAsNonRoot": True}


def test_a_run_pod_has_its_own_volumes_beside_those_of_its_location(platform: Any) -> None:
    theirs = {"name": "theirs", "configMap": {"name": "theirs"}}
    mount = {"name": "theirs", "mountPath": "/opt/theirs"}
    platform.launch("long_step", NO_CONFIG, context={"volumes": [theirs], "volume_mounts": [mount]})
    spec = pod_spec(platform)
    assert {"name": "tmp", "emptyDir": {}} in spec["volumes"]
    assert theirs in spec["volumes"]
    (container,) = spec["containers"]
    assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]
    assert mount in container["volumeMounts"]
    assert container["securityContext"] == {"readOnlyRootFilesystem": True}


def test_a_run_starts_in_its_locations_namespace_with_our_labels(platform: Any) -> None:
    run = platform.launch("long_step", NO_CONFIG)
    job = run_job(platform)
    labels = {names.CODE_LOCATION_LABEL: "blue", names.RUN_ID_LABEL: run.run_id}
    assert labels.items() <= job["metadata"]["labels"].items()
    assert labels.items() <= job["spec"]["template"]["metadata"]["labels"].items()
    assert "POST /apis/batch/v1/namespaces/bulkhead-blue/jobs" in platform.cluster.requests


def test_a_location_cannot_pose_as_another_by_its_labels(platform: Any) -> None:
    platform.launch(
        "long_step", NO_CONFIG, context={"labels": {names.CODE_LOCATION_LABEL: "green"}}
    )
    labels = run_job(platform)["spec"]["template"]["metadata"]["labels"]
    assert labels[names.CODE_LOCATION_LABEL] == "blue"


def test_the_runs_own_tag_wins_over_run_pod(platform: Any) -> None:
    config = {"container_config": {"resources": {"limits": {"memory": "2Gi"}}}}
    platform.launch("long_step", NO_CONFIG, tags={"dagster-k8s/config": json.dumps(config)})
    assert pod_spec(platform)["containers"][0]["resources"] == {
        "requests": {"cpu": "50m", "memory": "256Mi"},
        "limits": {"memory": "2Gi"},
    }


def test_what_a_step_starts_from_has_no_token(platform: Any) -> None:
    assert platform.launcher.run_k8s_config["pod_spec_config"] == {
        "automount_service_account_token": False,
        "security_context": {"run_as_non_root": True},
    }


def test_a_resumed_run_gets_a_job_of_its_own_with_the_same_settings(platform: Any) -> None:
    run = platform.launch("long_step", NO_CONFIG)
    platform.launcher.resume_run(ResumeRunContext(run, workspace=None, resume_attempt_number=1))
    first, second = platform.cluster.jobs_of("run_worker")
    assert second["metadata"]["name"] == f"{first['metadata']['name']}-1"
    assert second["metadata"]["labels"] == first["metadata"]["labels"]
    assert second["spec"]["template"]["spec"]["serviceAccountName"] == names.RUN_SERVICE_ACCOUNT


def test_a_runs_health_is_that_of_its_job(platform: Any) -> None:
    run = platform.launch("long_step", NO_CONFIG)
    assert platform.launcher.check_run_worker_health(run).status == WorkerStatus.RUNNING
    platform.cluster.jobs.clear()
    health = platform.launcher.check_run_worker_health(run)
    assert health.status == WorkerStatus.UNKNOWN
    assert "could not be found" in health.msg


def test_terminating_a_run_deletes_its_job_with_all_that_it_owns(platform: Any) -> None:
    run = platform.launch("long_step", NO_CONFIG)
    assert platform.launcher.terminate(run.run_id) is True
    assert platform.cluster.jobs == {}
    assert platform.cluster.pods == {}


def test_terminating_a_run_without_a_job_says_so(platform: Any) -> None:
    run = platform.create_run("long_step", NO_CONFIG)
    assert platform.launcher.terminate(run.run_id) is False


def test_a_container_context_that_names_another_namespace_fails_the_run(platform: Any) -> None:
    run = platform.create_run("long_step", NO_CONFIG, context=ELSEWHERE)
    with pytest.raises(NamespaceError):
        platform.instance.launch_run(run.run_id, workspace=None)
    assert platform.instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.FAILURE
    said = "\n".join(entry.message for entry in platform.instance.all_logs(run.run_id))
    assert "container context of its code server is 'bulkhead-green'" in said
    assert "Its code server is in namespace 'bulkhead-blue'" in said
    assert platform.cluster.requests == []


def test_the_platforms_own_namespace_is_refused_as_any_other(platform: Any) -> None:
    context = {"namespace": names.PLATFORM_NAMESPACE}
    with pytest.raises(NamespaceError, match=f"'{names.PLATFORM_NAMESPACE}'"):
        platform.launch("long_step", NO_CONFIG, context=context)
    assert platform.cluster.requests == []


@pytest.mark.parametrize("domain", ["", ".cluster.local"])
def test_a_container_context_without_a_namespace_gets_that_of_the_code_server(
    platform: Any, domain: str
) -> None:
    platform.launch(
        "long_step",
        NO_CONFIG,
        context={"namespace": None},
        host=f"blue.bulkhead-blue.svc{domain}",
    )
    assert platform.cluster.requests == ["POST /apis/batch/v1/namespaces/bulkhead-blue/jobs"]


def test_a_tag_cannot_take_a_run_to_another_namespace(platform: Any) -> None:
    tags = {"dagster-k8s/config": json.dumps({"job_metadata": ELSEWHERE})}
    with pytest.raises(NamespaceError, match=r"tag dagster-k8s/config is 'bulkhead-green'"):
        platform.launch("long_step", NO_CONFIG, tags=tags)
    assert platform.cluster.requests == []


def test_nothing_of_another_namespace_is_watched_or_deleted(platform: Any) -> None:
    run = platform.create_run("long_step", NO_CONFIG, context=ELSEWHERE)
    with pytest.raises(NamespaceError):
        platform.launcher.resume_run(ResumeRunContext(run, workspace=None, resume_attempt_number=1))
    with pytest.raises(NamespaceError):
        platform.launcher.check_run_worker_health(run)
    with pytest.raises(NamespaceError):
        platform.launcher.get_run_worker_debug_info(run)
    with pytest.raises(NamespaceError):
        platform.launcher.terminate(run.run_id)
    assert platform.cluster.requests == []


def test_off_the_cluster_the_container_context_names_the_namespace(platform: Any) -> None:
    platform.launch("long_step", NO_CONFIG, context=ELSEWHERE, host="localhost")
    assert platform.cluster.requests == ["POST /apis/batch/v1/namespaces/bulkhead-green/jobs"]
