"""What became of a step's pod, in one sentence for people and in facts for machines.

The order in which causes are looked for matters: a pod that was evicted or deleted also has a
container that ended by a signal, and that signal is not the reason.
"""

import enum
import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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

Fact = str | int | float

# Shells and container runtimes report a process that ended by a signal as 128 and its number.
_SIGNAL_BASE: Final = 128
_LAST_SIGNAL: Final = 64

_OWN_STORAGE: Final = re.compile(
    r"ephemeral local storage usage exceeds|exceeded its local ephemeral storage limit"
    r"|Usage of EmptyDir volume"
)

# What gRPC and runc put around the message that a person wants.
_TRIMMINGS: Final = re.compile(r"rpc error: code = \w+ desc = |: unknown(?=\s*$)")


class Cause(enum.Enum):
    """Why a step ended, or never began."""

    OUT_OF_MEMORY = "OutOfMemory"
    STORAGE = "EphemeralStorageExceeded"
    DEADLINE = "DeadlineExceeded"
    EXIT_CODE = "ExitCode"
    SIGNAL = "Signal"
    SILENT = "EndedWithoutResult"

    EVICTED = "Evicted"
    PREEMPTED = "Preempted"
    NODE_LOST = "NodeLost"
    NODE_SILENT = "NodeSilent"
    DELETED = "PodDeleted"
    API = "KubernetesApi"

    ABOVE_CEILING = "AboveCeiling"
    NONSENSE = "ResourcesMakeNoSense"
    REJECTED = "Rejected"
    QUOTA = "QuotaExceeded"
    UNSCHEDULABLE = "Unschedulable"
    IMAGE = "ImageCannotBePulled"
    CANNOT_START = "ContainerCannotStart"
    NEVER_STARTED = "NeverStarted"

    @property
    def is_infrastructure(self) -> bool:
        """Whether it is none of the step's doing: it is repeated without using up its retries."""
        return self in _INFRASTRUCTURE

    @property
    def is_before_start(self) -> bool:
        """Whether the step's code cannot have run, so that its retries are of no use."""
        return self in _BEFORE_START


_INFRASTRUCTURE: Final = frozenset(
    {Cause.EVICTED, Cause.PREEMPTED, Cause.NODE_LOST, Cause.DELETED, Cause.API}
)
_BEFORE_START: Final = frozenset(
    {
        Cause.ABOVE_CEILING,
        Cause.NONSENSE,
        Cause.REJECTED,
        Cause.QUOTA,
        Cause.UNSCHEDULABLE,
        Cause.IMAGE,
        Cause.CANNOT_START,
        Cause.NEVER_STARTED,
    }
)


@dataclass(frozen=True)
class Verdict:
    """A cause, the sentence that a person reads, and what is known beside it."""

    cause: Cause
    sentence: str
    facts: Mapping[str, Fact] = field(default_factory=dict[str, Fact])

    def and_then(self, sentence: str, **facts: Fact) -> "Verdict":
        """Return the verdict with one more sentence and more facts."""
        return replace(self, sentence=f"{self.sentence} {sentence}", facts={**self.facts, **facts})

    def with_facts(self, **facts: Fact) -> "Verdict":
        """Return the verdict with more facts."""
        return replace(self, facts={**self.facts, **facts})


def of_ended_pod(pod: StepPod, step: str, attempt: int) -> Verdict:
    """Return what became of a step whose pod is over and which has not said how it ended.

    Args:
        pod: as last seen.
        step: the step's key.
        attempt: which attempt at the step it was, from 1.
    """
    facts = _facts(pod, attempt)
    ending = pod.ending
    if pod.reason == "DeadlineExceeded":
        return _deadline(pod, step, facts)
    if pod.reason == "Evicted" and _OWN_STORAGE.search(pod.message):
        return _storage(pod, step, facts)
    if ending and ending.reason == "OOMKilled" and not pod.is_being_deleted:
        return _out_of_memory(pod, step, facts)
    infrastructure = _infrastructure(pod, step)
    if infrastructure:
        return replace(infrastructure, facts=facts)
    return _ended(ending, step, facts) if ending else _not_begun(pod, step, facts)


def of_job_deadline(pod: StepPod, step: str, attempt: int, seconds: int) -> Verdict:
    """Return the verdict on a step whose Job's own deadline has ended it."""
    facts = {**_facts(pod, attempt), "limit_seconds": seconds}
    return Verdict(
        Cause.DEADLINE,
        f"Step {step} was ended after its time limit of {_duration(seconds)} (of its Job).",
        facts,
    )


