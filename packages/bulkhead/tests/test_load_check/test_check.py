"""A load check ends with a summary or with the cause, and always without its pod."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from packages.bulkhead.tests.test_load_check.cluster import (
    NAME,
    NAMESPACE,
    NODE,
    Act,
    Cluster,
    Running,
    changes,
    ended,
    event,
    gone,
    log_of,
    manifest,
    pending,
    recorded,
    running,
    unschedulable,
    wait,
)
from packages.bulkhead.tests.test_steps.fake_api import (
    CREATE,
    DELETE,
    GET,
    LIST,
    LOG,
    PODS,
    Answer,
    refusal,
)
from packages.bulkhead.tests.waiting import wait_until

from bulkhead import names
from bulkhead.code_location.summary import Job, Summary
from bulkhead.deploy.load_check import check, pod_requests, progress
from bulkhead.deploy.load_check.errors import LoadCheckError
from bulkhead.deploy.load_check.progress import Progress, Stage
from bulkhead.kube import list_watch
from bulkhead.kube.api import KubernetesApi

SUMMARY = Summary(location="shop", jobs={"nightly": Job(ops=("load",))})
REPORTED = log_of({"summary": SUMMARY.as_json()}, "importing …\n")
LOADS: tuple[Act, ...] = (running(), ended(0))

SECONDS = 20.0
"""More than any check here needs."""
SHORT = 0.8
"""The timeout of checks that run into it."""

NewCluster = Callable[..., Cluster]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_watch, "_FIRST_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(list_watch, "_LONGEST_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(pod_requests, "_FIRST_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(pod_requests, "_LONGEST_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(pod_requests, "_RETRY_SECONDS", 0.5)
    monkeypatch.setattr(check, "_READ_AGAIN_SECONDS", 0.05)


@pytest.fixture
def new_cluster() -> Iterator[NewCluster]:
    clusters: list[Cluster] = []

    def new(*acts: Act, log: str = "") -> Cluster:
        clusters.append(Cluster(*acts, log=log))
        return clusters[-1]

    yield new
    for each in clusters:
        each.leave()


def run(
    cluster: Cluster,
    timeout: float = SECONDS,
    report: Callable[[Progress], None] = lambda _progress: None,
    **spec: Any,
) -> Summary:
    api = KubernetesApi(cluster.address)
    return check.run(api, NAMESPACE, manifest(**spec), timeout=timeout, report=report)


def failure(cluster: Cluster, timeout: float = SECONDS, **spec: Any) -> LoadCheckError:
    with pytest.raises(LoadCheckError) as caught:
        run(cluster, timeout, **spec)
    assert str(caught.value) == caught.value.cause
    return caught.value


# --- With the real command ------------------------------------------------------------------------

DEFINED = """
import dagster as dg
print("importing")
@dg.asset
def orders(): ...
defs = dg.Definitions(assets=[orders])
"""


def start(folder: Path, source: str) -> Running:
    (folder / "definitions.py").write_text(source)
    return Running(folder, {names.DEFINITIONS_MODULE_ENV: "definitions"})


def test_definitions_that_load_are_summarized(new_cluster: NewCluster, tmp_path: Path) -> None:
    cluster = new_cluster(start(tmp_path, DEFINED).act)
    summary = run(cluster)
    assert (summary.location, summary.assets.keys()) == ("shop", {"orders"})
    assert cluster.pod is None


def test_an_error_has_its_message_and_the_traceback(
    new_cluster: NewCluster, tmp_path: Path
) -> None:
    error = failure(new_cluster(start(tmp_path, f"{DEFINED}\nimport not_installed\n").act))
    assert (error.reason, error.stage) == ("LoadError", Stage.LOADING)
    assert error.cause == (
        "The definitions do not load: ModuleNotFoundError: No module named 'not_installed'."
    )
    assert error.last_output.endswith(
        f'  File "{tmp_path}/definitions.py", line 8, in <module>\n    import not_installed'
    )
    assert error.is_of_the_code


def test_code_that_ends_the_process_has_its_exit_code_and_last_output(
    new_cluster: NewCluster, tmp_path: Path
) -> None:
    source = "import os\nprint('no license', flush=True)\nos._exit(3)\n"
    error = failure(new_cluster(start(tmp_path, source).act))
    assert (error.reason, error.last_output) == ("ExitCode", "no license")
    assert error.cause == (
        "The process exited with code 3 before the definitions were loaded. Code that runs on "
        "import may call os._exit."
    )
    assert error.is_of_the_code


@pytest.mark.parametrize(
    "wait", ["time.sleep(3600)", "ctypes.CDLL(None).sleep(3600)"], ids=["python", "native"]
)
def test_code_that_hangs_is_named_with_its_line(
    new_cluster: NewCluster, tmp_path: Path, wait: str
) -> None:
    """Dagster's own handler of SIGTERM raises an error, which would hide the place."""
    process = start(tmp_path, f"import ctypes, time; print('connecting', flush=True)\n{wait}\n")
    wait_until(lambda: "connecting" in process.log, SECONDS)
    error = failure(new_cluster(process.act), SHORT)
    assert (error.reason, error.stage) == ("Timeout", Stage.LOADING)
    assert error.cause == (
        "The definitions did not load within 1 s. It was in definitions.py, line 2. Code that runs "
        "on import waits or computes for too long. Move it into an asset, an op or a resource, or "
        "raise load-seconds in bulkhead.toml."
    )
    assert error.last_output == (
        "connecting\n\nStack (most recent call first):\n"
        f'  File "{tmp_path}/definitions.py", line 2 in <module>'
    )
    assert error.is_of_the_code
    assert process.exit_code == 128 + signal.SIGTERM


