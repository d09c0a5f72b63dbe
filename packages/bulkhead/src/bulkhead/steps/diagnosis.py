"""Reads a pod and says what became of the step in it.

The order in which causes are checked matters. A pod that was evicted or deleted also has a
container that ended by a signal, and that signal is not the cause.
"""

import re
from dataclasses import replace
from typing import Final

from bulkhead.kube import quantities
from bulkhead.kube.pods import (
    IMAGE_REASONS,
    LOST_REASONS,
    NEVER_RAN_REASONS,
    START_REASONS,
    Ending,
    StepPod,
)
from bulkhead.steps.verdicts import Cause, FailedInitContainer, Verdict

# Shells and container runtimes report a process that a signal ended as 128 plus its number.
_SIGNAL_BASE: Final = 128
_LAST_SIGNAL: Final = 64

_OWN_STORAGE: Final = re.compile(
    r"ephemeral local storage usage exceeds|exceeded its local ephemeral storage limit"
    r"|Usage of EmptyDir volume"
)
# The node ended the pod's own sandbox before the container could join its namespaces; seen on nodes
# that start many pods at once.
_SANDBOX_GONE: Final = re.compile(r"/proc/0/ns/")

_NODE_LOST_DISRUPTIONS: Final = frozenset({"DeletionByTaintManager", "DeletionByPodGC"})
_EVICTIONS: Final = frozenset({"EvictionByEvictionAPI", "TerminationByKubelet"})
_NODE_SHUTDOWN_REASONS: Final = frozenset({"Terminated", "NodeShutdown", "Shutdown"})


def of_ended_pod(pod: StepPod, step: str) -> Verdict:
    """Return what became of a step whose pod has ended without reporting a result.

    Args:
        pod: as last seen; `pod.is_over` is true.
        step: the step's key; empty for a run's own pod.
    """
    known = _facts(pod, step)
    ending = pod.ending
    if pod.reason == "DeadlineExceeded":
        return replace(known, cause=Cause.DEADLINE, time_limit=pod.deadline_seconds)
    if pod.reason == "Evicted" and _OWN_STORAGE.search(pod.message):
        limit = pod.limit("ephemeral-storage")
        return replace(
            known,
            cause=Cause.STORAGE,
            detail=pod.message,
            storage_limit=None if limit is None else quantities.parse_bytes(limit),
        )
    if ending and ending.reason == "OOMKilled" and not pod.is_being_deleted:
        return replace(known, cause=Cause.OUT_OF_MEMORY)
    disruption = _disruption(pod, known)
    if disruption:
        return disruption
    return _ended_container(ending, known) if ending else _failed_pod(pod, known)


def of_waiting_pod(pod: StepPod, step: str) -> Verdict | None:
    """Return what keeps a step's pod from starting or going on; None where nothing does."""
    known = _facts(pod, step)
    if pod.node_is_lost:
        return replace(known, cause=Cause.NODE_SILENT)
    if pod.unschedulable:
        return _unschedulable(pod, known)
    if not pod.waiting:
        return None
    reason, message = pod.waiting
    known = replace(known, reason=reason or None, detail=message)
    if reason in IMAGE_REASONS:
        return replace(known, cause=Cause.IMAGE, image=pod.image)
    if reason in START_REASONS:
        return replace(known, cause=Cause.CANNOT_START)
    # Most often the image is being pulled. It can also be a volume that will never be there.
    return replace(known, cause=Cause.NEVER_STARTED)


def _facts(pod: StepPod, step: str) -> Verdict:
    """Return a verdict with all that the pod tells; its cause is only a placeholder."""
    ending = pod.ending
    cpu = pod.limit("cpu")
    known = Verdict(
        Cause.EXIT_CODE,
        step,
        pod=pod.name,
        namespace=pod.namespace,
        node=pod.node,
        memory_limit=pod.memory_limit,
        cpu_limit=None if cpu is None else quantities.parse(cpu),
    )
    if ending is None:
        return known
    return replace(
        known,
        exit_code=ending.exit_code,
        reason=ending.reason or None,
        elapsed=ending.seconds,
        finished_at=ending.finished_at,
    )


def _unschedulable(pod: StepPod, known: Verdict) -> Verdict:
    memory, cpu = pod.request("memory"), pod.request("cpu")
    return replace(
        known,
        cause=Cause.UNSCHEDULABLE,
        detail=pod.unschedulable or "",
        memory_request=None if memory is None else quantities.parse_bytes(memory),
        cpu_request=None if cpu is None else quantities.parse(cpu),
    )


def _disruption(pod: StepPod, known: Verdict) -> Verdict | None:
    """Return what the cluster did to the pod, if it did something."""
    reason, message = pod.disruption or ("", "")
    if reason == "PreemptionByScheduler":
        return replace(known, cause=Cause.PREEMPTED, detail=message)
    if reason in _NODE_LOST_DISRUPTIONS or pod.reason in _NODE_SHUTDOWN_REASONS or pod.node_is_lost:
        return replace(known, cause=Cause.NODE_LOST, detail=message or pod.message)
    if pod.reason == "Evicted" or reason in _EVICTIONS:
        return replace(known, cause=Cause.EVICTED, detail=pod.message or message)
    if pod.phase == "Failed" and pod.ending is None and pod.reason:
        # The node rejected it after all: OutOfmemory, UnexpectedAdmissionError, NodeAffinity.
        return replace(known, cause=Cause.EVICTED, reason=pod.reason, detail=pod.message)
    if pod.is_being_deleted or (pod.is_gone and pod.ending is None):
        return replace(known, cause=Cause.DELETED)
    return None


def _failed_pod(pod: StepPod, known: Verdict) -> Verdict:
    """Return why a pod failed whose step container never ran."""
    if pod.failed_init_container:
        failed = FailedInitContainer(*pod.failed_init_container)
        return replace(known, cause=Cause.CANNOT_START, init_container=failed)
    return replace(known, cause=Cause.EXIT_CODE, detail=pod.message or pod.reason)


def _ended_container(ending: Ending, known: Verdict) -> Verdict:
    number = ending.exit_code - _SIGNAL_BASE
    if ending.reason in NEVER_RAN_REASONS:
        if _SANDBOX_GONE.search(ending.message):
            return replace(known, cause=Cause.EVICTED, detail=ending.message, exit_code=None)
        return replace(known, cause=Cause.CANNOT_START, detail=ending.message)
    if ending.reason in LOST_REASONS:
        return replace(known, cause=Cause.NODE_LOST, detail=ending.message)
    if ending.exit_code == 0:
        return replace(known, cause=Cause.SILENT)
    if 0 < number <= _LAST_SIGNAL:
        return replace(known, cause=Cause.SIGNAL, signal=number)
    return replace(known, cause=Cause.EXIT_CODE)
