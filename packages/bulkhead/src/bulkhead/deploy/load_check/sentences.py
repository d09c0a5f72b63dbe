"""Why a load check failed, in words: what happened, what was allowed, what to do."""

import re
import signal
from collections.abc import Callable, Mapping
from typing import Final

from bulkhead.kube.pods import NEVER_RAN_REASONS
from bulkhead.kube.quantities import exact_bytes
from bulkhead.steps.sentences import signal_name
from bulkhead.steps.verdicts import Cause, Verdict

# What gRPC and runc put around the message that helps.
_WRAPPING: Final = re.compile(r"rpc error: code = \w+ desc = |: unknown(?=\s*$)")

_RETRY: Final = "Run the same command again."


def of_verdict(verdict: Verdict) -> str:
    """Return why the pod of a load check cannot start, or what ended it."""
    sentence = _OF_CAUSE[verdict.cause](verdict)
    if verdict.waited is not None:
        return f"{sentence} Timed out after {verdict.waited:.0f} s."
    return sentence


def of_load_error(message: str, oom_kills: int, memory_limit: int | None) -> str:
    """Return that the team's code raised an error.

    Args:
        message: its type and text.
        oom_kills: how many processes that the code started were OOM-killed.
        memory_limit: of the pod, in bytes.
    """
    happened = f"The definitions do not load: {_ended(message)}"
    if not oom_kills:
        return happened
    which = "One" if oom_kills == 1 else oom_kills
    return (
        f"{happened} {which} of its processes ran out of memory (OOM-killed): "
        f"{_memory(memory_limit)}"
    )


def of_hang(seconds: float, place: str | None) -> str:
    """Return that the definitions did not load in time.

    Args:
        seconds: how long they were loading.
        place: where the code was, such as `connect (warehouse.py, line 12)`; None: not known.
    """
    where = f" It was in {place}." if place else ""
    return (
        f"The definitions did not load within {seconds:.0f} s.{where} Code that runs on import "
        "waits or computes for too long. Move it into an asset, an op or a resource, or raise "
        "load-seconds in bulkhead.toml."
    )


def of_slow_pull(image: str, seconds: float) -> str:
    """Return that the image was still being pulled when the time was over."""
    return (
        f"The node was still pulling image {image} after {seconds:.0f} s. {_RETRY} The node "
        "continues with the layers that it has. Or raise load-seconds in bulkhead.toml."
    )


def of_missing_rights(verb: str, namespace: str, location: str, message: str) -> str:
    """Return that the account must not do something in the namespace; `verb`: `create pods`."""
    return (
        f"This account cannot {verb} in namespace {namespace}: {_ended(message)} Ask the platform "
        f"admin to add it to codeLocations.{location}.deployers."
    )


def of_missing_namespace(namespace: str, location: str) -> str:
    """Return that the namespace of the code location does not exist."""
    return (
        f"Namespace {namespace} does not exist. Ask the platform admin to add codeLocations."
        f"{location}, or correct the namespace."
    )


def of_no_answer(message: str, seconds: float) -> str:
    """Return that the API server did not do what was requested within these seconds."""
    return (
        f"The API server could not serve the load check within {seconds:.0f} s: {_ended(message)} "
        f"{_RETRY}"
    )


def of_unreadable_report(message: str) -> str:
    """Return that the definitions loaded, but their report cannot be read from the log."""
    return (
        f"The definitions load, but the report in the pod's log cannot be read: {_ended(message)} "
        f"{_RETRY} If it fails again, print less while the code is imported."
    )


def _out_of_memory(verdict: Verdict) -> str:
    happened = "Loading the definitions ran out of memory (OOM-killed)"
    return f"{happened}: {_memory(verdict.memory_limit)}"


def _memory(limit: int | None) -> str:
    if limit is None:
        return "the node is full."
    return (
        f"the limit is {exact_bytes(limit)}. Raise codeServer.resources.limits.memory in "
        "values.yaml, or import less. The code server has the same limit."
    )


def _storage(verdict: Verdict) -> str:
    return (
        f"Loading the definitions used too much ephemeral storage: {_ended(verdict.detail)} Write "
        "less while the code is imported."
    )


def _exit_code(verdict: Verdict) -> str:
    if verdict.exit_code is None:
        return f"The pod of the load check failed: {_ended(verdict.detail)} {_RETRY}"
    return (
        f"The process exited with code {verdict.exit_code} before the definitions were loaded. "
        "Code that runs on import may call os._exit."
    )


