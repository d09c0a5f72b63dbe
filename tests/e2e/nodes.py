"""Actions on a node: drain it, stop and start its kubelet, run commands on it.

Commands run in a privileged pod on the node, as in a person's root shell.
"""

from __future__ import annotations

import shlex
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.e2e import pods
from tests.e2e.cluster import images, listed
from tests.e2e.waiting import NotYet, until

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.e2e.cluster import Kube

NAMESPACE = "kube-system"


@contextmanager
def cordoned(kube: Kube, node: str) -> Generator[None]:
    """Keep new pods off a node."""
    kube.core.patch_node(node, {"spec": {"unschedulable": True}})
    try:
        yield
    finally:
        kube.core.patch_node(node, {"spec": {"unschedulable": False}})


@contextmanager
def out_of_service(kube: Kube, node: str) -> Generator[None]:
    """Mark a node that is not ready as out of service: the cluster deletes its pods.

    https://kubernetes.io/docs/concepts/cluster-administration/node-shutdown/#non-graceful-node-shutdown
    """
    taint = {"key": "node.kubernetes.io/out-of-service", "value": "off", "effect": "NoExecute"}

    def others() -> list[Any]:
        taints = listed(kube.core.read_node(node).spec.taints)
        return [each for each in taints if each.key != taint["key"]]

    kube.core.patch_node(node, {"spec": {"taints": [*others(), taint]}})
    try:
        yield
    finally:
        kube.core.patch_node(node, {"spec": {"taints": others()}})


def evict(kube: Kube, name: str, namespace: str) -> None:
    """Evict a pod as `kubectl drain` does."""
    eviction = {"metadata": {"name": name, "namespace": namespace}}
    kube.core.create_namespaced_pod_eviction(name, namespace, eviction)


@contextmanager
def shell(kube: Kube, node: str, image: str | None = None) -> Generator[str]:
    """A pod with a root shell on a node; yields its name. The default image is `hello`."""
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
    """A command line for a node's root that prints the process ids of a pod, one per line."""
    # A cgroup's name may have underscores in place of the dashes of the pod's UID.
    named = pod_uid.replace("-", "[-_]")
    return f'grep -l "{named}" /proc/[0-9]*/cgroup | cut -d/ -f3'


def on_node_later(kube: Kube, shell_pod: str, commands: dict[int, str]) -> None:
    """Schedule commands on the node of a `shell`: for each, the delay in seconds and the command.

    The node runs them without its kubelet. A systemd timer without `AccuracySec` may be a minute
    late.
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
    """Wait until the API server reports a node as ready, or as not ready."""

    def as_wanted() -> bool | NotYet:
        conditions = kube.core.read_node(node).status.conditions
        (status,) = [c.status for c in conditions if c.type == "Ready"]
        return (status == "True") is wanted or NotYet(status)

    until(as_wanted, timeout, f"node {node} to be {'ready' if wanted else 'not ready'}")
