"""The doctor's sentences: one thing broken, one complaint that names it and what to do."""

from typing import Any

import pytest

from bulkhead.admin.findings import Level
from bulkhead.kube.pods import IMAGE_REASONS, START_REASONS


def test_a_healthy_installation_has_nothing_to_complain_of(installation: Any) -> None:
    assert installation.complaints() == []
    assert any("All 1 loops of the daemon" in each.sentence for each in installation.findings())


def test_a_platform_without_code_locations_is_healthy(installation: Any) -> None:
    installation.of("configmaps", "bulkhead")[0]["data"]["registry.yaml"] = "codeLocations: {}"
    assert installation.complaints() == []


def test_external_stores_are_no_complaint(installation: Any) -> None:
    installation.of("statefulsets", "bulkhead").clear()
    assert installation.complaints() == []


def test_a_wrong_release_name_is_a_problem_with_a_hint(installation: Any) -> None:
    installation.of("deployments", "bulkhead").clear()
    complaints = installation.complaints()
    assert "no Deployment bulkhead-webserver in namespace bulkhead" in complaints[0].sentence
    assert "helm list -A" in complaints[0].advice


@pytest.mark.parametrize(
    ("kind", "name", "what"),
    [
        ("deployments", "bulkhead-daemon", "daemon"),
        ("statefulsets", "bulkhead-postgresql", "database"),
        ("statefulsets", "bulkhead-object-store", "object store"),
    ],
)
def test_a_part_of_the_platform_that_is_down_is_a_problem(
    installation: Any, kind: str, name: str, what: str
) -> None:
    (part,) = (
        each for each in installation.of(kind, "bulkhead") if each["metadata"]["name"] == name
    )
    part["status"]["readyReplicas"] = 0
    complaint = installation.complaint()
    assert complaint.level is Level.PROBLEM
    assert f"The {what} does not run: 0 of 1 pods are ready" in complaint.sentence


def test_a_failed_migration_is_a_problem(installation: Any) -> None:
    failed = {"type": "Failed", "status": "True", "message": "Job has reached the backoff limit"}
    installation.of("jobs", "bulkhead").append(
        installation.named("bulkhead-migrate-3", "bulkhead", status={"conditions": [failed]})
    )
    assert "backoff limit" in installation.complaint().sentence


def test_a_workspace_sync_that_is_not_ready_is_a_problem(installation: Any) -> None:
    status = installation.of("pods", "bulkhead")[0]["status"]
    status["initContainerStatuses"][0]["ready"] = False
    assert "workspace-sync of pod bulkhead-webserver-abc" in installation.complaint().sentence


@pytest.mark.parametrize(
    ("text", "message"), [("codeLocations: [", "not YAML"), ("nothing: 1", "no key codeLocations")]
)
def test_a_malformed_registry_is_a_problem(installation: Any, text: str, message: str) -> None:
    installation.of("configmaps", "bulkhead")[0]["data"]["registry.yaml"] = text
    assert message in installation.complaint().sentence


def test_a_missing_registry_is_a_problem(installation: Any) -> None:
    installation.of("configmaps", "bulkhead").clear()
    assert "ConfigMap bulkhead-code-locations" in installation.complaint().sentence


def test_a_daemon_loop_without_heartbeat_is_a_problem(installation: Any) -> None:
    (daemon,) = installation.graphql["instance"]["daemonHealth"]["allDaemonStatuses"]
    daemon.update(healthy=False, lastHeartbeatErrors=[{"message": "no connection to the database"}])
    complaint = installation.complaint()
    assert "SENSOR loop sent its last heartbeat at 2030-01-01 00:00:00 UTC" in complaint.sentence
    assert "no connection to the database" in complaint.sentence


def test_a_web_server_that_does_not_answer_is_a_warning_and_the_rest_is_checked(
    installation: Any,
) -> None:
    installation.answers = {k: v for k, v in installation.answers.items() if "proxy" not in k}
    complaint = installation.complaint()
    assert complaint.level is Level.WARNING
    assert complaint.sentence.startswith(
        "Load errors and heartbeats were not checked: web server bulkhead-webserver in namespace "
        "bulkhead does not answer through the API server: 404: not found"
    )
    assert "services/proxy" in complaint.advice


@pytest.mark.parametrize("part", ["workspace", "instance"])
def test_an_answer_without_its_fields_is_a_warning(installation: Any, part: str) -> None:
    del installation.graphql[part]
    complaint = installation.complaint()
    assert complaint.level is Level.WARNING
    assert "did not answer as Dagster's GraphQL API does" in complaint.sentence


