"""Pods: of tests, of the platform, of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml
from kubernetes import client
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import stream
from kubernetes.stream.ws_client import ERROR_CHANNEL
from tests.e2e.cluster import images
from tests.e2e.waiting import NotYet, until

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tests.e2e.cluster import Kube

LOCATION = "bulkhead.dev/code-location"
RUN_ID = "bulkhead.dev/run-id"
STEP_KEY = "bulkhead.dev/step-key"

RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""Security context of a container that a `restricted` namespace admits."""


def restricted_pod(  # noqa: PLR0917 - called with few, in the order of a sentence
    name: str,
    namespace: str,
    command: Sequence[str],
    labels: Mapping[str, str] | None = None,
    node: str | None = None,
    image: str | None = None,
) -> dict[str, Any]:
    """The manifest of a small pod that a `restricted` namespace admits.

    It runs `command` once, in the image `hello` (which has Python) unless `image` names another,
    on any node unless `node` names one, and mounts no token.
    """
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels or {})},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 1,
            **({"nodeName": node} if node else {}),
            "containers": [
                {
                    "name": "main",
                    "image": image or images()["hello"],
                    "command": list(command),
                    "securityContext": RESTRICTED,
                    "resources": {
                        "requests": {"cpu": "10m", "memory": "32Mi"},
                        "limits": {"cpu": "500m", "memory": "256Mi"},
                    },
                }
            ],
        },
    }


def create(kube: Kube, manifest: Mapping[str, Any]) -> client.V1Pod:
    """Create a pod from its manifest."""
    return kube.core.create_namespaced_pod(manifest["metadata"]["namespace"], manifest)


def running(kube: Kube, namespace: str, name: str, timeout: float = 60) -> client.V1Pod:
    """Wait until a pod runs and is ready; return it."""

    def ready() -> client.V1Pod | NotYet:
        pod = kube.core.read_namespaced_pod(name, namespace)
        conditions = {c.type: c.status for c in pod.status.conditions or []}
        is_ready = conditions.get("Ready") == "True"
        return pod if is_ready else NotYet(describe(pod))

    return until(ready, timeout, f"pod {namespace}/{name} to be ready")


def finished(kube: Kube, namespace: str, name: str, timeout: float = 60) -> str:
    """Wait until a pod has ended; return its phase, `Succeeded` or `Failed`."""

    def ended() -> str | NotYet:
        pod = kube.core.read_namespaced_pod(name, namespace)
        over = pod.status.phase in {"Succeeded", "Failed"}
        return pod.status.phase if over else NotYet(describe(pod))

    return until(ended, timeout, f"pod {namespace}/{name} to end")


def execute(
    kube: Kube, namespace: str, name: str, command: Sequence[str], container: str | None = None
) -> str:
    """Run a command inside a pod; return what it wrote.

    Raises:
        AssertionError: the command could not be started or has failed; with what it wrote.
    """
    # `stream` changes the client that it is given while it runs: other threads must not share it.
    with client.ApiClient(kube.api.configuration) as own:
        session = stream(
            client.CoreV1Api(own).connect_get_namespaced_pod_exec,
            name,
            namespace,
            command=list(command),
            stdin=False,
            stdout=True,
            stderr=True,
            tty=False,
            _preload_content=False,
            **({"container": container} if container else {}),
        )
        session.run_forever(timeout=60)
        outcome = yaml.safe_load(session.read_channel(ERROR_CHANNEL)) or {"status": "no answer"}
        said = session.read_all()
        session.close()
    if outcome["status"] != "Success":
        where = f"{namespace}/{name}: {' '.join(command)}"
        raise AssertionError(f"{where}: {outcome.get('message', outcome)}\n{said}")
    return said


def labelled(kube: Kube, namespace: str, **labels: str | None) -> list[client.V1Pod]:
    """Pods of a namespace whose labels (`LOCATION` and so on, `None`: absent) are these."""
    selector = ",".join(
        f"!{key}" if value is None else f"{key}={value}" for key, value in labels.items()
    )
    return kube.core.list_namespaced_pod(namespace, label_selector=selector).items


def of_component(kube: Kube, namespace: str, release: str, component: str) -> list[client.V1Pod]:
    """Pods of one part of a Helm release."""
    return labelled(
        kube,
        namespace,
        **{
            "app.kubernetes.io/instance": release,
            "app.kubernetes.io/component": component,
        },
    )


def of_deployment(kube: Kube, namespace: str, name: str) -> list[client.V1Pod]:
    """Pods that a Deployment selects."""
    wanted = kube.apps.read_namespaced_deployment(name, namespace).spec.selector.match_labels
    return labelled(kube, namespace, **wanted)