# --- How the process ends -------------------------------------------------------------------------


class Case(NamedTuple):
    name: str
    acts: Sequence[Act]
    reason: str
    cause: str
    is_of_the_code: bool = False
    log: str = "importing …\n"
    last_output: str = "importing …"
    stage: Stage = Stage.LOADING
    timeout: float = SECONDS

    def __str__(self) -> str:
        return self.name


RETRY = "Run the same command again."
MEMORY = (
    "the limit is 512Mi. Raise codeServer.resources.limits.memory in values.yaml, or import less. "
    "The code server has the same limit."
)
STACK = 'Stack (most recent call first):\n  File "/opt/code/shop.py", line 7 in connect\n'

ENDS = [
    Case(
        "an error",
        [running(), ended(1)],
        "LoadError",
        "The definitions do not load: ValueError: no!",
        True,
        log_of({"error": {"message": "ValueError: no!", "traceback": "\nTraceback\n"}}),
        "Traceback",
    ),
    Case(
        "an error after a process was OOM-killed",
        [running(), ended(1)],
        "LoadError",
        "The definitions do not load: x. One of its processes ran out of memory (OOM-killed): "
        f"{MEMORY}",
        True,
        log_of({"error": {"message": "x", "traceback": "y"}, "oom_kills": 1}),
        "y",
    ),
    Case(
        "an error after processes were OOM-killed",
        [running(), ended(1, "OOMKilled")],
        "LoadError",
        "The definitions do not load: x. 2 of its processes ran out of memory (OOM-killed): "
        f"{MEMORY}",
        True,
        log_of({"error": {"message": "x", "traceback": "y"}, "oom_kills": 2}),
        "y",
    ),
    Case(
        "OOM-killed, as the container's status says",
        [running(), ended(137, "OOMKilled")],
        "OutOfMemory",
        f"Loading the definitions ran out of memory (OOM-killed): {MEMORY}",
        True,
    ),
    Case(
        "OOM-killed, as only the process itself reports",
        [running(), ended(137)],
        "OutOfMemory",
        f"Loading the definitions ran out of memory (OOM-killed): {MEMORY}",
        True,
        log_of({"oom_kills": 1}, "importing …\n"),
    ),
    Case(
        "killed by something that is not known",
        [running(), ended(137)],
        "Signal",
        "The process was terminated by SIGKILL (signal 9) before the definitions were loaded. It "
        f"may have run out of memory: {MEMORY}",
        True,
    ),
    Case(
        "crashed",
        [running(), recorded("segfault")],
        "Signal",
        "The process was terminated by SIGSEGV (signal 11) before the definitions were loaded. A "
        "native library that is imported may have crashed.",
        True,
    ),
    Case(
        "exit code 0 without a report",
        [running(), ended(0)],
        "EndedWithoutResult",
        "The process exited with code 0 before the definitions were loaded. Code that runs on "
        "import may call os._exit.",
        True,
    ),
    Case(
        "deadline of the pod",
        [running(), recorded("deadline_exceeded")],
        "Timeout",
        "The definitions did not load within 240 s. It was in connect (shop.py, line 7). Code that "
        "runs on import waits or computes for too long. Move it into an asset, an op or a "
        "resource, or raise load-seconds in bulkhead.toml.",
        True,
        log_of({"stack": STACK}, f"importing …\n\n{STACK}"),
        f"importing …\n\n{STACK.strip()}",
    ),
    Case(
        "evicted",
        [running(), recorded("evicted_for_node_pressure")],
        "Evicted",
        "The pod of the load check was evicted from node worker-1: The node was low on resource: "
        "memory. Threshold quantity: 25023749402, available: 23288728Ki. Container dagster was "
        f"using 197852Ki, request is 64Mi, has larger consumption of memory. {RETRY}",
    ),
    Case(
        "drained",
        [running(), recorded("drained")],
        "Evicted",
        "The pod of the load check was evicted from node worker-1: Eviction API: evicting. "
        f"{RETRY}",
    ),
    Case(
        "preempted",
        [running(), recorded("preempted")],
        "Preempted",
        "The pod of the load check was preempted on node worker-1 by a pod of higher priority. "
        f"{RETRY}",
    ),
    Case(
        "node removed",
        [running(), recorded("node_removed")],
        "NodeLost",
        f"The pod of the load check lost its node worker-1. {RETRY}",
    ),
    Case(
        "storage",
        [running(), recorded("evicted_for_own_storage")],
        "EphemeralStorageExceeded",
        "Loading the definitions used too much ephemeral storage: Pod ephemeral local storage "
        "usage exceeds the total limit of containers 64Mi. Write less while the code is imported.",
        True,
    ),
    Case(
        "deleted by somebody else",
        [running(0.3), gone],
        "PodDeleted",
        f"The pod of the load check, {NAME}, was deleted by somebody else. {RETRY}",
        last_output="",
    ),
    Case(
        "rejected by the node",
        [wait(0.3), recorded("turned_away")],
        "Evicted",
        "Node worker-1 rejected the pod of the load check (OutOfmemory): Pod was rejected: Node "
        "didn't have enough resource: memory, requested: 549755813888, used: 2535456768, capacity: "
        f"25276514304. {RETRY}",
        last_output="",
        stage=Stage.SCHEDULING,
    ),
    Case(
        "a part of the report is missing",
        [running(), ended(0)],
        "ReportUnreadable",
        "The definitions load, but the report in the pod's log cannot be read: line 1 of 2 is "
        f"missing. {RETRY} If it fails again, print less while the code is imported.",
        log=f"\n{NAME} 2/2 eJyrVkrLz1eyUlBKyk9SqgUAKf0FEg==\n",
        last_output="",
        stage=Stage.READING,
    ),
    Case(
        "a report that is not a summary",
        [running(), ended(0)],
        "ReportUnreadable",
        "The definitions load, but the report in the pod's log cannot be read: it is not a summary "
        f"of definitions: 'list' object has no attribute 'items'. {RETRY} If it fails again, print "
        "less while the code is imported.",
        log=log_of({"summary": {"jobs": [1]}}),
        last_output="",
        stage=Stage.READING,
    ),
]


