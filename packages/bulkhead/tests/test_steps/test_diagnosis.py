"""What became of a step, read from pods as the API of Kubernetes 1.34 gives them.

The objects in `fixtures/` are trimmed. `record_fixtures.py` took them from a real cluster, but for
node_shut_down, as its docstring says. Names, times and loads that another recording would change
are not repeated here, but for one message.
"""

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bulkhead.kube.pods import IMAGE_REASONS, START_REASONS, StepPod
from bulkhead.kube.quantities import MIB
from bulkhead.steps import diagnosis, reports, sentences
from bulkhead.steps.verdicts import Cause, Verdict

FIXTURES = Path(__file__).with_name("fixtures")
NOT_FOUND = (
    'failed to pull and unpack image "registry.example/hello:never-pushed": failed to resolve '
    'reference "registry.example/hello:never-pushed": registry.example/hello:never-pushed: not '
    "found"
)


class Case(NamedTuple):
    """A pod, and the sentence about it."""

    pod: str
    cause: Cause
    sentence: str

    def __str__(self) -> str:
        return self.pod


def load(name: str) -> Any:
    return json.loads((FIXTURES / f"{name}.json").read_text())


def pod(name: str, *, is_gone: bool = False) -> StepPod:
    return StepPod(load(name), is_gone=is_gone)


def ended(pod: StepPod) -> Verdict:
    assert pod.is_over
    return diagnosis.of_ended_pod(pod, pod.step_key)


def waiting(pod: StepPod) -> Verdict | None:
    assert not pod.is_over
    return diagnosis.of_waiting_pod(pod, pod.step_key)


# --- Ends of the step's own making ----------------------------------------------------------------


@pytest.mark.parametrize(
    "case",
    [
        Case(
            "oom_killed",
            Cause.OUT_OF_MEMORY,
            "Step eat_memory ran out of memory (OOM-killed): its limit is 256Mi.",
        ),
        Case(
            "exit_code_3",
            Cause.EXIT_CODE,
            "The process of step exit_3 exited with code 3 before the step finished.",
        ),
        Case("segfault", Cause.SIGNAL, "Step crash was terminated by SIGSEGV (signal 11)."),
        Case(
            "exit_code_0",
            Cause.SILENT,
            "The process of step leave exited with code 0 before the step finished, and reported "
            "no result. Code in the step may call os._exit or exec.",
        ),
        Case(
            "evicted_for_own_storage",
            Cause.STORAGE,
            "Step write_much exceeded its ephemeral storage limit of 64Mi: Pod ephemeral local "
            "storage usage exceeds the total limit of containers 64Mi. Request more with "
            "step_resources(ephemeral_storage=…), or write less.",
        ),
        Case(
            "deadline_exceeded",
            Cause.DEADLINE,
            "Step dawdle exceeded its time limit of 5s. Raise it with step_resources(timeout=…), "
            "or do less in the step.",
        ),
        Case(
            "start_error",
            Cause.CANNOT_START,
            "The container of step no_python cannot start (StartError): failed to create "
            "containerd task: failed to create shim task: OCI runtime create failed: runc create "
            'failed: unable to start container process: exec: "python-of-another-image": '
            "executable file not found in $PATH.",
        ),
    ],
    ids=str,
)
def test_an_end_of_the_steps_own_making_is_told_and_not_blamed_on_the_cluster(
    case: Case,
) -> None:
    verdict = ended(pod(case.pod))
    assert (verdict.cause, sentences.of_verdict(verdict)) == (case.cause, case.sentence)
    assert not case.cause.is_infrastructure


# --- Ends that the cluster brought about ----------------------------------------------------------


