"""Every sentence and every piece of advice about steps that a person reads.

A sentence says what happened, the value, what was allowed and what to do, in this order. Facts come
as typed values and become text here, once.
"""

import re
import signal
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

from bulkhead.kube.pods import LOST_REASONS
from bulkhead.kube.quantities import exact_bytes, exact_cores, readable_bytes
from bulkhead.steps.ceiling import Ceiling
from bulkhead.steps.resources import StepResources
from bulkhead.steps.usage import Usage
from bulkhead.steps.verdicts import Cause, Verdict

# What gRPC and runc put around the message that helps.
_WRAPPING: Final = re.compile(r"rpc error: code = \w+ desc = |: unknown(?=\s*$)")


# --- What became of a step ------------------------------------------------------------------------


def of_verdict(verdict: Verdict) -> str:
    """Return what happened to a step, in one or two sentences."""
    sentence = _OF_CAUSE[verdict.cause](verdict)
    if verdict.waited is not None:
        return f"{sentence} Timed out after {verdict.waited:.0f} s."
    return sentence


def with_last_output(sentence: str, verdict: Verdict) -> str:
    """Return the sentence, and below it the end of the container's log where that is known."""
    return f"{sentence}\n\nLast output:\n{verdict.last_lines}" if verdict.last_lines else sentence


def of_run_pod(verdict: Verdict) -> str:
    """Return what happened to a run's own pod."""
    node = _on_node(verdict)
    limit = (
        f": its limit is {exact_bytes(verdict.memory_limit)}, set by the platform admin in "
        "runLauncher.resources"
        if verdict.memory_limit
        else ""
    )
    happened = {
        Cause.OUT_OF_MEMORY: f"ran out of memory (OOM-killed){limit}",
        Cause.EVICTED: f"was evicted from node{node}",
        Cause.PREEMPTED: f"was preempted on node{node}",
        Cause.NODE_LOST: f"lost its node{node}",
        Cause.DELETED: "was deleted",
        Cause.SIGNAL: f"was terminated by {signal_name(verdict.signal or 0)}",
        Cause.EXIT_CODE: f"exited with code {verdict.exit_code}",
    }.get(verdict.cause, f"ended ({verdict.cause.value})")
    return f"The run's own pod {verdict.pod} {happened}."


def _out_of_memory(verdict: Verdict) -> str:
    limit = verdict.memory_limit
    bound = (
        f"its limit is {exact_bytes(limit)}" if limit else "it has no limit, and its node is full"
    )
    return f"Step {verdict.step} ran out of memory (OOM-killed): {bound}."


def _storage(verdict: Verdict) -> str:
    limit = f" of {exact_bytes(verdict.storage_limit)}" if verdict.storage_limit else ""
    return (
        f"Step {verdict.step} exceeded its ephemeral storage limit{limit}: "
        f"{_reported(verdict)} Request more with step_resources(ephemeral_storage=…), or write "
        "less."
    )


def _deadline(verdict: Verdict) -> str:
    limit = f" of {duration(verdict.time_limit)}" if verdict.time_limit else ""
    if verdict.is_time_limit_of_job:
        return (
            f"Step {verdict.step} exceeded the time limit{limit} of its Job. Raise "
            "active_deadline_seconds in its job_spec_config, or do less in the step."
        )
    return (
        f"Step {verdict.step} exceeded its time limit{limit}. Raise it with "
        "step_resources(timeout=…), or do less in the step."
    )


def _exit_code(verdict: Verdict) -> str:
    if verdict.exit_code is None:
        return f"The pod of step {verdict.step} failed: {_reported(verdict)}"
    return (
        f"The process of step {verdict.step} exited with code {verdict.exit_code} before the step "
        "finished."
    )


def _signal(verdict: Verdict) -> str:
    return f"Step {verdict.step} was terminated by {signal_name(verdict.signal or 0)}."


def _silent(verdict: Verdict) -> str:
    return (
        f"The process of step {verdict.step} exited with code 0 before the step finished, and "
        "reported no result. Code in the step may call os._exit or exec."
    )


def _evicted(verdict: Verdict) -> str:
    if verdict.reason and verdict.exit_code is None:
        return (
            f"Node{_on_node(verdict)} rejected the pod of step {verdict.step} ({verdict.reason}): "
            f"{_reported(verdict)}"
        )
    return f"Step {verdict.step} was evicted from node{_on_node(verdict)}: {_reported(verdict)}"


def _preempted(verdict: Verdict) -> str:
    return (
        f"Step {verdict.step} was preempted on node{_on_node(verdict)} by a pod of higher "
        f"priority: {_reported(verdict)}"
    )