@pytest.mark.parametrize("case", ENDS, ids=str)
def test_the_end_of_the_process_is_explained(new_cluster: NewCluster, case: Case) -> None:
    cluster = new_cluster(*case.acts, log=case.log)
    error = failure(cluster, case.timeout)
    assert (error.reason, error.cause) == (case.reason, case.cause)
    assert (error.last_output, error.stage) == (case.last_output, case.stage)
    assert error.is_of_the_code == case.is_of_the_code
    assert cluster.pod is None


# --- A pod that does not start --------------------------------------------------------------------

NOT_FOUND = (
    'failed to pull and unpack image "registry.example/shop:1": registry.example/shop:1: not found'
)
STARTS = [
    Case(
        "the image does not exist",
        [pending("ErrImagePull", f"rpc error: code = NotFound desc = {NOT_FOUND}")],
        "ImageCannotBePulled",
        f"Image registry.example/shop@sha256:4be1ff00 cannot be pulled: {NOT_FOUND}. Check the "
        "registry, its address for the nodes, and imagePullSecrets in values.yaml.",
        stage=Stage.PULLING,
    ),
    Case(
        "the image name is invalid",
        [recorded("image_name_invalid")],
        "ImageCannotBePulled",
        "Image registry.example/shop@sha256:4be1ff00 cannot be pulled: Failed to apply default "
        'image tag "Hello:latest": couldn\'t parse image name "Hello:latest": invalid reference '
        "format: repository name (library/Hello) must be lowercase. Check the registry, its "
        "address for the nodes, and imagePullSecrets in values.yaml.",
        stage=Stage.PULLING,
    ),
    Case(
        "the registry does not answer until the end",
        [pending("ImagePullBackOff", "dial tcp 10.0.0.1:443: connect: connection refused")],
        "ImageCannotBePulled",
        "Image registry.example/shop@sha256:4be1ff00 cannot be pulled: dial tcp 10.0.0.1:443: "
        "connect: connection refused. Check the registry, its address for the nodes, and "
        "imagePullSecrets in values.yaml. Timed out after 1 s.",
        stage=Stage.PULLING,
        timeout=SHORT,
    ),
    Case(
        "the image is large",
        [pending("ContainerCreating"), event("Pulling", "Pulling image")],
        "ImagePullTimeout",
        "The node was still pulling image registry.example/shop@sha256:4be1ff00 after 1 s. Run the "
        "same command again. The node continues with the layers that it has. Or raise load-seconds "
        "in bulkhead.toml.",
        stage=Stage.PULLING,
        timeout=SHORT,
    ),
    Case(
        "a Secret does not exist",
        [recorded("secret_missing")],
        "ContainerCannotStart",
        "The container of the load check cannot start (CreateContainerConfigError): secret "
        '"bulkhead-database" not found. Check the names of Secrets, ConfigMaps and keys in '
        "values.yaml.",
        stage=Stage.STARTING,
    ),
    Case(
        "a key in a Secret does not exist",
        [
            pending(
                "CreateContainerConfigError", "couldn't find key token in Secret bulkhead-shop/api"
            )
        ],
        "ContainerCannotStart",
        "The container of the load check cannot start (CreateContainerConfigError): couldn't find "
        "key token in Secret bulkhead-shop/api. Check the names of Secrets, ConfigMaps and keys in "
        "values.yaml.",
        stage=Stage.STARTING,
    ),
    Case(
        "the command does not exist",
        [wait(0.3), recorded("start_error")],
        "ContainerCannotStart",
        "The container of the load check cannot start (StartError): failed to create containerd "
        "task: failed to create shim task: OCI runtime create failed: runc create failed: unable "
        'to start container process: exec: "python-of-another-image": executable file not found in '
        "$PATH. Check that the image has python on its PATH.",
        stage=Stage.SCHEDULING,
    ),
    Case(
        "a volume cannot be mounted",
        [
            pending("ContainerCreating"),
            event("Pulled", "Pulled"),
            event(
                "FailedMount",
                'MountVolume.SetUp failed: secret "certificates" not found',
                "Warning",
            ),
        ],
        "NeverStarted",
        f"The pod of the load check, {NAME}, is still ContainerCreating: MountVolume.SetUp failed: "
        'secret "certificates" not found. Check the volumes, Secrets and ConfigMaps in '
        "values.yaml. Timed out after 1 s.",
        stage=Stage.STARTING,
        timeout=SHORT,
    ),
    Case(
        "no node has room",
        [unschedulable("0/3 nodes are available: 3 Insufficient memory.")],
        "Unschedulable",
        "No node can run the load check: 0/3 nodes are available: 3 Insufficient memory. Lower "
        "codeServer.resources.requests in values.yaml, or ask the platform admin for more room. "
        "Timed out after 1 s.",
        stage=Stage.SCHEDULING,
        timeout=SHORT,
    ),
    Case(
        "an init container fails",
        [
            wait(0.3),
            changes(
                spec={"nodeName": NODE},
                status={
                    "phase": "Failed",
                    "initContainerStatuses": [
                        {"name": "copy", "state": {"terminated": {"exitCode": 2}}}
                    ],
                },
            ),
        ],
        "ContainerCannotStart",
        "The init container copy of the load check exited with code 2.",
        stage=Stage.SCHEDULING,
    ),
    Case(
        "the node does not respond",
        [recorded("node_silent")],
        "NodeSilent",
        f"Node worker-1 of the load check does not respond. {RETRY} Timed out after 1 s.",
        stage=Stage.LOADING,
        timeout=SHORT,
    ),
    Case(
        "the deadline of the pod passes before its start",
        [
            wait(0.3),
            changes(status={"phase": "Failed", "reason": "DeadlineExceeded", "message": "Pod was"}),
        ],
        "NeverStarted",
        f"The pod of the load check, {NAME}, is still Pending: no reason is given. Check the "
        "volumes, Secrets and ConfigMaps in values.yaml. Timed out after 240 s.",
        stage=Stage.SCHEDULING,
    ),
]


