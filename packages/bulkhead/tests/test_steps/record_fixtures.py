"""Record the pods of `fixtures/` from a real cluster, so that no test believes words of our own.

    .venv/bin/python -m packages.bulkhead.tests.test_steps.record_fixtures --image IMAGE [NAME …]

Each recipe makes the Job of one step, does to its pod what the fixture is about, and keeps the
first state in which the API server shows all of the outcome. Most fields that no verdict reads are
dropped, addresses among them; registry and node get other names.

It takes an admin of the cluster, and an image with a shell and Python from a registry that answers
the nodes when they ask for a tag that is not there. It disturbs nobody: everything stands in a
namespace of its own, which is removed at the end; `preempted` also makes a PriorityClass, and
a resource of the node that only its two pods ask for. `node_removed` is bound to a node that never
was, and is given the status of `running`; what the cluster then makes of it is recorded.

Another thing are those of `DISTURBING`, which are recorded only when they are named, on a node that
nobody needs: its kubelet is stopped or given other settings, other pods may be evicted from it. It
is as before at the end.

Made by hand, on a recorded object and with the reason and message of Kubernetes itself, is
node_shut_down: a kubelet hears of a shutdown from systemd-logind, which kind does not run.
"""

import argparse
import contextlib
import json
import textwrap
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

from kubernetes import client, config, watch
from kubernetes.client.exceptions import ApiException
from tests.e2e import nodes
from tests.e2e.cluster import Kube
from tests.e2e.waiting import NotYet, until

from bulkhead import names

Object = dict[str, Any]

FIXTURES = Path(__file__).with_name("fixtures")
LINE_LENGTH = 99

NAMESPACE = "bulkhead-fixtures"
LOCATION = "hello"
RUN_ID = "299af3e0-5caa-41ea-a586-1cc8704a48a6"
CONTAINER = "dagster"
PROXY = "proxy"

# What the fixtures say in place of the cluster's own names.
REPOSITORY = "registry.example/hello"
NODE = "bulkhead-worker"

SLOT = "example.com/slot"
URGENT = "bulkhead-fixtures-urgent"

MAINTENANCE = {"key": "example.com/maintenance", "effect": "NoExecute"}
KUBELET_CONFIG = "/var/lib/kubelet/config.yaml"

TIMEOUT_SECONDS = 180

LIMITS = {"cpu": "500m", "memory": "256Mi"}
REQUESTS = {"cpu": "50m", "memory": "64Mi"}
TOO_MUCH = {"cpu": "500m", "memory": "512Gi"}

# Ends by SIGTERM as a step's process does: with exit code 143.
WORK = ("sh", "-c", "trap 'exit 143' TERM; sleep 600 & wait")


class NotSeenError(Exception):
    """The pod never was as the fixture needs it."""


# --- How a pod is ---------------------------------------------------------------------------------


def state(pod: Object, container: str = CONTAINER) -> Object:
    statuses = pod["status"].get("containerStatuses", [])
    return next((each["state"] for each in statuses if each["name"] == container), {})


def condition(pod: Object, kind: str) -> Object:
    conditions = pod["status"].get("conditions", [])
    return next((each for each in conditions if each["type"] == kind), {})


def is_there(_: Object) -> bool:
    return True


def is_running(pod: Object) -> bool:
    return "running" in state(pod) and condition(pod, "Ready").get("status") == "True"


def has_ended(pod: Object) -> bool:
    return pod["status"]["phase"] in {"Succeeded", "Failed"} and "terminated" in state(pod)


def ended_by_deletion(pod: Object) -> bool:
    return has_ended(pod) and "deletionTimestamp" in pod["metadata"]


def ended_for(reason: str) -> Callable[[Object], bool]:
    return lambda pod: has_ended(pod) and pod["status"].get("reason") == reason


def disrupted_for(reason: str) -> Callable[[Object], bool]:
    def is_so(pod: Object) -> bool:
        return (
            pod["status"]["phase"] == "Failed"
            and condition(pod, "DisruptionTarget").get("reason") == reason
        )

    return is_so


def waits_for(reason: str) -> Callable[[Object], bool]:
    return lambda pod: state(pod).get("waiting", {}).get("reason") == reason


def is_on_a_silent_node(pod: Object) -> bool:
    return "running" in state(pod) and condition(pod, "Ready").get("status") == "False"