def test_a_missing_namespace_is_a_problem(installation: Any) -> None:
    del installation.answers["/api/v1/namespaces/bulkhead-hello"]
    complaint = installation.complaint()
    assert (complaint.level, complaint.subject) == (Level.PROBLEM, "hello")
    assert "bulkhead-hello does not exist" in complaint.sentence


def test_a_namespace_without_its_pod_security_label_is_a_problem(installation: Any) -> None:
    installation.answers["/api/v1/namespaces/bulkhead-hello"]["metadata"]["labels"] = {}
    assert "pod-security.kubernetes.io/enforce=restricted" in installation.complaint().sentence


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        ("resourcequotas", "ResourceQuota bulkhead"),
        ("limitranges", "LimitRange bulkhead"),
        ("serviceaccounts", "ServiceAccount bulkhead-run"),
        ("rolebindings", "RoleBinding bulkhead-discovery"),
        ("configmaps", "ConfigMap bulkhead-location"),
        ("secrets", "Secret bulkhead-database"),
    ],
)
def test_a_wall_that_is_missing_is_named(installation: Any, kind: str, missing: str) -> None:
    installation.of(kind).clear()
    complaint = installation.complaint()
    assert complaint.level is Level.PROBLEM
    assert missing in complaint.sentence
    assert "helm upgrade" in complaint.advice


@pytest.mark.parametrize(
    ("used", "message"),
    [("7800Mi", "nearly full: 7800Mi of 8Gi (95%) is in use"), ("8Gi", "full: 8Gi of 8Gi")],
)
def test_a_quota_that_is_nearly_full_is_a_warning(
    installation: Any, used: str, message: str
) -> None:
    installation.of("resourcequotas")[0]["status"]["used"]["limits.memory"] = used
    complaint = installation.complaint()
    assert complaint.level is Level.WARNING
    assert message in complaint.sentence
    assert "codeLocations.hello.quota" in complaint.advice


def test_a_location_that_nobody_deployed_is_a_warning(installation: Any) -> None:
    installation.of("deployments").clear()
    installation.of("services").clear()
    complaint = installation.complaint()
    assert complaint.level is Level.WARNING
    assert "Nothing is deployed yet" in complaint.sentence


def test_a_deployment_without_its_service_is_a_problem(installation: Any) -> None:
    installation.of("services").clear()
    assert "no Service in namespace bulkhead-hello" in installation.complaint().sentence


def break_pod(installation: Any, waiting: dict[str, Any], **container: Any) -> None:
    installation.of("deployments")[0]["status"]["readyReplicas"] = 0
    status = installation.of("pods")[0]["status"]
    status["conditions"][1]["status"] = "False"
    status["containerStatuses"][0].update(ready=False, state={"waiting": waiting}, **container)


@pytest.mark.parametrize("reason", sorted(IMAGE_REASONS))
def test_an_image_that_cannot_be_pulled_is_named_with_the_registry_s_answer(
    installation: Any, reason: str
) -> None:
    break_pod(installation, {"reason": reason, "message": "manifest unknown"})
    sentence = installation.complaint().sentence
    assert (
        "the image registry/image of pod hello-abc cannot be pulled: manifest unknown" in sentence
    )


def test_a_crash_loop_is_named_with_its_end_and_the_log_to_read(installation: Any) -> None:
    last = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
    break_pod(installation, {"reason": "CrashLoopBackOff"}, lastState=last, restartCount=4)
    sentence = installation.complaint().sentence
    assert "container main of pod hello-abc keeps restarting" in sentence
    assert "OOMKilled, exit code 137, 4 restarts" in sentence
    assert "kubectl -n bulkhead-hello logs hello-abc -c main --previous" in sentence


@pytest.mark.parametrize("reason", sorted(START_REASONS))
def test_a_container_that_cannot_start_is_named_with_reason_and_message(
    installation: Any, reason: str
) -> None:
    break_pod(installation, {"reason": reason, "message": 'secret "shop" not found'})
    assert (
        f'container main of pod hello-abc cannot start ({reason}): secret "shop" not found'
        in installation.complaint().sentence
    )


def test_every_reason_without_a_message_is_still_named(installation: Any) -> None:
    break_pod(installation, {"reason": "PreStartHookError"})
    assert installation.complaint().sentence.endswith("cannot start (PreStartHookError)")
    break_pod(installation, {"reason": "RegistryUnavailable"})
    assert installation.complaint().sentence.endswith("cannot be pulled: RegistryUnavailable")


def test_a_pod_that_cannot_be_scheduled_is_named_with_the_reason(installation: Any) -> None:
    installation.of("deployments")[0]["status"]["readyReplicas"] = 0
    condition = {"type": "PodScheduled", "status": "False", "message": "0/2 nodes are available"}
    installation.of("pods")[0]["status"] = {"conditions": [condition]}
    assert "cannot be scheduled: 0/2 nodes are available" in installation.complaint().sentence