@pytest.mark.parametrize("case", STARTS, ids=str)
def test_a_pod_that_does_not_start_is_explained(new_cluster: NewCluster, case: Case) -> None:
    cluster = new_cluster(*case.acts)
    error = failure(cluster, case.timeout)
    assert (error.reason, error.cause) == (case.reason, case.cause)
    assert (error.last_output, error.stage) == ("", case.stage)
    assert not error.is_of_the_code
    assert cluster.pod is None


@pytest.mark.parametrize(
    "passing",
    [
        pending("ErrImagePull", "429 Too Many Requests", seconds=0.2),
        pending("ImagePullBackOff", "dial tcp: i/o timeout", seconds=0.2),
        pending("CreateContainerError", "context deadline exceeded", seconds=0.2),
        unschedulable("0/3 nodes are available: 3 Insufficient memory."),
    ],
)
def test_what_may_pass_is_waited_for(new_cluster: NewCluster, passing: Act) -> None:
    cleared = changes(status={"conditions": []})
    assert run(new_cluster(passing, wait(0.2), cleared, *LOADS, log=REPORTED)) == SUMMARY


# --- The request for the pod ----------------------------------------------------------------------

POD = f'pods "{NAME}" is forbidden: '
QUOTA = (
    "exceeded quota: bulkhead, requested: limits.memory=512Mi, used: limits.memory={}, limited: "
)
FULL = POD + QUOTA.format("7936Mi") + "limits.memory=8Gi"


