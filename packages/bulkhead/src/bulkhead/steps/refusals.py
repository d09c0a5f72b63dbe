"""What an API server says when it will not have a pod: for ever, or for now."""

import re
from collections.abc import Mapping
from typing import Final

from bulkhead.kube import quantities
from bulkhead.steps.verdicts import Cause, Verdict

_PREFIX: Final = re.compile(
    r'^Error creating: (?:(?:pods|Pod) "[^"]*" is (?:forbidden|invalid): )?'
)
_QUOTA: Final = re.compile(
    r"exceeded quota: (?P<name>[^,]+), requested: (?P<requested>.*), used: (?P<used>.*), "
    r"limited: (?P<limited>.*)"
)
# An answer to what is asked for, whatever words it has (a policy's may speak of a timeout).
_FINAL: Final = re.compile(r'denied (?:the )?request|" is invalid: ')
# The server's own trouble; the next try may well succeed.
_PASSING: Final = re.compile(
    r"Internal error|no answer|timeout|timed out|etcdserver|connection refused|try again|"
    r"Too many requests|Internal server error|Service unavailable|Bad gateway|currently unable|"
    r"error looking up service account|status unknown for quota",
    re.IGNORECASE,
)


def of_refusal(message: str, step: str) -> tuple[Verdict, bool]:
    """Return the verdict on a refused pod, and whether waiting may help.

    Args:
        message: the API server's, or the Job controller's event about it.
        step: the step's key.
    """
    said = _PREFIX.sub("", message).strip().rstrip(".")
    quota = _QUOTA.search(said)
    if quota:
        return _of_quota(quota, step)
    if _PASSING.search(said) and not _FINAL.search(message):
        return Verdict(
            Cause.API, f"The API server could not take the pod of step {step}: {said}."
        ), True
    return Verdict(
        Cause.REJECTED, f"The pod of step {step} is refused by the API server: {said}."
    ), False


def _of_quota(quota: re.Match[str], step: str) -> tuple[Verdict, bool]:
    requested, limited = _amounts(quota["requested"]), _amounts(quota["limited"])
    facts = {
        "quota": quota["name"],
        "requested": quota["requested"],
        "used": quota["used"],
        "limited": quota["limited"],
    }
    for resource, amount in requested.items():
        if resource in limited and quantities.parse(amount) > quantities.parse(limited[resource]):
            return Verdict(
                Cause.QUOTA,
                f"Step {step} asks for {resource} {amount}, and the quota of its whole code "
                f"location is {limited[resource]} (set by the platform admin), so it would wait "
                "for ever. Ask for less, or have the quota raised.",
                facts,
            ), False
    return Verdict(
        Cause.QUOTA,
        f"Step {step} waits for room in the quota of its code location: it asks for "
        f"{quota['requested']}; used are {quota['used']} of {quota['limited']}.",
        facts,
    ), True


def _amounts(text: str) -> Mapping[str, str]:
    pairs = (pair.partition("=") for pair in text.split(","))
    return {name.strip(): amount.strip() for name, _, amount in pairs}
