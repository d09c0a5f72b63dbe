"""Why a pod, a Deployment or a StatefulSet is not ready, in words that lead somewhere."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

Object = Mapping[str, Any]

_PULL_REASONS: Final = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName"})
_CONFIG_REASONS: Final = frozenset({"CreateContainerConfigError", "CreateContainerError"})


def is_available(workload: Object) -> bool:
    """Whether a Deployment or StatefulSet has as many ready pods as it asks for."""
    wanted = workload["spec"].get("replicas", 1)
    status = workload.get("status") or {}
    up_to_date = status.get("observedGeneration", 0) >= workload["metadata"].get("generation", 0)
    return up_to_date and (status.get("readyReplicas") or 0) >= wanted


def why_unavailable(workload: Object, pods: Sequence[Object]) -> str:
    """Say why a Deployment or StatefulSet is not available.

    Args:
        workload: The Deployment or StatefulSet.
        pods: Pods of its namespace; those of others are left out.
    """
    conditions = (workload.get("status") or {}).get("conditions") or []
    for condition in conditions:
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return f"its pods cannot be made: {condition['message']}"
    reasons = [why for pod in pods_of(workload, pods) if (why := why_not_ready(pod))]
    if reasons:
        return reasons[0]
    wanted = workload["spec"].get("replicas", 1)
    ready = (workload.get("status") or {}).get("readyReplicas") or 0
    return f"{ready} of {wanted} pods are ready"


def pods_of(workload: Object, pods: Iterable[Object]) -> list[Object]:
    """Return the pods that a Deployment's or StatefulSet's selector takes in, oldest first."""
    selector = (workload["spec"].get("selector") or {}).get("matchLabels") or {}
    found = [
        pod for pod in pods if selector.items() <= (pod["metadata"].get("labels") or {}).items()
    ]
    return sorted(found, key=lambda pod: pod["metadata"].get("creationTimestamp", ""))


def why_not_ready(pod: Object) -> str | None:
    """Say why a pod is not ready; None where it is, or where it is on its way out."""
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
        why = _why_waiting(pod, container)
        if why is not None:
            return why
    if conditions.get("Ready", {}).get("status") == "True":
        return None
    if conditions.get("Initialized", {}).get("status") == "False":
        message = conditions["Initialized"].get("message", "")
        return f"pod {name} is still at its init containers ({message})"
    unready = conditions.get("Ready", {}).get("message", "no reason given")
    return f"pod {name} is not ready ({unready})"


def _why_waiting(pod: Object, container: Object) -> str | None:
    waiting = (container.get("state") or {}).get("waiting")
    if not waiting:
        return None
    name, namespace = pod["metadata"]["name"], pod["metadata"].get("namespace", "default")
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    if reason in _PULL_REASONS:
        return f"the image {container['image']} of pod {name} cannot be pulled: {message or reason}"
    if reason in _CONFIG_REASONS:
        return f"container {container['name']} of pod {name} cannot be made: {message or reason}"
    if reason == "CrashLoopBackOff":
        last = (container.get("lastState") or {}).get("terminated") or {}
        ended = last.get("reason", "Error")
        return (
            f"container {container['name']} of pod {name} ends again and again ({ended}, exit code "
            f"{last.get('exitCode', 'unknown')}, {container.get('restartCount', 0)} restarts); see "
            f"`kubectl -n {namespace} logs {name} -c {container['name']} --previous`"
        )
    return None