@pytest.mark.parametrize(
    "case",
    [
        Case(
            "evicted_for_node_pressure",
            Cause.EVICTED,
            # With its loads, so that all of what the kubelet says is seen to reach people.
            "Step bystander was evicted from node bulkhead-worker: The node was low on resource: "
            "memory. Threshold quantity: 25023749402, available: 23288728Ki. Container dagster was "
            "using 197852Ki, request is 64Mi, has larger consumption of memory.",
        ),
        Case(
            "drained",
            Cause.EVICTED,
            "Step on_drained_node was evicted from node bulkhead-worker: Eviction API: evicting.",
        ),
        Case(
            "turned_away",
            Cause.EVICTED,
            "Node bulkhead-worker rejected the pod of step late_comer (OutOfmemory): "
            f"{load('turned_away')['status']['message']}.",
        ),
        Case(
            "preempted",
            Cause.PREEMPTED,
            "Step low_priority was preempted on node bulkhead-worker by a pod of higher priority: "
            "default-scheduler: preempting to accommodate a higher priority pod.",
        ),
        Case(
            "tainted_node",
            Cause.NODE_LOST,
            "Step on_tainted_node lost its node bulkhead-worker. Taint manager: deleting due to "
            "NoExecute taint.",
        ),
        Case(
            "node_removed",
            Cause.NODE_LOST,
            "Step on_removed_node lost its node bulkhead-worker. PodGC: node no longer exists.",
        ),
        Case(
            "node_shut_down",
            Cause.NODE_LOST,
            "Step on_leaving_node lost its node bulkhead-worker. Pod was terminated in response "
            "to imminent node shutdown.",
        ),
        Case(
            "node_restarted",
            Cause.NODE_LOST,
            "The container of step interrupted was gone when its node came back: no reason is "
            "given.",
        ),
        Case(
            "container_lost",
            Cause.NODE_LOST,
            "The container of step interrupted was gone when its node came back: The container "
            "could not be located when the pod was terminated.",
        ),
        Case(
            "deleted_by_a_person",
            Cause.DELETED,
            "The pod of step deleted, "
            f"{load('deleted_by_a_person')['metadata']['name']}, was deleted.",
        ),
    ],
    ids=str,
)
def test_an_end_that_the_cluster_brought_about_is_told_as_one_and_uses_up_no_retries(
    case: Case,
) -> None:
    verdict = ended(pod(case.pod))
    assert (verdict.cause, sentences.of_verdict(verdict)) == (case.cause, case.sentence)
    assert case.cause.is_infrastructure
    assert not case.cause.is_before_start


def test_a_pod_that_vanished_while_it_ran_was_deleted() -> None:
    verdict = ended(pod("running", is_gone=True))
    assert verdict.cause is Cause.DELETED
    assert verdict.node == "bulkhead-worker"
    assert verdict.exit_code is None


def test_a_pod_that_vanished_with_its_silent_node_went_with_the_node() -> None:
    assert ended(pod("node_silent", is_gone=True)).cause is Cause.NODE_LOST


@pytest.mark.parametrize(
    "name", ["oom_killed", "exit_code_3", "segfault", "exit_code_0", "evicted_for_own_storage"]
)
def test_a_pod_that_was_removed_after_its_end_is_judged_by_its_end(name: str) -> None:
    assert ended(pod(name, is_gone=True)).cause is ended(pod(name)).cause


def test_a_signal_sent_because_of_a_deletion_is_not_the_reason() -> None:
    ends = [(0, "Completed"), (1, "Error"), (137, "Error"), (137, "OOMKilled"), (143, "Error")]
    for code, reason in ends:
        value = load("deleted_by_a_person")
        terminated = value["status"]["containerStatuses"][0]["state"]["terminated"]
        terminated |= {"exitCode": code, "reason": reason}
        assert ended(StepPod(value)).cause is Cause.DELETED


def test_a_step_has_ended_with_its_own_container_whatever_its_neighbours_do() -> None:
    value = load("neighbour_not_ready")
    step, _ = value["status"]["containerStatuses"]
    step["state"] = {"terminated": {"exitCode": 3, "reason": "Error"}}
    assert ended(StepPod(value)).cause is Cause.EXIT_CODE


@pytest.mark.parametrize(
    "message",
    [
        'Container dagster exceeded its local ephemeral storage limit "64Mi". ',
        'Usage of EmptyDir volume "tmp" exceeds the limit "64Mi". ',
    ],
)
def test_each_way_of_writing_too_much_is_the_steps_own_doing(message: str) -> None:
    value = load("evicted_for_own_storage")
    value["status"]["message"] = message
    verdict = ended(StepPod(value))
    assert verdict.cause is Cause.STORAGE
    assert message.strip() in sentences.of_verdict(verdict)


