"""`step_resources`: what a step requests, in one line on an op or asset, and how it is read."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, cast

from bulkhead import names
from bulkhead.kube import quantities
from bulkhead.kube.quantities import MIB, QuantityError

SMALLEST_MEMORY: Final = 136 * MIB
"""Bytes that a step's pod uses before the first line of the team's code (measured); nothing below
that can run."""

SUGGESTED_MEMORY: Final = 192 * MIB
"""Bytes; the smallest limit that is ever suggested to people."""

_DURATION: Final = re.compile(r"(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m)?(?:(?P<s>\d+)s)?", re.ASCII)


class StepResourcesError(ValueError):
    """A step requests something invalid; `str()` names the setting, its value and what is allowed.

    It does not name the step. The code that reads the tags knows it.
    """


def step_resources(
    *,
    memory: str | int | None = None,
    cpu: str | float | None = None,
    max_memory: str | int | None = None,
    ephemeral_storage: str | int | None = None,
    timeout: str | int | None = None,
    retries_on_oom: int | None = None,
) -> dict[str, str]:
    """Return the tags of an op or asset that say what its step requests.

    Every argument is optional. What is left out comes from the op's `dagster-k8s/config` tag, then
    from the defaults of the code location, then from those of the platform. An argument wins over
    that tag.

    Args:
        memory: request and limit, such as `"512Mi"`; above it the kernel kills the step.
        cpu: request and limit in cores, such as `"500m"` or `2`; above it the step is throttled.
        max_memory: the largest value to which the memory limit may grow; absent: it does not grow.
        ephemeral_storage: request and limit of what the step may write to its file system.
        timeout: longest life of the step's pod, such as `"1h30m"`; a number is seconds.
        retries_on_oom: how often a step that ran out of memory may be retried with twice as much;
            absent: until `max_memory` is reached.

    Invalid values are rejected when the code location is loaded. The error then names the op, which
    is not known here.
    """
    given = {
        "memory": memory,
        "cpu": cpu,
        "max_memory": max_memory,
        "ephemeral_storage": ephemeral_storage,
        "timeout": timeout,
        "retries_on_oom": retries_on_oom,
    }
    return {names.STEP_RESOURCES_TAG: json.dumps({k: v for k, v in given.items() if v is not None})}


@dataclass(frozen=True)
class StepResources:
    """What `step_resources` was given, as numbers: bytes, cores, seconds."""

    memory: int | None = None
    cpu: Decimal | None = None
    max_memory: int | None = None
    ephemeral_storage: int | None = None
    timeout: int | None = None
    retries_on_oom: int | None = None

    @classmethod
    def of_tags(cls, tags: Mapping[str, str]) -> "StepResources":
        """Read the tags of a step.

        Raises:
            StepResourcesError: a setting is invalid.
        """
        text = tags.get(names.STEP_RESOURCES_TAG)
        if not text:
            return cls()
        try:
            given: Any = json.loads(text)
        except ValueError:
            given = None
        if not isinstance(given, dict):
            raise StepResourcesError(
                f"tag {names.STEP_RESOURCES_TAG} is {text!r}, which is not a JSON object. Write it "
                "with bulkhead.steps.step_resources"
            )
        return cls._of_settings(cast("dict[str, Any]", given))

    @classmethod
    def _of_settings(cls, given: Mapping[str, Any]) -> "StepResources":
        unknown = sorted(given.keys() - cls.__dataclass_fields__.keys())
        if unknown:
            raise StepResourcesError(
                f"{unknown[0]} is not a setting of step_resources. Its settings are "
                f"{', '.join(cls.__dataclass_fields__)}"
            )
        found = cls(
            memory=_bytes(given, "memory"),
            cpu=_cores(given, "cpu"),
            max_memory=_bytes(given, "max_memory"),
            ephemeral_storage=_bytes(given, "ephemeral_storage"),
            timeout=_seconds(given, "timeout"),
            retries_on_oom=_count(given, "retries_on_oom"),
        )
        if found.memory is not None:
            check_memory(found.memory)
        if found.memory and found.max_memory and found.max_memory < found.memory:
            raise StepResourcesError(
                f"max_memory: {given['max_memory']} is below memory: {given['memory']}. The limit "
                "grows from memory to max_memory. Raise max_memory, or leave it out"
            )
        return found

    def container_resources(self) -> dict[str, dict[str, str]]:
        """Return `requests` and `limits` of a container; both are the same amounts, or empty."""
        amounts: dict[str, str] = {}
        if self.memory:
            amounts["memory"] = quantities.exact_bytes(self.memory)
        if self.cpu:
            amounts["cpu"] = quantities.exact_cores(self.cpu)
        if self.ephemeral_storage:
            amounts["ephemeral-storage"] = quantities.exact_bytes(self.ephemeral_storage)
        return {"requests": amounts, "limits": dict(amounts)} if amounts else {}


def check_memory(memory: int) -> None:
    """Raise StepResourcesError where a step cannot start with this memory, in bytes."""
    if memory < SMALLEST_MEMORY:
        raise StepResourcesError(
            f"memory: {quantities.exact_bytes(memory)} is too little. A step uses about "
            f"{quantities.exact_bytes(SMALLEST_MEMORY)} before its own code runs. Request at least "
            f"{quantities.exact_bytes(SUGGESTED_MEMORY)}"
        )


def _bytes(given: Mapping[str, Any], name: str) -> int | None:
    amount = _quantity(given, name)
    return None if amount is None else quantities.parse_bytes(given[name])


def _cores(given: Mapping[str, Any], name: str) -> Decimal | None:
    return _quantity(given, name)


def _quantity(given: Mapping[str, Any], name: str) -> Decimal | None:
    if name not in given:
        return None
    try:
        amount = quantities.parse(given[name])
    except QuantityError as error:
        raise StepResourcesError(f"{name}: {error}") from error
    if not amount:
        raise StepResourcesError(f"{name}: {given[name]!r} is zero. Request more, or leave it out")
    return amount


def _seconds(given: Mapping[str, Any], name: str) -> int | None:
    if name not in given:
        return None
    value = given[name]
    text = f"{value}s" if str(value).isdecimal() else str(value)
    match = _DURATION.fullmatch(text)
    seconds = 0
    if match:
        seconds = sum(
            int(match[unit] or 0) * factor for unit, factor in (("h", 3600), ("m", 60), ("s", 1))
        )
    if not seconds:
        raise StepResourcesError(
            f"{name}: {value!r} is not a valid duration. Use hours, minutes and seconds such as "
            "1h30m, 20m or 90s, or a number of seconds"
        )
    return seconds


def _count(given: Mapping[str, Any], name: str) -> int | None:
    value = given.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise StepResourcesError(
            f"{name}: {value!r} is not a valid count. Use a whole number, 0 or more"
        )
    return value