def test_pods_that_the_quota_rejects_are_named(installation: Any) -> None:
    status = installation.of("deployments")[0]["status"]
    status["readyReplicas"] = 0
    status["conditions"].append(
        {
            "type": "ReplicaFailure",
            "status": "True",
            "reason": "FailedCreate",
            "message": "exceeded quota: bulkhead",
        }
    )
    installation.of("pods").clear()
    assert (
        "its pods cannot be created: exceeded quota: bulkhead" in installation.complaint().sentence
    )


def test_a_rollout_that_the_controller_has_not_seen_is_not_called_good(installation: Any) -> None:
    installation.of("deployments")[0]["metadata"]["generation"] = 2
    assert installation.complaint().level is Level.PROBLEM


def test_a_load_error_is_shown_in_one_line(installation: Any) -> None:
    (entry,) = installation.graphql["workspace"]["locationEntries"]
    error = "ModuleNotFoundError:\n  No module named 'pandera'\n" + "x" * 2000
    entry["locationOrLoadError"] = {"__typename": "PythonError", "message": error, "causes": []}
    complaint = installation.complaint()
    assert "ModuleNotFoundError: No module named 'pandera'" in complaint.sentence
    assert len(complaint.sentence) < 500


def test_a_load_error_is_shown_with_its_cause(installation: Any) -> None:
    (entry,) = installation.graphql["workspace"]["locationEntries"]
    cause = {"message": "ValueError: a mistake of the team\n"}
    entry["locationOrLoadError"] = {
        "__typename": "PythonError",
        "message": "Error while loading.\n",
        "causes": [cause],
    }
    sentence = installation.complaint().sentence
    assert sentence.endswith("Error while loading. ValueError: a mistake of the team")


def test_a_location_that_the_web_server_does_not_know_is_a_problem(installation: Any) -> None:
    installation.graphql["workspace"]["locationEntries"].clear()
    assert "does not list it" in installation.complaint().sentence


def test_a_service_that_is_refused_is_a_problem(installation: Any) -> None:
    impostor = installation.service("impostor", "bulkhead-hello", "ml")
    installation.of("services").append(impostor)
    complaint = installation.complaint()
    assert complaint.subject == "ml"
    assert "Refused: Service impostor in namespace bulkhead-hello" in complaint.sentence
    assert "kubectl -n bulkhead-hello get service impostor" in complaint.advice


def test_what_may_not_be_read_is_a_warning_and_nothing_is_concluded_from_it(
    installation: Any,
) -> None:
    for kind in ("secrets", "services", "deployments", "rolebindings"):
        installation.forbid(kind)
    complaints = installation.complaints()
    assert {each.level for each in complaints} == {Level.WARNING}
    assert len(complaints) == 4


def test_every_complaint_says_what_to_do(installation: Any) -> None:
    installation.of("deployments", "bulkhead").clear()
    installation.of("deployments")[0]["status"]["readyReplicas"] = 0
    installation.of("services").clear()
    installation.of("secrets").clear()
    installation.forbid("pods")
    assert len(installation.complaints()) == 6
    assert all(each.advice for each in installation.complaints())


@pytest.mark.parametrize(
    ("change", "state"),
    [
        (lambda _: None, "loaded"),
        (lambda it: it.answers.pop("/api/v1/namespaces/bulkhead-hello"), "no namespace"),
        (lambda it: (it.of("deployments").clear(), it.of("services").clear()), "not deployed"),
        (lambda it: it.of("deployments")[0]["status"].update(readyReplicas=0), "unavailable"),
        (lambda it: it.of("services").clear(), "refused"),
        (lambda it: it.graphql["workspace"]["locationEntries"].clear(), "loading"),
        (lambda it: it.graphql.clear(), "available"),
        (
            lambda it: it.graphql["workspace"]["locationEntries"][0].update(
                locationOrLoadError={"__typename": "PythonError", "message": "no", "causes": []}
            ),
            "load error",
        ),
    ],
)
def test_a_location_has_a_state(installation: Any, change: Any, state: str) -> None:
    change(installation)
    found = installation.states()["hello"]
    assert found.state == state
    assert (found.namespace, found.environment) == ("bulkhead-hello", "production")


def test_the_image_is_the_service_s_and_else_the_deployment_s(installation: Any) -> None:
    assert installation.states()["hello"].image == "registry/hello@sha256:2"
    installation.of("services").clear()
    assert installation.states()["hello"].image == "registry/image@sha256:1"
