"""Why a pod, a Deployment or a StatefulSet is not ready, in one sentence."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bulkhead.kube.pods import IMAGE_REASONS, START_REASONS

Object = Mapping[str, Any]


def is_available(workload: Object) -> bool:
    """Whether a Deployment or StatefulSet has as many ready pods as it requests."""
    replicas = workload["spec"].get("replicas", 1)
    status = workload.get("status") or {}
    up_to_date = status.get("observedGeneration", 0) >= workload["metadata"].get("generation", 0)
    return up_to_date and (status.get("readyReplicas") or 0) >= replicas


def why_unavailable(workload: Object, pods: Sequence[Object]) -> str:
    """Return the reason why a Deployment or StatefulSet is not available.

    Args:
        workload: The Deployment or StatefulSet.
        pods: Pods of its namespace; pods of other workloads are ignored.
    """
    conditions = (workload.get("status") or {}).get("conditions") or []
    for condition in conditions:
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return f"its pods cannot be created: {condition['message']}"
    reasons = [reason for pod in pods_of(workload, pods) if (reason := why_not_ready(pod))]
    if reasons:
        return reasons[0]
    replicas = workload["spec"].get("replicas", 1)
    ready = (workload.get("status") or {}).get("readyReplicas") or 0
    return f"{ready} of {replicas} pods are ready"


def pods_of(workload: Object, pods: Iterable[Object]) -> list[Object]:
    """Return the pods that a Deployment's or StatefulSet's selector matches, oldest first."""
    selector = (workload["spec"].get("selector") or {}).get("matchLabels") or {}
    found = [
        pod for pod in pods if selector.items() <= (pod["metadata"].get("labels") or {}).items()
    ]
    return sorted(found, key=lambda pod: pod["metadata"].get("creationTimestamp", ""))


def why_not_ready(pod: Object) -> str | None:
    """Return the reason why a pod is not ready; None if it is ready or is being deleted."""
    name = pod["metadata"]["name"]
    if pod["metadata"].get("deletionTimestamp"):
        return None
    status = pod.get("status") or {}
    conditions = {each["type"]: each for each in status.get("conditions") or []}
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return f"pod {name} cannot be scheduled: {scheduled.get('message', 'no reason given')}"
    sidecars = status.get("initContainerStatuses") or []
    for container in [*sidecars, *(status.get("containerStatuses") or [])]:
        reason = _why_waiting(pod, container)
        if reason is not None:
            return reason
    if conditions.get("Ready", {}).get("status") == "True":
        return None
    if conditions.get("Initialized", {}).get("status") == "False":
        message = conditions["Initialized"].get("message", "")
        return f"the init containers of pod {name} have not finished ({message})"
    message = conditions.get("Ready", {}).get("message", "no reason given")
    return f"pod {name} is not ready ({message})"


def _why_waiting(pod: Object, container: Object) -> str | None:
    waiting = (container.get("state") or {}).get("waiting")
    if not waiting:
        return None
    name, namespace = pod["metadata"]["name"], pod["metadata"].get("namespace", "default")
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    if reason in IMAGE_REASONS:
        return f"the image {container['image']} of pod {name} cannot be pulled: {message or reason}"
    if reason in START_REASONS:
        details = f": {message}" if message else ""
        return f"container {container['name']} of pod {name} cannot start ({reason}){details}"
    if reason == "CrashLoopBackOff":
        last = (container.get("lastState") or {}).get("terminated") or {}
        last_reason = last.get("reason", "Error")
        return (
            f"container {container['name']} of pod {name} keeps restarting ({last_reason}, exit "
            f"code {last.get('exitCode', 'unknown')}, {container.get('restartCount', 0)} "
            f"restarts). See `kubectl -n {namespace} logs {name} -c {container['name']} "
            "--previous`"
        )
    return None