def test_a_node_whose_disk_is_full_is_not_the_steps_own_doing() -> None:
    value = load("evicted_for_node_pressure")
    value["status"]["message"] = (
        "The node was low on resource: ephemeral-storage. Threshold quantity: 10Gi, available: "
        "9Gi. Container dagster was using 52Ki, request is 0, has larger consumption of "
        "ephemeral-storage. "
    )
    assert ended(StepPod(value)).cause is Cause.EVICTED


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (137, "SIGKILL (signal 9)"),
        (134, "SIGABRT (signal 6)"),
        (143, "SIGTERM (signal 15)"),
        (162, "SIGRTMIN (signal 34)"),
        (163, "signal 35"),
        (192, "SIGRTMAX (signal 64)"),
    ],
)
def test_a_signal_is_called_by_its_name(code: int, name: str) -> None:
    value = load("exit_code_3")
    value["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] = code
    verdict = ended(StepPod(value))
    assert verdict.cause is Cause.SIGNAL
    assert sentences.of_verdict(verdict) == f"Step exit_3 was terminated by {name}."
    assert verdict.signal == code - 128


@pytest.mark.parametrize("code", [1, 127, 128, 193, 255])
def test_an_exit_code_that_stands_for_no_signal_is_one(code: int) -> None:
    value = load("exit_code_3")
    value["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] = code
    verdict = ended(StepPod(value))
    assert verdict.cause is Cause.EXIT_CODE
    assert f"exited with code {code} before" in sentences.of_verdict(verdict)


@pytest.mark.parametrize(
    ("seconds", "text"), [(45, "45s"), (60, "1m"), (5400, "1h30m"), (90061, "25h1m1s")]
)
def test_a_deadline_is_written_as_step_resources_accepts_it(seconds: int, text: str) -> None:
    value = load("deadline_exceeded")
    value["spec"]["activeDeadlineSeconds"] = seconds
    verdict = ended(StepPod(value))
    assert f"exceeded its time limit of {text}. " in sentences.of_verdict(verdict)
    assert verdict.time_limit == seconds


def test_a_node_that_ends_the_sandbox_of_a_pod_is_not_the_steps_own_doing() -> None:
    value = load("start_error")
    terminated = value["status"]["containerStatuses"][0]["state"]["terminated"]
    terminated["message"] = (
        "failed to create containerd task: failed to create shim task: OCI runtime create failed: "
        "runc create failed: namespace path: lstat /proc/0/ns/ipc: no such file or directory"
    )
    verdict = ended(StepPod(value))
    assert verdict.cause is Cause.EVICTED
    assert sentences.of_verdict(verdict) == (
        f"Node bulkhead-worker rejected the pod of step no_python (StartError): "
        f"{terminated['message']}."
    )


def test_a_pod_that_failed_without_any_reason_says_so() -> None:
    value = load("turned_away")
    del value["status"]["reason"], value["status"]["message"]
    verdict = ended(StepPod(value))
    assert verdict.cause is Cause.EXIT_CODE
    assert sentences.of_verdict(verdict) == "The pod of step late_comer failed: no reason is given."


# --- The run's own pod ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "oom_killed",
            (
                "ran out of memory (OOM-killed): its limit is 256Mi, set by the platform admin in "
                "runLauncher.resources"
            ),
        ),
        ("drained", "was evicted from node bulkhead-worker"),
        ("preempted", "was preempted on node bulkhead-worker"),
        ("node_removed", "lost its node bulkhead-worker"),
        ("deleted_by_a_person", "was deleted"),
        ("segfault", "was terminated by SIGSEGV (signal 11)"),
        ("exit_code_3", "exited with code 3"),
        ("deadline_exceeded", "ended (DeadlineExceeded)"),
        ("exit_code_0", "ended (EndedWithoutResult)"),
    ],
)
def test_the_end_of_a_runs_own_pod_has_the_same_causes(name: str, text: str) -> None:
    verdict = diagnosis.of_ended_pod(pod(name), "")
    assert verdict.cause is ended(pod(name)).cause
    assert sentences.of_run_pod(verdict) == f"The run's own pod {pod(name).name} {text}."


def test_a_run_pod_without_a_limit_names_no_limit() -> None:
    value = load("oom_killed")
    value["spec"]["containers"][0]["resources"] = {}
    del value["status"]["containerStatuses"][0]["resources"]
    sentence = sentences.of_run_pod(diagnosis.of_ended_pod(StepPod(value), ""))
    assert sentence.endswith(" ran out of memory (OOM-killed).")


# --- What a machine reads -------------------------------------------------------------------------


def test_the_facts_of_an_end_are_all_that_is_known() -> None:
    value = load("oom_killed")
    value["metadata"]["name"] = "dagster-step-1a4d16fbf7fa5502ac7cc59783e05259-znwgd"
    terminated = value["status"]["containerStatuses"][0]["state"]["terminated"]
    terminated |= {"startedAt": "2026-11-25T00:02:23Z", "finishedAt": "2026-11-25T00:02:28Z"}
    assert reports.metadata(replace(ended(StepPod(value)), attempt=3)) == {
        "cause": "OutOfMemory",
        "attempt": 3,
        "pod": "dagster-step-1a4d16fbf7fa5502ac7cc59783e05259-znwgd",
        "namespace": "bulkhead-fixtures",
        "node": "bulkhead-worker",
        "memory_limit": "256Mi",
        "cpu_limit": "500m",
        "exit_code": 137,
        "container_reason": "OOMKilled",
        "seconds": 5.0,
        "container_finished_at": "2026-11-25T00:02:28Z",
    }