class Rejected(NamedTuple):
    """What the API server answers, and the error; `{}` stands for the message of the server."""

    status: HTTPStatus
    message: str
    reason: str
    cause: str
    stage: Stage = Stage.CREATING


NO_RIGHT = (
    "This account cannot create pods in namespace bulkhead-shop: {} Ask the platform admin to add "
    "it to codeLocations.shop.deployers."
)
REJECTED = [
    Rejected(
        HTTPStatus.FORBIDDEN,
        f'{POD}User "ann" cannot create resource "pods" in API group "" in the namespace "x"',
        "Forbidden",
        NO_RIGHT,
    ),
    Rejected(HTTPStatus.UNAUTHORIZED, "Unauthorized", "Forbidden", NO_RIGHT),
    Rejected(
        HTTPStatus.NOT_FOUND,
        'namespaces "bulkhead-shop" not found',
        "NamespaceNotFound",
        "Namespace bulkhead-shop does not exist. Ask the platform admin to add "
        "codeLocations.shop, or correct the namespace.",
    ),
    Rejected(
        HTTPStatus.FORBIDDEN,
        'admission webhook "validate.example" denied the request: every pod needs a label',
        "Rejected",
        "The API server rejected the pod of the load check: {}",
    ),
    Rejected(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        f'Pod "{NAME}" is invalid: spec.containers[0].image: Required value',
        "Rejected",
        "The API server rejected the pod of the load check: {}",
    ),
    Rejected(
        HTTPStatus.FORBIDDEN,
        f"{POD}{QUOTA.format('0')}limits.memory=256Mi",
        "QuotaExceeded",
        "The load check requests limits.memory 512Mi, but the whole quota of its code location is "
        "256Mi. Lower codeServer.resources in values.yaml, or ask the platform admin to raise the "
        "quota.",
        Stage.QUOTA,
    ),
]