def of_waiting_pod(pod: StepPod, step: str, attempt: int) -> Verdict | None:
    """Return what keeps a step's pod from starting or going on; None where nothing is known to."""
    facts = _facts(pod, attempt)
    if pod.node_is_lost:
        return Verdict(
            Cause.NODE_SILENT,
            f"Node {pod.node} of step {step} has stopped answering, so the step may still run "
            "there. It is not repeated before the node is back or removed from the cluster: it "
            "would run twice.",
            facts,
        )
    if pod.unschedulable:
        return Verdict(
            Cause.UNSCHEDULABLE,
            f"Step {step} finds no node: {_sentence(pod.unschedulable)}",
            {**facts, **_asked(pod)},
        )
    if not pod.waiting:
        return None
    reason, message = pod.waiting
    if reason in IMAGE_REASONS:
        return Verdict(
            Cause.IMAGE,
            f"The image of step {step}, {pod.image}, can't be pulled: "
            f"{_sentence(message or reason)}",
            {**facts, "image": pod.image},
        )
    if reason in START_REASONS:
        return Verdict(
            Cause.CANNOT_START,
            f"The container of step {step} can't be started ({reason}): {_sentence(message)}",
            facts,
        )
    # Mostly an image on its way; it may also be a volume that will never come.
    return Verdict(
        Cause.NEVER_STARTED,
        f"The pod of step {step}, {pod.name}, does not get beyond {reason or 'Pending'}. "
        f"`kubectl --namespace {pod.namespace} describe pod {pod.name}` tells more.",
        facts,
    )


def of_run_pod(pod: StepPod) -> Verdict:
    """Return what became of a run whose own pod is over before the run is."""
    verdict = of_ended_pod(pod, step="", attempt=1)
    node = f" {pod.node}" if pod.node else ""
    limit = verdict.facts.get("memory_limit", "memory")
    said = {
        Cause.OUT_OF_MEMORY: f"was killed for memory: it used all of its {limit}, which the "
        "platform admin sets in runLauncher.resources",
        Cause.EVICTED: f"was evicted from node{node}",
        Cause.PREEMPTED: f"had to make room on node{node} for a pod of higher priority",
        Cause.NODE_LOST: f"lost its node{node}",
        Cause.DELETED: "was deleted by somebody",
        Cause.SIGNAL: f"was ended by {verdict.facts.get('signal')}",
        Cause.EXIT_CODE: f"ended with exit code {verdict.facts.get('exit_code')}",
    }.get(verdict.cause, f"is over ({verdict.cause.value})")
    return Verdict(verdict.cause, f"The run's own pod {pod.name} {said}.", verdict.facts)


def _out_of_memory(pod: StepPod, step: str, facts: Mapping[str, Fact]) -> Verdict:
    limit = pod.memory_limit
    used = f"all of its {quantities.exact_bytes(limit)}" if limit else "more memory than there was"
    return Verdict(
        Cause.OUT_OF_MEMORY, f"Step {step} was killed for memory: it used {used}.", facts
    )


def _storage(pod: StepPod, step: str, facts: Mapping[str, Fact]) -> Verdict:
    limit = pod.limit("ephemeral-storage")
    said = f" of {limit}" if limit else ""
    return Verdict(
        Cause.STORAGE,
        f"Step {step} was ended because it wrote more to its file system than its limit{said}: "
        f"{_sentence(pod.message)} Give it more with step_resources(ephemeral_storage=…), or let "
        "it write less.",
        facts,
    )


def _deadline(pod: StepPod, step: str, facts: Mapping[str, Fact]) -> Verdict:
    limit = pod.deadline_seconds
    said = f" of {_duration(limit)}" if limit else ""
    return Verdict(
        Cause.DEADLINE,
        f"Step {step} was ended after its time limit{said}. Give it more with "
        "step_resources(timeout=…), or less to do.",
        {**facts, **({"limit_seconds": limit} if limit else {})},
    )