def test_facts_that_are_not_known_are_left_out() -> None:
    metadata = reports.metadata(ended(pod("container_lost")))
    assert {"seconds", "container_finished_at"}.isdisjoint(metadata)
    assert None not in metadata.values()


def test_a_container_that_never_ran_has_not_run_since_1970() -> None:
    never_ran = pod("start_error")
    assert ended(never_ran).elapsed is None
    assert not never_ran.has_started
    assert ended(never_ran).cause.is_before_start


def test_the_limit_of_a_step_that_grew_is_the_one_in_force() -> None:
    value = load("oom_killed")
    value["spec"]["containers"][0]["resources"]["limits"]["memory"] = "1Gi"  # asked for, not given
    value["status"]["containerStatuses"][0]["resources"]["limits"]["memory"] = "512Mi"
    verdict = ended(StepPod(value))
    assert sentences.of_verdict(verdict) == (
        "Step eat_memory ran out of memory (OOM-killed): its limit is 512Mi."
    )
    assert verdict.memory_limit == 512 * MIB


def test_a_kubelet_that_does_not_tell_the_limit_in_force_leaves_the_one_asked_for() -> None:
    value = load("oom_killed")
    del value["status"]["containerStatuses"][0]["resources"]
    assert ended(StepPod(value)).memory_limit == 256 * MIB


def test_a_step_without_a_limit_has_filled_its_node() -> None:
    value = load("oom_killed")
    value["spec"]["containers"][0]["resources"] = {}
    del value["status"]["containerStatuses"][0]["resources"]
    verdict = ended(StepPod(value))
    assert sentences.of_verdict(verdict) == (
        "Step eat_memory ran out of memory (OOM-killed): it has no limit, and its node is full."
    )
    assert verdict.memory_limit is None


# --- Steps that wait ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "case",
    [
        Case(
            "unschedulable",
            Cause.UNSCHEDULABLE,
            "No node can run step too_large: 0/2 nodes are available: 2 Insufficient memory. no "
            "new claims to deallocate, preemption: 0/2 nodes are available: 2 Preemption is not "
            "helpful for scheduling.",
        ),
        Case(
            "image_not_found",
            Cause.IMAGE,
            "The image of step no_image, registry.example/hello:never-pushed, cannot be pulled: "
            f"{NOT_FOUND}.",
        ),
        Case(
            "image_pull_back_off",
            Cause.IMAGE,
            "The image of step no_image, registry.example/hello:never-pushed, cannot be pulled: "
            'Back-off pulling image "registry.example/hello:never-pushed": ErrImagePull: '
            f"{NOT_FOUND}.",
        ),
        Case(
            "image_name_invalid",
            Cause.IMAGE,
            "The image of step bad_image, Hello:latest, cannot be pulled: Failed to apply default "
            'image tag "Hello:latest": couldn\'t parse image name "Hello:latest": invalid '
            "reference format: repository name (library/Hello) must be lowercase.",
        ),
        Case(
            "secret_missing",
            Cause.CANNOT_START,
            "The container of step no_secret cannot start (CreateContainerConfigError): "
            'secret "bulkhead-database" not found.',
        ),
    ],
    ids=str,
)
def test_what_a_step_waits_for_before_its_start_is_told(case: Case) -> None:
    verdict = waiting(pod(case.pod))
    assert verdict
    assert (verdict.cause, sentences.of_verdict(verdict)) == (case.cause, case.sentence)
    assert case.cause.is_before_start
    assert not case.cause.is_infrastructure
    assert not pod(case.pod).has_started


def test_a_step_that_finds_no_node_says_how_much_it_requests() -> None:
    verdict = waiting(pod("unschedulable"))
    assert verdict
    metadata = reports.metadata(verdict)
    assert metadata["memory_requested"] == "512Gi"
    assert metadata["cpu_requested"] == "500m"
    assert "node" not in metadata


def test_an_image_is_a_fact_of_the_pull_that_failed() -> None:
    verdict = waiting(pod("image_not_found"))
    assert verdict
    assert verdict.image == "registry.example/hello:never-pushed"