def _node_lost(verdict: Verdict) -> str:
    if verdict.reason in LOST_REASONS:
        return (
            f"The container of step {verdict.step} was gone when its node came back: "
            f"{_reported(verdict)}"
        )
    return f"Step {verdict.step} lost its node{_on_node(verdict)}. {_reported(verdict)}"


def _node_silent(verdict: Verdict) -> str:
    return (
        f"Node {verdict.node} of step {verdict.step} does not respond, so the step may still run "
        "there. It is not retried until the node responds or is removed from the cluster; "
        "otherwise it could run twice."
    )


def _deleted(verdict: Verdict) -> str:
    if verdict.was_interrupted:
        return f"The pod of step {verdict.step} was deleted while its run was interrupted."
    if verdict.job:
        return f"The Job of step {verdict.step}, {verdict.job}, was deleted, and its pod with it."
    return f"The pod of step {verdict.step}, {verdict.pod}, was deleted."


def _api(verdict: Verdict) -> str:
    return f"The API server could not create the pod of step {verdict.step}: {_reported(verdict)}"


def _above_ceiling(verdict: Verdict) -> str:
    excess = verdict.excess
    assert excess  # noqa: S101 - the cause says that there is one
    return (
        f"Step {verdict.step} requests {excess.resource} {excess.requested}; the ceiling of code "
        f"location {verdict.location} is {excess.allowed}, set by the platform admin in "
        f"codeLocations.{verdict.location}.ceiling. Request less, or ask the admin to raise the "
        "ceiling."
    )


def _invalid(verdict: Verdict) -> str:
    return f"Step {verdict.step} cannot start: {_reported(verdict)}"


def _rejected(verdict: Verdict) -> str:
    return f"The API server rejected the pod of step {verdict.step}: {_reported(verdict)}"


def _quota(verdict: Verdict) -> str:
    if verdict.excess:
        return (
            f"Step {verdict.step} requests {verdict.excess.resource} {verdict.excess.requested}, "
            f"but the whole quota of its code location is {verdict.excess.allowed}, so it can "
            "never start. Request less, or ask the platform admin to raise the quota."
        )
    quota = verdict.quota
    assert quota  # noqa: S101 - without an excess there is one
    return (
        f"Step {verdict.step} waits for room in the quota of its code location: it requests "
        f"{quota.requested}; {quota.used} of {quota.limited} is in use."
    )


def _unschedulable(verdict: Verdict) -> str:
    return f"No node can run step {verdict.step}: {_reported(verdict)}"


def _image(verdict: Verdict) -> str:
    return (
        f"The image of step {verdict.step}, {verdict.image}, cannot be pulled: "
        f"{_ended(verdict.detail or verdict.reason or '')}"
    )


def _cannot_start(verdict: Verdict) -> str:
    failed = verdict.init_container
    if failed:
        return (
            f"The init container {failed.name} of step {verdict.step} exited with code "
            f"{failed.exit_code}, so the step did not start."
        )
    return (
        f"The container of step {verdict.step} cannot start ({verdict.reason}): "
        f"{_reported(verdict)}"
    )


def _never_started(verdict: Verdict) -> str:
    return (
        f"The pod of step {verdict.step}, {verdict.pod}, is still {verdict.reason or 'Pending'}. "
        f"For details run `kubectl --namespace {verdict.namespace} describe pod {verdict.pod}`."
    )


_OF_CAUSE: Final[Mapping[Cause, Callable[[Verdict], str]]] = {
    Cause.OUT_OF_MEMORY: _out_of_memory,
    Cause.STORAGE: _storage,
    Cause.DEADLINE: _deadline,
    Cause.EXIT_CODE: _exit_code,
    Cause.SIGNAL: _signal,
    Cause.SILENT: _silent,
    Cause.EVICTED: _evicted,
    Cause.PREEMPTED: _preempted,
    Cause.NODE_LOST: _node_lost,
    Cause.NODE_SILENT: _node_silent,
    Cause.DELETED: _deleted,
    Cause.API: _api,
    Cause.ABOVE_CEILING: _above_ceiling,
    Cause.INVALID: _invalid,
    Cause.REJECTED: _rejected,
    Cause.QUOTA: _quota,
    Cause.UNSCHEDULABLE: _unschedulable,
    Cause.IMAGE: _image,
    Cause.CANNOT_START: _cannot_start,
    Cause.NEVER_STARTED: _never_started,
}


# --- What happens next ----------------------------------------------------------------------------


def of_infrastructure_retry(number: int, most: int) -> str:
    """Return that a step which the cluster ended is retried: the `number`-th time of `most`."""
    return f"Retrying ({number} of {most}); this does not use the step's own retries."


