"""What is done to a node: drained, and its kubelet stopped and started.

A privileged pod does it on the node itself, through systemd, as a person with a shell would.
"""

from __future__ import annotations

import shlex
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kubernetes import client
from tests.e2e import pods
from tests.e2e.cluster import images
from tests.e2e.waiting import NotYet, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.cluster import Kube

NAMESPACE = "kube-system"


@contextmanager
def cordoned(kube: Kube, node: str) -> Iterator[None]:
    """Keep new pods off a node."""
    kube.core.patch_node(node, {"spec": {"unschedulable": True}})
    try:
        yield
    finally:
        kube.core.patch_node(node, {"spec": {"unschedulable": False}})


@contextmanager
def out_of_service(kube: Kube, node: str) -> Iterator[None]:
    """Say that a node that is not ready is off: the cluster gives its pods up.

    https://kubernetes.io/docs/concepts/cluster-administration/node-shutdown/#non-graceful-node-shutdown
    """
    taint = {"key": "node.kubernetes.io/out-of-service", "value": "off", "effect": "NoExecute"}

    def others() -> list[Any]:
        taints = kube.core.read_node(node).spec.taints or []
        return [each for each in taints if each.key != taint["key"]]

    kube.core.patch_node(node, {"spec": {"taints": [*others(), taint]}})
    try:
        yield
    finally:
        kube.core.patch_node(node, {"spec": {"taints": others()}})


def evict(kube: Kube, name: str, namespace: str) -> None:
    """Evict a pod as `kubectl drain` does."""
    kube.core.create_namespaced_pod_eviction(
        name,
        namespace,
        client.V1Eviction(metadata=client.V1ObjectMeta(name=name, namespace=namespace)),
    )


@contextmanager
def shell(kube: Kube, node: str, image: str | None = None) -> Iterator[str]:
    """A pod with a root shell on a node; its name. `image`: of the pod, `hello` unless told."""
    name = f"e2e-shell-{uuid.uuid4().hex[:6]}"
    kube.core.create_namespaced_pod(
        NAMESPACE,
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {
                "nodeName": node,
                "hostPID": True,
                "restartPolicy": "Never",
                "terminationGracePeriodSeconds": 0,
                "tolerations": [{"operator": "Exists"}],
                "containers": [
                    {
                        "name": "main",
                        "image": image or images()["hello"],
                        "command": ["sleep", "900"],
                        "securityContext": {"privileged": True, "runAsUser": 0},
                    }
                ],
            },
        },
    )
    try:
        pods.running(kube, NAMESPACE, name)
        yield name
    finally:
        kube.core.delete_namespaced_pod(name, NAMESPACE, grace_period_seconds=0)


def on_node(kube: Kube, shell_pod: str, command: str) -> str:
    """Run a command line as root on the node of a `shell`."""
    enter = ["nsenter", "--target=1", "--mount", "--uts", "--ipc", "--net", "--pid", "--"]
    return pods.execute(kube, NAMESPACE, shell_pod, [*enter, "sh", "-c", command])


def processes_of(pod_uid: str) -> str:
    """A command line for a node's root that prints the process ids of a pod, one a line."""
    # In the name of a pod's cgroup its id may have another sign for each dash.
    named = pod_uid.replace("-", "[-_]")
    return f'grep -l "{named}" /proc/[0-9]*/cgroup | cut -d/ -f3'


def on_node_later(kube: Kube, shell_pod: str, commands: dict[int, str]) -> None:
    """Leave commands with the node of a `shell`, which runs each by itself, so many seconds later.

    A node whose kubelet is down can be told nothing. Without an accuracy of its own, a timer of
    systemd may be a minute late.
    """
    timer = "systemd-run --timer-property=AccuracySec=100ms --on-active={} sh -c {}"
    on_node(
        kube,
        shell_pod,
        " && ".join(
            timer.format(seconds, shlex.quote(command)) for seconds, command in commands.items()
        ),
    )


def ready(kube: Kube, node: str, *, wanted: bool, timeout: float) -> None:
    """Wait until the API server takes a node for ready, or for not ready."""

    def as_wanted() -> bool | NotYet:
        conditions = kube.core.read_node(node).status.conditions
        (status,) = [c.status for c in conditions if c.type == "Ready"]
        return (status == "True") is wanted or NotYet(status)

    until(as_wanted, timeout, f"node {node} to be {'ready' if wanted else 'not ready'}")
