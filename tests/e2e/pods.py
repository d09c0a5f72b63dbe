"""Pods: of tests, of the platform, of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml
from tests.e2e.cluster import ApiException, images, listed, status_of
from tests.e2e.waiting import NotYet, until

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tests.e2e.cluster import Event, Kube, Pod, Termination

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

    It runs `command` once and mounts no token. The default image is `hello`, which has Python.
    Without `node` it may run on any node.
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


def create(kube: Kube, manifest: Mapping[str, Any]) -> Pod:
    """Create a pod from its manifest."""
    return kube.core.create_namespaced_pod(manifest["metadata"]["namespace"], manifest)


def running(kube: Kube, namespace: str, name: str, timeout: float = 60) -> Pod:
    """Wait until a pod runs and is ready; return it."""

    def ready() -> Pod | NotYet:
        pod = kube.core.read_namespaced_pod(name, namespace)
        conditions = {c.type: c.status for c in listed(pod.status.conditions)}
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
    """Run a command inside a pod; return its output.

    Raises:
        AssertionError: the command could not be started, or failed; with its output.
    """
    output, status = kube.execute(namespace, name, command, container)
    outcome = yaml.safe_load(status) or {"status": "no answer"}
    if outcome["status"] != "Success":
        where = f"{namespace}/{name}: {' '.join(command)}"
        raise AssertionError(f"{where}: {outcome.get('message', outcome)}\n{output}")
    return output


def labelled(kube: Kube, namespace: str, **labels: str | None) -> list[Pod]:
    """Pods of a namespace whose labels (`LOCATION` and so on, `None`: absent) are these."""
    selector = ",".join(
        f"!{key}" if value is None else f"{key}={value}" for key, value in labels.items()
    )
    return kube.core.list_namespaced_pod(namespace, label_selector=selector).items


def of_component(kube: Kube, namespace: str, release: str, component: str) -> list[Pod]:
    """Pods of one part of a Helm release."""
    return labelled(
        kube,
        namespace,
        **{
            "app.kubernetes.io/instance": release,
            "app.kubernetes.io/component": component,
        },
    )


def of_deployment(kube: Kube, namespace: str, name: str) -> list[Pod]:
    """Pods that a Deployment selects."""
    wanted = kube.apps.read_namespaced_deployment(name, namespace).spec.selector.match_labels
    return labelled(kube, namespace, **wanted)


def of_run(kube: Kube, namespace: str, run_id: str) -> list[Pod]:
    """Run pod and step pods of a run."""
    return labelled(kube, namespace, **{RUN_ID: run_id})


def run_pods(kube: Kube, namespace: str, run_id: str) -> list[Pod]:
    """The pods that execute a run; one, unless the run was resumed."""
    return [p for p in of_run(kube, namespace, run_id) if STEP_KEY not in p.metadata.labels]


def step_pods(kube: Kube, namespace: str, run_id: str) -> list[Pod]:
    """The pods in which a run's steps are (and were) executed."""
    return [p for p in of_run(kube, namespace, run_id) if STEP_KEY in p.metadata.labels]


def alive(there: list[Pod]) -> list[str]:
    """The pods that run or may still start, a line each."""
    return [describe(pod) for pod in there if not _is_over(pod)]


def at_rest(kube: Kube, namespace: str, run_id: str) -> None:
    """Wait until all pods of a run have ended."""
    until(
        lambda: not (left := alive(of_run(kube, namespace, run_id))) or NotYet(left),
        60,
        f"the pods of run {run_id} to end",
    )


def _is_over(pod: Pod) -> bool:
    """Whether a pod has ended; its phase may change some seconds after its containers end."""
    statuses = listed(pod.status.container_statuses)
    have_ended = bool(statuses) and all(each.state.terminated for each in statuses)
    return have_ended or pod.status.phase in {"Succeeded", "Failed"}


def step_pod(kube: Kube, namespace: str, run_id: str, step_key: str, timeout: float = 120) -> Pod:
    """Wait until the pod of a step runs its container; return it."""

    def started() -> Pod | NotYet:
        there = step_pods(kube, namespace, run_id)
        for pod in there:
            if pod.metadata.annotations.get(STEP_KEY) == step_key and pod.status.phase == "Running":
                return pod
        return NotYet([describe(pod) for pod in there])

    return until(started, timeout, f"the pod of step {step_key} of run {run_id} to run")


def identities(pods: Iterable[Pod]) -> dict[str, tuple[str, int]]:
    """UID and number of container restarts of each pod: equal means that nothing restarted."""
    return {
        f"{pod.metadata.namespace}/{pod.metadata.name}": (
            pod.metadata.uid,
            sum(
                s.restart_count
                for s in [
                    *listed(pod.status.container_statuses),
                    *listed(pod.status.init_container_statuses),
                ]
            ),
        )
        for pod in pods
    }


def long_lived(kube: Kube, *namespaces: str) -> dict[str, tuple[str, int]]:
    """`identities` of all pods except those of Jobs (runs, steps, migrations)."""
    return identities(
        pod
        for namespace in namespaces
        for pod in kube.core.list_namespaced_pod(namespace).items
        if not any(o.kind == "Job" for o in listed(pod.metadata.owner_references))
        and not pod.metadata.deletion_timestamp
    )


def gone(kube: Kube, namespace: str, name: str, timeout: float = 60) -> None:
    """Wait until a pod does not exist any more."""

    def absent() -> bool | NotYet:
        try:
            return NotYet(describe(kube.core.read_namespaced_pod(name, namespace)))
        except ApiException as error:
            if status_of(error) == 404:
                return True
            raise

    until(absent, timeout, f"pod {namespace}/{name} to be gone")


def has_container_ended(pod: Pod) -> bool:
    """Whether the pod's first container has ended."""
    statuses = pod.status.container_statuses
    return bool(statuses and statuses[0].state.terminated)


def container_end(pod: Pod) -> Termination:
    """How the pod's first container ended."""
    assert has_container_ended(pod), describe(pod)
    return pod.status.container_statuses[0].state.terminated


def describe(pod: Pod) -> str:
    """One line for messages: name, phase and the reason of each container's state."""
    states: list[str] = []
    for status in [
        *listed(pod.status.init_container_statuses),
        *listed(pod.status.container_statuses),
    ]:
        state = status.state.waiting or status.state.terminated
        states.append(f"{status.name}: {state.reason if state else 'running'}")
    deleted = " (being deleted)" if pod.metadata.deletion_timestamp else ""
    return f"{pod.metadata.name} {pod.status.phase}{deleted} [{', '.join(states)}]"


def events(kube: Kube, namespace: str, kind: str, name: str) -> list[Event]:
    """Events about one object."""
    selector = f"involvedObject.kind={kind},involvedObject.name={name}"
    return kube.core.list_namespaced_event(namespace, field_selector=selector).items