def _infrastructure(pod: StepPod, step: str) -> Verdict | None:
    """What the cluster did to the pod, without its facts."""
    node = f" {pod.node}" if pod.node else ""
    reason, message = pod.disruption or ("", "")
    if reason == "PreemptionByScheduler":
        return Verdict(
            Cause.PREEMPTED,
            f"Step {step} had to make room on node{node} for a pod of higher priority: "
            f"{_sentence(message)}",
        )
    if (
        reason in {"DeletionByTaintManager", "DeletionByPodGC"}
        or pod.reason in {"Terminated", "NodeShutdown", "Shutdown"}
        or pod.node_is_lost
    ):
        return Verdict(
            Cause.NODE_LOST, f"Step {step} lost its node{node}. {_sentence(message or pod.message)}"
        )
    if pod.reason == "Evicted" or reason in {"EvictionByEvictionAPI", "TerminationByKubelet"}:
        said = pod.message or message
        return Verdict(Cause.EVICTED, f"Step {step} was evicted from node{node}: {_sentence(said)}")
    if pod.phase == "Failed" and pod.ending is None and pod.reason:
        # The node would not have it after all: OutOfmemory, UnexpectedAdmissionError, NodeAffinity.
        return Verdict(
            Cause.EVICTED,
            f"Node{node} turned the pod of step {step} away ({pod.reason}): "
            f"{_sentence(pod.message)}",
        )
    if pod.is_being_deleted or (pod.is_gone and pod.ending is None):
        return Verdict(Cause.DELETED, f"Somebody deleted the pod of step {step}, {pod.name}.")
    return None


def _not_begun(pod: StepPod, step: str, facts: Mapping[str, Fact]) -> Verdict:
    """The pod failed, and the step's own container never ran."""
    if pod.failed_init_container:
        name, code = pod.failed_init_container
        return Verdict(
            Cause.CANNOT_START,
            f"The init container {name} of step {step} ended with exit code {code}, so the step "
            "was not begun.",
            facts,
        )
    said = pod.message or pod.reason or "no reason is given"
    return Verdict(Cause.EXIT_CODE, f"The pod of step {step} failed: {_sentence(said)}", facts)


def _ended(ending: Ending, step: str, facts: Mapping[str, Fact]) -> Verdict:
    number = ending.exit_code - _SIGNAL_BASE
    if ending.reason in NEVER_RAN_REASONS:
        return Verdict(
            Cause.CANNOT_START,
            f"The container of step {step} can't be started: {_sentence(ending.message)}",
            facts,
        )
    if ending.reason in LOST_REASONS:
        return Verdict(
            Cause.NODE_LOST,
            f"The container of step {step} was gone when its node came back: "
            f"{_sentence(ending.message)}",
            facts,
        )
    if ending.exit_code == 0:
        return Verdict(
            Cause.SILENT,
            f"The process of step {step} ended with exit code 0 before the step was done, and "
            "without a word about it: something in the code ended it (os._exit, exec).",
            facts,
        )
    if 0 < number <= _LAST_SIGNAL:
        name = _signal_name(number)
        return Verdict(Cause.SIGNAL, f"Step {step} was ended by {name}.", {**facts, "signal": name})
    return Verdict(
        Cause.EXIT_CODE,
        f"The process of step {step} ended with exit code {ending.exit_code} before the step was "
        "done.",
        facts,
    )


def _facts(pod: StepPod, attempt: int) -> dict[str, Fact]:
    memory = pod.memory_limit
    facts: dict[str, Fact | None] = {
        "attempt": attempt,
        "pod": pod.name,
        "namespace": pod.namespace,
        "node": pod.node,
        "memory_limit": None if memory is None else quantities.exact_bytes(memory),
        "cpu_limit": pod.limit("cpu"),
    }
    ending = pod.ending
    if ending:
        facts |= {
            "exit_code": ending.exit_code,
            "container_reason": ending.reason or None,
            "seconds": ending.seconds,
            "container_finished_at": ending.finished_at,
        }
    return {name: value for name, value in facts.items() if value is not None}


def _asked(pod: StepPod) -> dict[str, Fact]:
    asked = {f"{what}_asked": pod.request(what) for what in ("memory", "cpu")}
    return {name: amount for name, amount in asked.items() if amount is not None}


def _signal_name(number: int) -> str:
    try:
        return f"{signal.Signals(number).name} (signal {number})"
    except ValueError:
        return f"signal {number}"


def _duration(seconds: int) -> str:
    """Seconds as people and `step_resources` write them: `1h30m`."""
    parts = ((seconds // 3600, "h"), (seconds // 60 % 60, "m"), (seconds % 60, "s"))
    return "".join(f"{amount}{unit}" for amount, unit in parts if amount) or "0s"


def _sentence(text: str) -> str:
    """Somebody else's words, without the trimmings of their protocol, ended by a full stop."""
    said = _TRIMMINGS.sub("", text).strip()
    return said if said.endswith((".", "!", "?")) else f"{said}." if said else "no reason is given."