def finds_no_node(pod: Object) -> bool:
    return condition(pod, "PodScheduled").get("reason") == "Unschedulable"


def is_turned_away(pod: Object) -> bool:
    return pod["status"]["phase"] == "Failed" and not state(pod)


def runs_beside_one_that_is_not_ready(pod: Object) -> bool:
    return (
        "running" in state(pod)
        and "running" in state(pod, PROXY)
        and condition(pod, "ContainersReady").get("status") == "False"
    )


# --- What is done to it ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Cluster:
    """Where it happens."""

    api: client.ApiClient
    image: str
    node: str

    @property
    def core(self) -> client.CoreV1Api:
        return client.CoreV1Api(self.api)

    @property
    def batch(self) -> client.BatchV1Api:
        return client.BatchV1Api(self.api)

    @property
    def scheduling(self) -> client.SchedulingV1Api:
        return client.SchedulingV1Api(self.api)

    @property
    def kube(self) -> Kube:
        return Kube(self.api)

    @property
    def repository(self) -> str:
        """The image without its tag and its digest."""
        registry, path = self.image.split("@")[0].split("/", 1)
        return f"{registry}/{path.split(':')[0]}"


def delete(cluster: Cluster, pod: Object) -> None:
    cluster.core.delete_namespaced_pod(pod["metadata"]["name"], NAMESPACE)


def evict(cluster: Cluster, pod: Object) -> None:
    """Ask for its place as `kubectl drain` does."""
    nodes.evict(cluster.kube, pod["metadata"]["name"], NAMESPACE)


def send_a_more_urgent_one(cluster: Cluster, _: Object) -> None:
    """It asks for the slot and for nothing else, so that no other pod can be in its way."""
    slot = {SLOT: "1"}
    container = {
        "name": "urgent",
        "image": cluster.image,
        "args": WORK,
        "resources": {"limits": slot, "requests": slot},
    }
    spec = {"priorityClassName": URGENT, "containers": [container], "restartPolicy": "Never"}
    pod = {"metadata": {"name": "urgent"}, "spec": spec}
    cluster.core.create_namespaced_pod(NAMESPACE, pod)


def say_that_it_runs(cluster: Cluster, pod: Object) -> None:
    """Repeat a kubelet's last word, for there is none on a node that does not exist."""
    last_word = json.loads((FIXTURES / "running.json").read_text())["status"]
    cluster.core.patch_namespaced_pod_status(
        pod["metadata"]["name"], NAMESPACE, {"status": last_word}
    )


@contextlib.contextmanager
def one_slot(cluster: Cluster) -> Iterator[None]:
    """Let the node have one of a thing that nobody else knows of, and pods be more urgent.

    https://kubernetes.io/docs/tasks/administer-cluster/extended-resource-node/
    """

    def set_slots(amount: str | None) -> None:
        status = {"capacity": {SLOT: amount}, "allocatable": {SLOT: amount}}
        cluster.core.patch_node_status(cluster.node, {"status": status})

    urgent = client.V1PriorityClass(metadata={"name": URGENT}, value=1000)
    with contextlib.ExitStack() as undo:
        cluster.scheduling.create_priority_class(urgent)
        undo.callback(cluster.scheduling.delete_priority_class, URGENT)
        undo.callback(set_slots, None)
        set_slots("1")
        yield


# --- What is done to its node ---------------------------------------------------------------------


def taint(cluster: Cluster, _: Object) -> None:
    cluster.core.patch_node(cluster.node, {"spec": {"taints": [MAINTENANCE]}})


@contextlib.contextmanager
def taints_put_back(cluster: Cluster) -> Iterator[None]:
    before = cluster.core.read_node(cluster.node).spec.taints or []
    try:
        yield
    finally:
        cluster.core.patch_node(cluster.node, {"spec": {"taints": before}})


@contextlib.contextmanager
def node_that_comes_back(cluster: Cluster) -> Iterator[None]:
    """Wait at the end until the node says of itself what it said before."""

    def conditions() -> dict[str, str]:
        return {
            each.type: each.status
            for each in cluster.core.read_node(cluster.node).status.conditions
        }

    before = conditions()
    try:
        yield
    finally:
        until(
            lambda: conditions() == before or NotYet(conditions()),
            TIMEOUT_SECONDS,
            f"node {cluster.node} to be as before",
        )