def of_memory_retry(memory: int) -> str:
    """Return that a step which ran out of memory is retried with this memory, in bytes."""
    return f"Retrying with {exact_bytes(memory)}."


def memory_advice(verdict: Verdict, requested: StepResources, ceiling: Ceiling) -> str | None:
    """Return what to do about a step that ran out of memory and is not retried.

    Args:
        verdict: what became of the step.
        requested: what its tags request.
        ceiling: the largest step of its code location.

    Returns:
        None for other causes, and where the limit is not known.
    """
    limit = verdict.memory_limit
    if verdict.cause is not Cause.OUT_OF_MEMORY or limit is None:
        return None
    if ceiling.memory is not None and limit >= ceiling.memory:
        return (
            f"{exact_bytes(limit)} is the ceiling of code location {ceiling.location}, set by the "
            f"platform admin in codeLocations.{ceiling.location}.ceiling. Use less memory in the "
            "step, or ask the admin to raise the ceiling."
        )
    if requested.max_memory is None:
        return (
            f'Request more, for example step_resources(memory="{exact_bytes(2 * limit)}"), or let '
            f'its limit grow: step_resources(max_memory="{exact_bytes(4 * limit)}").'
        )
    if limit >= requested.max_memory:
        return (
            f"{exact_bytes(limit)} is its max_memory. Raise max_memory, or use less memory in the "
            "step."
        )
    return f"It has used all of its retries_on_oom ({requested.retries_on_oom})."


# --- Growth and usage -----------------------------------------------------------------------------


def of_growth(step: str, before: int, after: int, seconds: float | None) -> str:
    """Return that a step has grown; memory in bytes, `seconds` since its container started."""
    when = "" if seconds is None else f" after {seconds:.0f} s"
    return (
        f"Step {step} grew from {exact_bytes(before)} to {exact_bytes(after)}{when}, while it ran."
    )


def of_largest_size(step: str, limit: int) -> str:
    """Return that a step has all the memory that it may have, in bytes."""
    return (
        f"Step {step} cannot grow beyond {exact_bytes(limit)}: this is its max_memory or its "
        "ceiling."
    )


def of_growth_above_quota(step: str, limit: int, wanted: int, refusal: str) -> str:
    """Return that a quota keeps a step from growing; memory in bytes."""
    return (
        f"Step {step} cannot grow to {exact_bytes(wanted)}: the quota of its code location has no "
        f"room ({refusal}). It keeps {exact_bytes(limit)}."
    )


def of_growth_above_node(step: str, limit: int, wanted: int) -> str:
    """Return that a node without room keeps a step from growing; memory in bytes."""
    return (
        f"Step {step} cannot grow to {exact_bytes(wanted)} now: its node has no room. It keeps "
        f"{exact_bytes(limit)}."
    )


def of_usage(step: str, usage: Usage) -> str:
    """Return what a step used, whose peak and CPU time are known."""
    of_limit = f" of {readable_bytes(usage.memory_limit)}" if usage.memory_limit else ""
    killed = (
        f" The kernel OOM-killed {usage.oom_kills} of its processes." if usage.oom_kills else ""
    )
    return (
        f"Step {step} used {readable_bytes(usage.peak_memory or 0)}{of_limit} of memory and "
        f"{usage.cpu_seconds or 0:.1f} s of CPU.{killed}"
    )


# --- Parts of sentences ---------------------------------------------------------------------------


def duration(seconds: int) -> str:
    """Return seconds as `step_resources` accepts them: `1h30m`."""
    parts = ((seconds // 3600, "h"), (seconds // 60 % 60, "m"), (seconds % 60, "s"))
    return "".join(f"{amount}{unit}" for amount, unit in parts if amount) or "0s"


def signal_name(number: int) -> str:
    """Return a signal by its name and number: `SIGKILL (signal 9)`."""
    try:
        return f"{signal.Signals(number).name} (signal {number})"
    except ValueError:
        return f"signal {number}"


def cores(amount: Decimal | None) -> str | None:
    """Return cores as a quantity: `500m`."""
    return None if amount is None else exact_cores(amount)


def memory(amount: int | None) -> str | None:
    """Return bytes as a quantity: `512Mi`."""
    return None if amount is None else exact_bytes(amount)


def _on_node(verdict: Verdict) -> str:
    return f" {verdict.node}" if verdict.node else ""


def _reported(verdict: Verdict) -> str:
    return _ended(verdict.detail)


def _ended(text: str) -> str:
    """Return somebody else's words without their protocol's wrapping, ended by a full stop."""
    plain = _WRAPPING.sub("", text).strip()
    if not plain:
        return "no reason is given."
    return plain if plain.endswith((".", "!", "?")) else f"{plain}."