@pytest.mark.parametrize("rejected", REJECTED)
def test_a_pod_that_is_rejected_is_not_retried(new_cluster: NewCluster, rejected: Rejected) -> None:
    cluster = new_cluster(*LOADS, log=REPORTED)
    cluster.answer_next(PODS, CREATE, refusal(rejected.status, rejected.message))
    error = failure(cluster)
    assert (error.reason, error.stage) == (rejected.reason, rejected.stage)
    assert error.cause == rejected.cause.format(f"{rejected.message}.")
    assert not error.is_of_the_code
    assert cluster.count(PODS, CREATE) == 1
    assert cluster.count(PODS, DELETE) == 0, "there is no pod"


def test_a_quota_without_room_is_waited_for(new_cluster: NewCluster) -> None:
    cluster = new_cluster(*LOADS, log=REPORTED)
    cluster.answer_next(PODS, CREATE, *(3 * [refusal(HTTPStatus.FORBIDDEN, FULL)]))
    stages: list[Stage] = []
    assert run(cluster, report=lambda each: stages.append(each.stage)) == SUMMARY
    assert stages[:2] == [Stage.CREATING, Stage.QUOTA]


def test_a_quota_that_never_has_room_is_named(new_cluster: NewCluster) -> None:
    cluster = new_cluster()
    cluster.answer_next(PODS, CREATE, *(1000 * [refusal(HTTPStatus.FORBIDDEN, FULL)]))
    error = failure(cluster, SHORT)
    assert (error.reason, error.stage) == ("QuotaExceeded", Stage.QUOTA)
    assert error.cause == (
        "The quota of the code location has no room for the load check: it requests "
        "limits.memory=512Mi; limits.memory=7936Mi of limits.memory=8Gi is in use. Wait until "
        "steps have finished, or ask the platform admin to raise the quota. Timed out after 1 s."
    )


@pytest.mark.parametrize(
    "answer",
    [
        refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "etcdserver: request timed out"),
        refusal(HTTPStatus.TOO_MANY_REQUESTS, "too many requests"),
        refusal(HTTPStatus.CONFLICT, "the object has been modified", "Conflict"),
        Answer(HTTPStatus.BAD_GATEWAY, b"<html>"),
    ],
)
def test_a_temporary_failure_is_retried(new_cluster: NewCluster, answer: Answer) -> None:
    cluster = new_cluster(*LOADS, log=REPORTED)
    cluster.answer_next(PODS, CREATE, answer, answer)
    cluster.answer_next(PODS, LIST, answer)
    cluster.answer_next(PODS, LOG, answer)
    cluster.answer_next(PODS, DELETE, answer)
    assert run(cluster) == SUMMARY
    assert cluster.pod is None


