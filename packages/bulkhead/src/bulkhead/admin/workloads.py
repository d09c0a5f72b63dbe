"""Why a pod, a Deployment or a StatefulSet is not ready, in one sentence."""

from collections.abc import Iterable, Sequence

from bulkhead.kube.objects import Object, condition, labels, part, parts
from bulkhead.kube.pods import IMAGE_REASONS, START_REASONS


def is_available(workload: Object) -> bool:
    """Whether a Deployment or StatefulSet has as many ready pods as it requests."""
    replicas = workload["spec"].get("replicas", 1)
    status = part(workload, "status")
    up_to_date = status.get("observedGeneration", 0) >= workload["metadata"].get("generation", 0)
    return up_to_date and (status.get("readyReplicas") or 0) >= replicas


def why_unavailable(workload: Object, pods: Sequence[Object]) -> str:
    """Return the reason why a Deployment or StatefulSet is not available.

    Args:
        workload: The Deployment or StatefulSet.
        pods: Pods of its namespace; pods of other workloads are ignored.
    """
    failure = condition(workload, "ReplicaFailure")
    if failure and failure["status"] == "True":
        return f"its pods cannot be created: {failure['message']}"
    reasons = [reason for pod in pods_of(workload, pods) if (reason := why_not_ready(pod))]
    if reasons:
        return reasons[0]
    replicas = workload["spec"].get("replicas", 1)
    ready = part(workload, "status").get("readyReplicas") or 0
    return f"{ready} of {replicas} pods are ready"


def pods_of(workload: Object, pods: Iterable[Object]) -> list[Object]:
    """Return the pods that a Deployment's or StatefulSet's selector matches, oldest first."""
    selector = part(workload, "spec", "selector", "matchLabels")
    found = [pod for pod in pods if selector.items() <= labels(pod).items()]
    return sorted(found, key=lambda pod: pod["metadata"].get("creationTimestamp", ""))


def why_not_ready(pod: Object) -> str | None:
    """Return the reason why a pod is not ready; None if it is ready or is being deleted."""
    name = pod["metadata"]["name"]
    if pod["metadata"].get("deletionTimestamp"):
        return None
    scheduled = condition(pod, "PodScheduled") or {}
    if scheduled.get("status") == "False":
        return f"pod {name} cannot be scheduled: {scheduled.get('message', 'no reason given')}"
    sidecars = parts(pod, "status", "initContainerStatuses")
    for container in [*sidecars, *parts(pod, "status", "containerStatuses")]:
        reason = _why_waiting(pod, container)
        if reason is not None:
            return reason
    ready = condition(pod, "Ready") or {}
    if ready.get("status") == "True":
        return None
    initialized = condition(pod, "Initialized") or {}
    if initialized.get("status") == "False":
        message = initialized.get("message", "")
        return f"the init containers of pod {name} have not finished ({message})"
    message = ready.get("message", "no reason given")
    return f"pod {name} is not ready ({message})"


def _why_waiting(pod: Object, container: Object) -> str | None:
    waiting = part(container, "state", "waiting")
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
        last = part(container, "lastState", "terminated")
        last_reason = last.get("reason", "Error")
        return (
            f"container {container['name']} of pod {name} keeps restarting ({last_reason}, exit "
            f"code {last.get('exitCode', 'unknown')}, {container.get('restartCount', 0)} "
            f"restarts). See `kubectl -n {namespace} logs {name} -c {container['name']} "
            "--previous`"
        )
    return None