def _signal(verdict: Verdict) -> str:
    number = verdict.signal or 0
    happened = (
        f"The process was terminated by {signal_name(number)} before the definitions were loaded."
    )
    if number == signal.SIGKILL:
        return f"{happened} It may have run out of memory: {_memory(verdict.memory_limit)}"
    return f"{happened} A native library that is imported may have crashed."


def _evicted(verdict: Verdict) -> str:
    if verdict.reason and verdict.exit_code is None:
        return (
            f"Node {verdict.node} rejected the pod of the load check ({verdict.reason}): "
            f"{_ended(verdict.detail)} {_RETRY}"
        )
    return (
        f"The pod of the load check was evicted from node {verdict.node}: {_ended(verdict.detail)} "
        f"{_RETRY}"
    )


def _preempted(verdict: Verdict) -> str:
    return (
        f"The pod of the load check was preempted on node {verdict.node} by a pod of higher "
        f"priority. {_RETRY}"
    )


def _node_lost(verdict: Verdict) -> str:
    return f"The pod of the load check lost its node {verdict.node}. {_RETRY}"


def _node_silent(verdict: Verdict) -> str:
    return f"Node {verdict.node} of the load check does not respond. {_RETRY}"


def _deleted(verdict: Verdict) -> str:
    return f"The pod of the load check, {verdict.pod}, was deleted by somebody else. {_RETRY}"


def _rejected(verdict: Verdict) -> str:
    return f"The API server rejected the pod of the load check: {_ended(verdict.detail)}"


def _quota(verdict: Verdict) -> str:
    if verdict.excess:
        return (
            f"The load check requests {verdict.excess.resource} {verdict.excess.requested}, but "
            f"the whole quota of its code location is {verdict.excess.allowed}. Lower "
            "codeServer.resources in values.yaml, or ask the platform admin to raise the quota."
        )
    quota = verdict.quota
    assert quota  # noqa: S101 - without an excess there is one
    return (
        f"The quota of the code location has no room for the load check: it requests "
        f"{quota.requested}; {quota.used} of {quota.limited} is in use. Wait until steps have "
        "finished, or ask the platform admin to raise the quota."
    )


def _unschedulable(verdict: Verdict) -> str:
    return (
        f"No node can run the load check: {_ended(verdict.detail)} Lower "
        "codeServer.resources.requests in values.yaml, or ask the platform admin for more room."
    )


def _image(verdict: Verdict) -> str:
    return (
        f"Image {verdict.image} cannot be pulled: {_ended(verdict.detail or verdict.reason or '')} "
        "Check the registry, its address for the nodes, and imagePullSecrets in values.yaml."
    )


def _cannot_start(verdict: Verdict) -> str:
    failed = verdict.init_container
    if failed:
        return (
            f"The init container {failed.name} of the load check exited with code "
            f"{failed.exit_code}."
        )
    happened = (
        f"The container of the load check cannot start ({verdict.reason}): {_ended(verdict.detail)}"
    )
    if verdict.reason in NEVER_RAN_REASONS:
        return f"{happened} Check that the image has python on its PATH."
    return f"{happened} Check the names of Secrets, ConfigMaps and keys in values.yaml."


def _never_started(verdict: Verdict) -> str:
    return (
        f"The pod of the load check, {verdict.pod}, is still {verdict.reason or 'Pending'}: "
        f"{_ended(verdict.detail)} Check the volumes, Secrets and ConfigMaps in values.yaml."
    )


_OF_CAUSE: Final[Mapping[Cause, Callable[[Verdict], str]]] = {
    Cause.OUT_OF_MEMORY: _out_of_memory,
    Cause.STORAGE: _storage,
    Cause.EXIT_CODE: _exit_code,
    Cause.SILENT: _exit_code,
    Cause.SIGNAL: _signal,
    Cause.EVICTED: _evicted,
    Cause.PREEMPTED: _preempted,
    Cause.NODE_LOST: _node_lost,
    Cause.NODE_SILENT: _node_silent,
    Cause.DELETED: _deleted,
    Cause.REJECTED: _rejected,
    Cause.QUOTA: _quota,
    Cause.UNSCHEDULABLE: _unschedulable,
    Cause.IMAGE: _image,
    Cause.CANNOT_START: _cannot_start,
    Cause.NEVER_STARTED: _never_started,
}


def _ended(text: str) -> str:
    """Return somebody else's words without their protocol's wrapping, ended by a full stop."""
    plain = _WRAPPING.sub("", text).strip()
    if not plain:
        return "no reason is given."
    return plain if plain.endswith((".", "!", "?")) else f"{plain}."