def test_a_pod_whose_answer_is_lost_is_not_created_twice(new_cluster: NewCluster) -> None:
    cluster = new_cluster(running(0.5), ended(0), log=REPORTED)
    cluster.loses_answer = True
    assert run(cluster) == SUMMARY
    assert cluster.count(PODS, CREATE) == 2
    assert cluster.count(PODS, GET) == 1
    assert cluster.pod is None


# --- The API server -------------------------------------------------------------------------------


def test_an_api_server_that_is_away_for_a_while_is_waited_for(new_cluster: NewCluster) -> None:
    def leave(cluster: Cluster) -> None:
        with cluster.away():
            ended(0)(cluster)
            time.sleep(0.5)

    assert run(new_cluster(running(0.3), leave, log=REPORTED)) == SUMMARY


def test_an_api_server_that_is_away_until_the_end_is_named(new_cluster: NewCluster) -> None:
    cluster = new_cluster(running(0.1), lambda cluster: cluster.leave())
    error = failure(cluster, SHORT)
    assert error.reason == "KubernetesApi"
    assert error.cause.startswith("The API server could not serve the load check within 1 s: ")
    assert error.cause.endswith(f" {RETRY}")


@pytest.mark.parametrize(("verb", "may"), [(LIST, "list pods"), (LOG, "read the logs of pods")])
def test_rights_that_are_missing_are_named(new_cluster: NewCluster, verb: str, may: str) -> None:
    cluster = new_cluster(*LOADS, log=REPORTED)
    forbidden = refusal(HTTPStatus.FORBIDDEN, "pods is forbidden")
    cluster.answer_next(PODS, verb, *(100 * [forbidden]))
    error = failure(cluster)
    assert error.reason == "Forbidden"
    assert error.cause == (
        f"This account cannot {may} in namespace bulkhead-shop: pods is forbidden. Ask the "
        "platform admin to add it to codeLocations.shop.deployers."
    )
    assert cluster.pod is None


def test_a_report_that_is_late_in_the_log_is_waited_for(new_cluster: NewCluster) -> None:
    cluster = new_cluster(*LOADS, log=REPORTED)
    cluster.answer_next(PODS, LOG, Answer(HTTPStatus.OK, b""), Answer(HTTPStatus.OK, b"importing"))
    assert run(cluster) == SUMMARY


def test_a_log_that_cannot_be_read_in_time_says_so(new_cluster: NewCluster) -> None:
    cluster = new_cluster(*LOADS)
    cluster.answer_next(PODS, LOG, *(1000 * [refusal(HTTPStatus.BAD_GATEWAY, "no route")]))
    error = failure(cluster)
    assert (error.reason, error.last_output) == ("EndedWithoutResult", "")


def test_a_hang_whose_log_is_gone_with_the_pod_keeps_what_was_printed(
    new_cluster: NewCluster,
) -> None:
    cluster = new_cluster(running(), log="importing …\n")
    cluster.on_log = lambda request: (
        setattr(cluster, "log", "") if "follow" in request.query else None
    )
    error = failure(cluster, SHORT)
    assert error.last_output == "importing …"
    assert "It was in" not in error.cause


# --- Progress -------------------------------------------------------------------------------------


def test_stages_are_reported_in_their_order(new_cluster: NewCluster) -> None:
    cluster = new_cluster(
        wait(0.3),
        unschedulable("0/3 nodes are available"),
        wait(0.3),
        changes(status={"conditions": []}),
        pending("ContainerCreating", seconds=0.3),
        event("Pulling", "Pulling image"),
        wait(0.3),
        event("Pulled", "Pulled image"),
        wait(0.3),
        running(0.3),
        ended(0),
        log=REPORTED,
    )
    stages: list[Stage] = []
    run(cluster, report=lambda each: stages.append(each.stage))
    assert stages == [
        Stage.CREATING,
        Stage.SCHEDULING,
        Stage.STARTING,
        Stage.PULLING,
        Stage.STARTING,
        Stage.LOADING,
        Stage.READING,
    ]