def leave_with_the_node(cluster: Cluster, commands: dict[int, str]) -> None:
    """Have the node do things by itself, so many seconds from now."""
    with nodes.shell(cluster.kube, cluster.node, cluster.image) as shell:
        nodes.on_node_later(cluster.kube, shell, commands)


def silence(cluster: Cluster, _: Object) -> None:
    leave_with_the_node(cluster, {2: "systemctl stop kubelet", 90: "systemctl start kubelet"})


def containers_of(pod: Object, kind: str) -> str:
    """A command line for the node that prints the ids of a pod's containers; `kind`: as CRI's."""
    wanted = f'labels."io.kubernetes.pod.uid"=={pod["metadata"]["uid"]}'
    wanted += f',labels."io.cri-containerd.kind"=={kind}'
    return f"ctr --namespace k8s.io containers list --quiet '{wanted}'"


def remove_the_container(cluster: Cluster, pod: Object) -> None:
    """Behind the back of the kubelet and of containerd's part that it talks to."""
    command = (
        f"systemctl stop kubelet; for id in $({containers_of(pod, 'container')}); do "
        "ctr --namespace k8s.io tasks remove --force $id; "
        "ctr --namespace k8s.io containers remove $id; done; "
        "systemctl restart containerd; systemctl start kubelet"
    )
    leave_with_the_node(cluster, {2: command})


def end_all_as_a_restart_does(cluster: Cluster, pod: Object) -> None:
    """The pod's processes and who looks after them, while containerd and the kubelet are down."""
    command = (
        f"sandbox=$({containers_of(pod, 'sandbox')}); systemctl stop kubelet containerd; "
        'pkill --signal KILL --full "^[^ ]*containerd-shim.* $sandbox"; '
        f"{nodes.processes_of(pod['metadata']['uid'])} | xargs kill -9; "
        "systemctl start containerd kubelet"
    )
    leave_with_the_node(cluster, {2: command})


def call_its_memory_short(cluster: Cluster, _: Object) -> None:
    """The kubelet is told to keep nearly all of the node's memory free, and then no more.

    By a soft threshold: a hard one makes the node smaller at once, and the pod is turned away.
    """
    soft = (
        r"evictionSoft: {memory.available: 99%%}\nevictionSoftGracePeriod: {memory.available: 1s}\n"
    )
    keep = f"cp {KUBELET_CONFIG} {KUBELET_CONFIG}.before; printf '{soft}' >> {KUBELET_CONFIG}"
    put_back = f"mv {KUBELET_CONFIG}.before {KUBELET_CONFIG}"
    leave_with_the_node(
        cluster,
        {
            2: f"{keep}; systemctl restart kubelet",
            60: f"{put_back}; systemctl restart kubelet",
        },
    )


# --- The recipes ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recipe:
    """How a pod comes to be as one fixture shows it."""

    step: str
    wanted: Callable[[Object], bool]
    args: Sequence[str] = WORK
    resources: Mapping[str, Mapping[str, str]] = field(
        default_factory=lambda: {"limits": LIMITS, "requests": REQUESTS}
    )
    container: Callable[[Cluster], Object] = lambda _: {}
    neighbour: Callable[[Cluster], Object] | None = None
    spec: Callable[[Cluster], Object] = lambda _: {}
    # What is done, and how the pod is when its time has come.
    then: Callable[[Cluster, Object], None] | None = None
    once: Callable[[Object], bool] = is_running
    within: Callable[[Cluster], AbstractContextManager[None]] = lambda _: contextlib.nullcontext()


def python(code: str) -> Sequence[str]:
    return ("python", "-c", code)


def _never_pushed(cluster: Cluster) -> Object:
    return {"image": f"{cluster.repository}:never-pushed"}


def _proxy_that_is_never_ready(cluster: Cluster) -> Object:
    return {
        "name": PROXY,
        "image": cluster.image,
        "args": WORK,
        "readinessProbe": {"exec": {"command": ["false"]}, "periodSeconds": 1},
    }


