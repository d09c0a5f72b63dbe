"""Verdicts as Dagster shows them: errors and metadata of events."""

from typing import Any

from dagster import MetadataValue

from bulkhead.dagster_compat import SerializableErrorInfo
from bulkhead.steps import sentences
from bulkhead.steps.verdicts import Verdict


def error(verdict: Verdict, sentence: str) -> SerializableErrorInfo:
    """Return the error that the Dagster UI shows for a failed or retried step."""
    text = sentences.with_last_output(sentence, verdict)
    return SerializableErrorInfo(f"{text}\n", stack=[], cls_name=None)


def metadata(verdict: Verdict) -> dict[str, Any]:
    """Return what is known about a verdict, by name; amounts are Kubernetes quantities.

    The names are read by people, by `bulkhead advise` and by alerts of the teams, so they stay.
    """
    quota, excess = verdict.quota, verdict.excess
    known: dict[str, Any] = {
        "cause": verdict.cause.value,
        "attempt": verdict.attempt,
        "pod": verdict.pod,
        "namespace": verdict.namespace,
        "node": verdict.node,
        "image": verdict.image,
        "memory_limit": sentences.memory(verdict.memory_limit),
        "memory_requested": sentences.memory(verdict.memory_request),
        "cpu_limit": sentences.cores(verdict.cpu_limit),
        "cpu_requested": sentences.cores(verdict.cpu_request),
        "storage_limit": sentences.memory(verdict.storage_limit),
        "limit_seconds": verdict.time_limit,
        "exit_code": verdict.exit_code,
        "signal": None if verdict.signal is None else sentences.signal_name(verdict.signal),
        "container_reason": verdict.reason,
        "seconds": verdict.elapsed,
        "container_finished_at": verdict.finished_at,
        "resource": excess and excess.resource,
        "requested": quota.requested if quota else excess and excess.requested,
        "allowed": excess and excess.allowed,
        "quota": quota and quota.name,
        "used": quota and quota.used,
        "limited": quota and quota.limited,
        "waited_seconds": None if verdict.waited is None else round(verdict.waited, 1),
        "last_lines": MetadataValue.md(f"```\n{verdict.last_lines}\n```")
        if verdict.last_lines
        else None,
    }
    return {name: value for name, value in known.items() if value is not None}