def test_a_stage_that_takes_long_is_reported_with_what_it_waits_for(
    new_cluster: NewCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "REPORT_SECONDS", 0.1)
    cluster = new_cluster(
        unschedulable("3 Insufficient memory"),
        wait(0.6),
        changes(status={"conditions": []}),
        *LOADS,
        log=REPORTED,
    )
    found: list[Progress] = []
    run(cluster, report=found.append)
    waiting = [each for each in found if each.stage is Stage.SCHEDULING]
    assert len(waiting) >= 3
    assert waiting[-1].detail == "3 Insufficient memory"
    assert waiting[-1].seconds > 0.2
    assert [each.seconds for each in waiting] == sorted(each.seconds for each in waiting)


# --- The pod is deleted ---------------------------------------------------------------------------


def test_pods_that_earlier_checks_have_left_are_deleted_and_no_others(
    new_cluster: NewCluster,
) -> None:
    cluster = new_cluster(running(0.5), ended(0), log=REPORTED)

    def put(name: str, *, created: str, component: str = "load-check") -> None:
        pod = manifest()
        metadata = {**pod["metadata"], "name": name, "uid": name, "creationTimestamp": created}
        metadata["labels"] = {**metadata["labels"], "app.kubernetes.io/component": component}
        cluster.put(PODS, {**pod, "metadata": metadata})

    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 200))
    put("left-behind", created="2026-01-01T00:00:00Z")
    put("of-another-deploy-now", created=now)
    put("code-server", created="2026-01-01T00:00:00Z", component="code-server")
    assert run(cluster) == SUMMARY
    assert {each["metadata"]["name"] for each in cluster.objects(PODS)} == {
        "of-another-deploy-now",
        "code-server",
    }


def test_a_pod_that_is_gone_already_is_no_problem(new_cluster: NewCluster) -> None:
    cluster = new_cluster(*LOADS, log=REPORTED)
    cluster.answer_next(PODS, DELETE, refusal(HTTPStatus.NOT_FOUND, "not found"))
    assert run(cluster) == SUMMARY
    assert cluster.count(PODS, DELETE) == 1


def test_a_pod_that_cannot_be_deleted_is_logged(
    new_cluster: NewCluster, caplog: pytest.LogCaptureFixture
) -> None:
    cluster = new_cluster(*LOADS, log=REPORTED)
    cluster.answer_next(PODS, DELETE, *(1000 * [refusal(HTTPStatus.BAD_GATEWAY, "no route")]))
    assert run(cluster) == SUMMARY
    assert f"Pod {NAME} cannot be deleted: 502: no route" in caplog.text


@pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_a_check_that_is_interrupted_deletes_its_pod(
    new_cluster: NewCluster, number: signal.Signals, raised: type[BaseException]
) -> None:
    def interrupt(_cluster: Cluster) -> None:
        os.kill(os.getpid(), number)

    cluster = new_cluster(running(0.3), interrupt)
    with pytest.raises(raised):
        run(cluster)
    assert cluster.pod is None
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_program_that_handles_sigterm_itself_keeps_its_handler(new_cluster: NewCluster) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _frame: heard.append(number))
    try:
        interrupt: Act = lambda _cluster: os.kill(os.getpid(), signal.SIGTERM)  # noqa: E731
        assert run(new_cluster(running(0.3), interrupt, ended(0), log=REPORTED)) == SUMMARY
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM]


def test_a_check_in_another_thread_leaves_signals_alone(new_cluster: NewCluster) -> None:
    found: list[Summary] = []
    cluster = new_cluster(*LOADS, log=REPORTED)
    thread = threading.Thread(target=lambda: found.append(run(cluster)))
    thread.start()
    thread.join(SECONDS)
    assert found == [SUMMARY]