RECIPES = {
    "running": Recipe("at_work", is_running),
    "oom_killed": Recipe("eat_memory", has_ended, python("bytearray(2**30)")),
    "exit_code_0": Recipe("leave", has_ended, python("import os; os._exit(0)")),
    "exit_code_3": Recipe("exit_3", has_ended, python("raise SystemExit(3)")),
    "segfault": Recipe("crash", has_ended, python("import ctypes; ctypes.string_at(0)")),
    "start_error": Recipe("no_python", has_ended, ("python-of-another-image", "-c", "pass")),
    "evicted_for_own_storage": Recipe(
        "write_much",
        ended_for("Evicted"),
        ("sh", "-c", f"head -c 128M /dev/zero > /scratch/much; {WORK[-1]}"),
        {
            "limits": {**LIMITS, "ephemeral-storage": "64Mi"},
            "requests": {**REQUESTS, "ephemeral-storage": "64Mi"},
        },
        container=lambda _: {"volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}]},
        spec=lambda _: {"volumes": [{"name": "scratch", "emptyDir": {}}]},
    ),
    "deadline_exceeded": Recipe(
        "dawdle",
        ended_for("DeadlineExceeded"),
        spec=lambda _: {"activeDeadlineSeconds": 5},
    ),
    "drained": Recipe("on_drained_node", disrupted_for("EvictionByEvictionAPI"), then=evict),
    "deleted_by_a_person": Recipe("deleted", ended_by_deletion, then=delete),
    "preempted": Recipe(
        "low_priority",
        disrupted_for("PreemptionByScheduler"),
        resources={"limits": {**LIMITS, SLOT: "1"}, "requests": {**REQUESTS, SLOT: "1"}},
        then=send_a_more_urgent_one,
        within=one_slot,
    ),
    "turned_away": Recipe(
        "late_comer",
        is_turned_away,
        resources={"limits": TOO_MUCH, "requests": TOO_MUCH},
        # Past the scheduler, which would see at once what the node finds out.
        spec=lambda cluster: {"nodeName": cluster.node},
    ),
    "node_removed": Recipe(
        "on_removed_node",
        disrupted_for("DeletionByPodGC"),
        spec=lambda _: {"nodeName": "bulkhead-removed"},
        then=say_that_it_runs,
        once=is_there,
    ),
    "unschedulable": Recipe(
        "too_large",
        finds_no_node,
        resources={"limits": TOO_MUCH, "requests": TOO_MUCH},
        spec=lambda _: {"nodeSelector": {}},
    ),
    "image_not_found": Recipe("no_image", waits_for("ErrImagePull"), container=_never_pushed),
    "image_pull_back_off": Recipe(
        "no_image", waits_for("ImagePullBackOff"), container=_never_pushed
    ),
    "image_name_invalid": Recipe(
        "bad_image",
        waits_for("InvalidImageName"),
        container=lambda _: {"image": "Hello:latest"},
    ),
    "secret_missing": Recipe(
        "no_secret",
        waits_for("CreateContainerConfigError"),
        container=lambda _: {"envFrom": [{"secretRef": {"name": names.DATABASE_SECRET}}]},
    ),
    "neighbour_not_ready": Recipe(
        "with_proxy", runs_beside_one_that_is_not_ready, neighbour=_proxy_that_is_never_ready
    ),
}

DISTURBING = {
    "tainted_node": Recipe(
        "on_tainted_node",
        disrupted_for("DeletionByTaintManager"),
        then=taint,
        within=taints_put_back,
    ),
    "node_silent": Recipe(
        "on_silent_node", is_on_a_silent_node, then=silence, within=node_that_comes_back
    ),
    "container_lost": Recipe(
        "interrupted", has_ended, then=remove_the_container, within=node_that_comes_back
    ),
    "node_restarted": Recipe(
        "interrupted",
        has_ended,
        then=end_all_as_a_restart_does,
        within=node_that_comes_back,
    ),
    "evicted_for_node_pressure": Recipe(
        "bystander",
        ended_for("Evicted"),
        python("held = b'x' * (190 * 2**20); import time; time.sleep(600)"),
        then=call_its_memory_short,
        within=node_that_comes_back,
    ),
}


def job_of(recipe: Recipe, name: str, cluster: Cluster) -> Object:
    container = {
        "name": CONTAINER,
        "image": cluster.image,
        "args": recipe.args,
        "resources": recipe.resources,
        **recipe.container(cluster),
    }
    metadata = {
        "labels": {
            names.CODE_LOCATION_LABEL: LOCATION,
            names.RUN_ID_LABEL: RUN_ID,
            names.STEP_KEY_LABEL: names.label_value(recipe.step),
        },
        "annotations": {names.STEP_KEY_ANNOTATION: recipe.step},
    }
    pod = {
        "automountServiceAccountToken": False,
        "containers": [container, *([recipe.neighbour(cluster)] if recipe.neighbour else [])],
        "nodeSelector": {"kubernetes.io/hostname": cluster.node},
        "restartPolicy": "Never",
        "serviceAccountName": names.STEP_SERVICE_ACCOUNT,
        **recipe.spec(cluster),
    }
    return {
        "metadata": {"name": name, **metadata},
        "spec": {"backoffLimit": 0, "template": {"metadata": metadata, "spec": pod}},
    }


def recorded(recipe: Recipe, name: str, cluster: Cluster) -> Object:
    """The pod of a recipe's Job as it was first seen to be what is wanted.

    Raises:
        NotSeenError: the pod did not reach the state in time.
    """
    pod: Object = {}
    to_do = recipe.then
    with recipe.within(cluster), running_job(job_of(recipe, name, cluster), cluster):
        for event in watch.Watch().stream(
            cluster.core.list_namespaced_pod,
            NAMESPACE,
            label_selector=f"batch.kubernetes.io/job-name={name}",
            timeout_seconds=TIMEOUT_SECONDS,
        ):
            pod = event["raw_object"]
            if to_do and recipe.once(pod):
                to_do(cluster, pod)
                to_do = None
            elif not to_do and recipe.wanted(pod):
                return pod
    raise NotSeenError(
        f"the pod of step {recipe.step} did not become what was wanted within {TIMEOUT_SECONDS} s;"
        f" it was last seen so:\n{json.dumps(pod, indent=2)}"
    )


@contextlib.contextmanager
def running_job(job: Object, cluster: Cluster) -> Iterator[None]:
    cluster.batch.create_namespaced_job(NAMESPACE, job)
    try:
        yield
    finally:
        cluster.batch.delete_namespaced_job(
            job["metadata"]["name"], NAMESPACE, propagation_policy="Background"
        )


@contextlib.contextmanager
def scratch_namespace(cluster: Cluster) -> Iterator[None]:
    """A namespace with the service account of steps, for as long as the recording takes."""
    try:
        cluster.core.create_namespace({"metadata": {"name": NAMESPACE}})
    except ApiException as error:
        if error.status == HTTPStatus.CONFLICT:
            raise SystemExit(
                f"Namespace {NAMESPACE} is there already: a recording is going on, or one was "
                f"broken off. In that case `kubectl delete namespace/{NAMESPACE} "
                f"priorityclass/{URGENT} --ignore-not-found` helps."
            ) from error
        raise
    try:
        account = {"metadata": {"name": names.STEP_SERVICE_ACCOUNT}}
        cluster.core.create_namespaced_service_account(NAMESPACE, account)
        yield
    finally:
        cluster.core.delete_namespace(NAMESPACE)
        only_it = f"metadata.name={NAMESPACE}"
        while cluster.core.list_namespace(field_selector=only_it).items:
            time.sleep(1)


# --- What is kept of it ---------------------------------------------------------------------------

ALL = None
CONTAINER_SHAPE = {
    "args": ALL,
    "image": ALL,
    "imagePullPolicy": ALL,
    "name": ALL,
    "resources": ALL,
}
STATE_SHAPE = {
    "running": ALL,
    "terminated": {
        "exitCode": ALL,
        "finishedAt": ALL,
        "message": ALL,
        "reason": ALL,
        "startedAt": ALL,
    },
    "waiting": ALL,
}
POD_SHAPE = {
    "apiVersion": ALL,
    "kind": ALL,
    "metadata": {
        "annotations": ALL,
        "creationTimestamp": ALL,
        "deletionGracePeriodSeconds": ALL,
        "deletionTimestamp": ALL,
        "generateName": ALL,
        "generation": ALL,
        "labels": {
            "batch.kubernetes.io/job-name": ALL,
            names.CODE_LOCATION_LABEL: ALL,
            names.RUN_ID_LABEL: ALL,
            names.STEP_KEY_LABEL: ALL,
        },
        "name": ALL,
        "namespace": ALL,
        "ownerReferences": ALL,
        "resourceVersion": ALL,
        "uid": ALL,
    },
    "spec": {
        "activeDeadlineSeconds": ALL,
        "automountServiceAccountToken": ALL,
        "containers": CONTAINER_SHAPE,
        "nodeName": ALL,
        "priority": ALL,
        "restartPolicy": ALL,
        "serviceAccountName": ALL,
        "terminationGracePeriodSeconds": ALL,
    },
    "status": {
        "conditions": {
            "lastTransitionTime": ALL,
            "message": ALL,
            "reason": ALL,
            "status": ALL,
            "type": ALL,
        },
        "containerStatuses": {
            "image": ALL,
            "name": ALL,
            "ready": ALL,
            "resources": ALL,
            "restartCount": ALL,
            "started": ALL,
            "state": STATE_SHAPE,
        },
        "message": ALL,
        "observedGeneration": ALL,
        "phase": ALL,
        "qosClass": ALL,
        "reason": ALL,
        "startTime": ALL,
    },
}


def trimmed(value: Any, shape: Mapping[str, Any] | None) -> Any:
    """What a shape keeps of a value; of a list, what it keeps of each."""
    if shape is ALL:
        return value
    if isinstance(value, list):
        return [trimmed(each, shape) for each in value]
    return {key: trimmed(value[key], kept) for key, kept in shape.items() if key in value}


def without_names_of_the_cluster(pod: Object, cluster: Cluster) -> Object:
    text = json.dumps(pod).replace(cluster.repository, REPOSITORY)
    renamed = json.loads(text)
    if "nodeName" in renamed["spec"]:
        renamed["spec"]["nodeName"] = NODE
    return renamed


def written(value: Any, before: str = "", after: str = "") -> str:
    """JSON with sorted keys, each list and object on one line if that has room for it.

    Args:
        value: what is written.
        before: what stands before it on its line, indentation and key.
        after: what stands after it.
    """
    line = f"{before}{json.dumps(value, sort_keys=True)}{after}"
    if len(line) <= LINE_LENGTH or not isinstance(value, dict | list) or not value:
        return line
    indent = " " * (len(before) - len(before.lstrip()) + 2)
    if isinstance(value, dict):
        parts = [(f"{indent}{json.dumps(key)}: ", value[key]) for key in sorted(value)]
    else:
        parts = [(indent, each) for each in value]
    commas = [","] * (len(parts) - 1) + [""]
    lines = [written(part, key, comma) for (key, part), comma in zip(parts, commas, strict=True)]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return "\n".join([f"{before}{opening}", *lines, f"{indent[2:]}{closing}{after}"])


# --- The command ----------------------------------------------------------------------------------


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0],
        epilog=textwrap.fill(
            f"Fixtures: {', '.join(RECIPES)}. Only when named, for they disturb the node: "
            f"{', '.join(DISTURBING)}.",
            LINE_LENGTH,
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "fixtures",
        metavar="NAME",
        nargs="*",
        help="record only these; otherwise all that disturb nobody",
    )
    parser.add_argument(
        "--image", required=True, help="with its registry: one that has Python and a shell"
    )
    parser.add_argument("--node", default=NODE, help="where the pods run (default: %(default)s)")
    parser.add_argument("--kubeconfig", help="its path (default: as kubectl finds it)")
    parser.add_argument("--context", help="a context of it (default: its current one)")
    parsed = parser.parse_args()
    known = {**RECIPES, **DISTURBING}
    unknown = sorted(set(parsed.fixtures) - set(known))
    if unknown:
        parser.error(f"no recipe for {', '.join(unknown)}; there are {', '.join(known)}")
    if "/" not in parsed.image:
        parser.error(f"--image {parsed.image} names no registry, as registry.example/hello:1 does")
    return parsed


def main() -> None:
    chosen = arguments()
    api = config.new_client_from_config(chosen.kubeconfig, chosen.context)
    cluster = Cluster(api, chosen.image, chosen.node)
    with scratch_namespace(cluster):
        for fixture in chosen.fixtures or RECIPES:
            started = time.monotonic()
            job = f"dagster-step-{uuid.uuid5(uuid.UUID(RUN_ID), fixture).hex}"
            recipe = RECIPES.get(fixture) or DISTURBING[fixture]
            pod = trimmed(recorded(recipe, job, cluster), POD_SHAPE)
            text = written(without_names_of_the_cluster(pod, cluster))
            (FIXTURES / f"{fixture}.json").write_text(f"{text}\n")
            print(f"{fixture}: {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