@pytest.mark.parametrize(
    ("reasons", "cause"),
    [
        (
            {
                "ErrImagePull",
                "ImagePullBackOff",
                "InvalidImageName",
                "ErrImageNeverPull",
                "ImageInspectError",
                "RegistryUnavailable",
                "SignatureValidationFailed",
            },
            Cause.IMAGE,
        ),
        (
            {
                "CreateContainerConfigError",
                "PreCreateHookError",
                "CreateContainerError",
                "PreStartHookError",
                "RunContainerError",
            },
            Cause.CANNOT_START,
        ),
    ],
)
def test_no_reason_of_the_kubelet_for_which_a_pod_would_wait_for_ever_is_missing(
    reasons: set[str], cause: Cause
) -> None:
    assert reasons <= IMAGE_REASONS | START_REASONS
    for reason in reasons:
        value = load("secret_missing")
        value["status"]["containerStatuses"][0]["state"] = {"waiting": {"reason": reason}}
        verdict = waiting(StepPod(value))
        assert verdict
        assert verdict.cause is cause
        assert reason in sentences.of_verdict(verdict)


@pytest.mark.parametrize("reason", ["ContainerCreating", "PodInitializing"])
def test_a_container_that_is_being_made_may_never_start(reason: str) -> None:
    value = load("secret_missing")
    value["status"]["containerStatuses"][0]["state"] = {"waiting": {"reason": reason}}
    verdict = waiting(StepPod(value))
    assert verdict
    assert verdict.cause is Cause.NEVER_STARTED
    assert f"is still {reason}." in sentences.of_verdict(verdict)


def test_a_pod_that_has_only_just_been_made_waits_for_nothing() -> None:
    value = load("running")
    value["status"] = {"phase": "Pending", "qosClass": "Burstable"}
    del value["spec"]["nodeName"]
    assert waiting(StepPod(value)) is None


def test_a_step_at_work_waits_for_nothing() -> None:
    assert waiting(pod("running")) is None
    assert pod("running").has_started
    assert pod("running").is_running


def test_a_step_at_work_has_run_since_its_container_started() -> None:
    value = load("running")
    value["status"]["containerStatuses"][0]["state"]["running"]["startedAt"] = (
        "2026-11-25T00:02:23Z"
    )
    assert StepPod(value).running_since == dt.datetime(
        2026, 11, 25, 0, 2, 23, tzinfo=dt.timezone.utc
    )
    assert pod("oom_killed").running_since is None


def test_a_step_on_a_node_that_has_gone_silent_is_not_over_for_it_may_still_run() -> None:
    silent = pod("node_silent")
    verdict = waiting(silent)
    assert verdict
    assert verdict.cause is Cause.NODE_SILENT
    assert sentences.of_verdict(verdict) == (
        "Node bulkhead-worker of step on_silent_node does not respond, so the step may still run "
        "there. It is not retried until the node responds or is removed from the cluster; "
        "otherwise it could run twice."
    )
    assert not verdict.cause.is_infrastructure


def test_a_neighbour_in_the_pod_that_is_not_ready_does_not_silence_the_node() -> None:
    assert waiting(pod("neighbour_not_ready")) is None


def test_a_readiness_gate_does_not_silence_the_node() -> None:
    value = load("node_silent")
    (ready,) = [each for each in value["status"]["conditions"] if each["type"] == "Ready"]
    ready |= {
        "reason": "ReadinessGatesNotReady",
        "message": 'the status of pod readiness gate "mesh" is not "True", but False',
    }
    assert waiting(StepPod(value)) is None


def test_a_pod_without_any_status_says_nothing_and_breaks_nothing() -> None:
    bare = StepPod({"metadata": {"name": "step", "namespace": "bulkhead-hello"}})
    assert waiting(bare) is None
    assert (bare.phase, bare.node, bare.step_key, bare.image) == ("Pending", None, "", "")
    assert (bare.memory_limit, bare.created_at, bare.grace_seconds) == (None, None, 30)
    assert not bare.has_started
    assert ended(StepPod(bare.object, is_gone=True)).cause is Cause.DELETED


def test_causes_of_the_cluster_and_of_the_time_before_the_start_are_never_both() -> None:
    assert not [cause for cause in Cause if cause.is_infrastructure and cause.is_before_start]


def test_an_init_container_that_fails_is_named() -> None:
    value = load("secret_missing")
    value["status"] |= {
        "phase": "Failed",
        "containerStatuses": [],
        "initContainerStatuses": [
            {"name": "fetch", "state": {"terminated": {"exitCode": 0}}},
            {"name": "unpack", "state": {"terminated": {"exitCode": 2}}},
        ],
    }
    verdict = diagnosis.of_ended_pod(StepPod(value), "train")
    assert verdict.cause is Cause.CANNOT_START
    assert sentences.of_verdict(verdict) == (
        "The init container unpack of step train exited with code 2, so the step did not start."
    )
