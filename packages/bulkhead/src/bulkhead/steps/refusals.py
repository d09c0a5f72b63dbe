"""What it means that the API server refuses a pod, and whether waiting can help."""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from bulkhead.kube import quantities
from bulkhead.steps.verdicts import Cause, Excess, QuotaUse, Verdict

_PREFIX: Final = re.compile(
    r'^Error creating: (?:(?:pods|Pod) "[^"]*" is (?:forbidden|invalid): )?'
)
_QUOTA: Final = re.compile(
    r"exceeded quota: (?P<name>[^,]+), requested: (?P<requested>.*), used: (?P<used>.*), "
    r"limited: (?P<limited>.*)"
)
# An answer to the request itself, even if its words look like a failure of the server.
_FINAL: Final = re.compile(r'denied (?:the )?request|" is invalid: ')
# A failure of the server; the next request may succeed.
_TEMPORARY: Final = re.compile(
    r"Internal error|no answer|timeout|timed out|etcdserver|connection refused|try again|"
    r"Too many requests|Internal server error|Service unavailable|Bad gateway|currently unable|"
    r"error looking up service account|status unknown for quota",
    re.IGNORECASE,
)


class Refusal(NamedTuple):
    """A verdict on a refused pod, and whether it only holds for now."""

    verdict: Verdict
    may_pass: bool


def of_message(message: str, step: str) -> Refusal:
    """Return what a refusal means.

    Args:
        message: the API server's, or that of the Job controller's event about it.
        step: the step's key.
    """
    detail = _PREFIX.sub("", message).strip().rstrip(".")
    quota = _QUOTA.search(detail)
    if quota:
        return _of_quota(quota, step)
    if _TEMPORARY.search(detail) and not _FINAL.search(message):
        return Refusal(Verdict(Cause.API, step, detail=detail), may_pass=True)
    return Refusal(Verdict(Cause.REJECTED, step, detail=detail), may_pass=False)


def _of_quota(match: re.Match[str], step: str) -> Refusal:
    use = QuotaUse(match["name"], match["requested"], match["used"], match["limited"])
    requested, limited = _amounts(use.requested), _amounts(use.limited)
    for resource, amount in requested.items():
        if resource in limited and quantities.parse(amount) > quantities.parse(limited[resource]):
            excess = Excess(resource, amount, limited[resource])
            return Refusal(Verdict(Cause.QUOTA, step, quota=use, excess=excess), may_pass=False)
    return Refusal(Verdict(Cause.QUOTA, step, quota=use), may_pass=True)


def _amounts(text: str) -> Mapping[str, str]:
    pairs = (pair.partition("=") for pair in text.split(","))
    return {name.strip(): amount.strip() for name, _, amount in pairs}