def of_run(kube: Kube, namespace: str, run_id: str) -> list[client.V1Pod]:
    """Run pod and step pods of a run."""
    return labelled(kube, namespace, **{RUN_ID: run_id})


def run_pods(kube: Kube, namespace: str, run_id: str) -> list[client.V1Pod]:
    """The pods that drive a run; one, unless it was resumed."""
    return [p for p in of_run(kube, namespace, run_id) if STEP_KEY not in p.metadata.labels]


def step_pods(kube: Kube, namespace: str, run_id: str) -> list[client.V1Pod]:
    """The pods in which a run's steps are (and were) executed."""
    return [p for p in of_run(kube, namespace, run_id) if STEP_KEY in p.metadata.labels]


def alive(there: list[client.V1Pod]) -> list[str]:
    """Which pods are at work or still to come, a line each."""
    return [describe(pod) for pod in there if not _is_over(pod)]


def at_rest(kube: Kube, namespace: str, run_id: str) -> None:
    """Wait until nothing of a run is alive."""
    until(
        lambda: not (left := alive(of_run(kube, namespace, run_id))) or NotYet(left),
        60,
        f"the pods of run {run_id} to end",
    )


def _is_over(pod: client.V1Pod) -> bool:
    """Whether a pod has ended; its phase may follow its containers by some seconds."""
    statuses = pod.status.container_statuses or []
    have_ended = bool(statuses) and all(each.state.terminated for each in statuses)
    return have_ended or pod.status.phase in {"Succeeded", "Failed"}


def step_pod(
    kube: Kube, namespace: str, run_id: str, step_key: str, timeout: float = 120
) -> client.V1Pod:
    """Wait until the pod of a step runs its container; return it."""

    def started() -> client.V1Pod | NotYet:
        there = step_pods(kube, namespace, run_id)
        for pod in there:
            if pod.metadata.annotations.get(STEP_KEY) == step_key and pod.status.phase == "Running":
                return pod
        return NotYet([describe(pod) for pod in there])

    return until(started, timeout, f"the pod of step {step_key} of run {run_id} to run")


def identities(pods: Iterable[client.V1Pod]) -> dict[str, tuple[str, int]]:
    """UID and number of container restarts of each pod: equal means that nothing restarted."""
    return {
        f"{pod.metadata.namespace}/{pod.metadata.name}": (
            pod.metadata.uid,
            sum(
                s.restart_count
                for s in [
                    *(pod.status.container_statuses or []),
                    *(pod.status.init_container_statuses or []),
                ]
            ),
        )
        for pod in pods
    }


def long_lived(kube: Kube, *namespaces: str) -> dict[str, tuple[str, int]]:
    """`identities` of the pods that stay: not those of Jobs (runs, steps, migrations)."""
    return identities(
        pod
        for namespace in namespaces
        for pod in kube.core.list_namespaced_pod(namespace).items
        if not any(o.kind == "Job" for o in pod.metadata.owner_references or [])
        and not pod.metadata.deletion_timestamp
    )


def gone(kube: Kube, namespace: str, name: str, timeout: float = 60) -> None:
    """Wait until a pod is no more."""

    def absent() -> bool | NotYet:
        try:
            return NotYet(describe(kube.core.read_namespaced_pod(name, namespace)))
        except ApiException as error:
            if error.status == 404:
                return True
            raise

    until(absent, timeout, f"pod {namespace}/{name} to be gone")


def termination(pod: client.V1Pod) -> client.V1ContainerStateTerminated | None:
    """How the pod's first container ended; `None` while it has not."""
    for status in pod.status.container_statuses or []:
        return status.state.terminated
    return None


def describe(pod: client.V1Pod) -> str:
    """One line for messages: name, phase and the reason of each container's state."""
    states = []
    for status in [
        *(pod.status.init_container_statuses or []),
        *(pod.status.container_statuses or []),
    ]:
        state = status.state.waiting or status.state.terminated
        states.append(f"{status.name}: {state.reason if state else 'running'}")
    leaving = " (leaving)" if pod.metadata.deletion_timestamp else ""
    return f"{pod.metadata.name} {pod.status.phase}{leaving} [{', '.join(states)}]"


def events(kube: Kube, namespace: str, kind: str, name: str) -> list[client.CoreV1Event]:
    """Events about one object."""
    selector = f"involvedObject.kind={kind},involvedObject.name={name}"
    return kube.core.list_namespaced_event(namespace, field_selector=selector).items
