"""What a step asks for: `step_resources`, in one line on an op or asset, and how it is read."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, cast

from bulkhead import names
from bulkhead.kube import quantities
from bulkhead.kube.quantities import MIB, QuantityError

# What a step pod uses before the first line of user code, on top of which nothing would be left.
SMALLEST_MEMORY: Final = 136 * MIB

_DURATION: Final = re.compile(r"(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m)?(?:(?P<s>\d+)s)?", re.ASCII)


class StepResourcesError(ValueError):
    """What a step asks for makes no sense; `str()` says which setting, its value, what is allowed.

    It does not say which step: whoever reads the tags knows that.
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
    """Return the tags of an op or asset that say what its step needs.

    Every argument is optional; what is left out comes from the op's `dagster-k8s/config` tag, the
    code location's defaults, the platform's. Where that tag says another amount, this one wins.

    Args:
        memory: request and limit; over it the kernel ends the step.
        cpu: request and limit in cores, such as `"500m"` or `2`; over it the step is slowed down.
        max_memory: how far the limit may grow when `memory` was too little; absent: not at all.
        ephemeral_storage: request and limit of what the step may write to its file system.
        timeout: longest life of the step's pod, such as `"1h30m"`; a number is seconds.
        retries_on_oom: how often a step that was killed for memory may be repeated with twice as
            much; absent: until `max_memory` is reached.

    Nonsense is refused when the code location is loaded, and the error names the op: here it is not
    known yet whose tags these are.
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
    """What `step_resources` said, as numbers: bytes, cores, seconds."""

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
            StepResourcesError: a setting makes no sense.
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
                f"tag {names.STEP_RESOURCES_TAG} is {text!r}, which is no JSON object; write it "
                "with bulkhead.steps.step_resources"
            )
        return cls._of_settings(cast("dict[str, Any]", given))

    @classmethod
    def _of_settings(cls, given: Mapping[str, Any]) -> "StepResources":
        unknown = sorted(given.keys() - cls.__dataclass_fields__.keys())
        if unknown:
            raise StepResourcesError(
                f"{unknown[0]} is no setting of step_resources; those are "
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
            refuse_too_little_memory(found.memory)
        if found.memory and found.max_memory and found.max_memory < found.memory:
            raise StepResourcesError(
                f"max_memory: {given['max_memory']} is below memory: {given['memory']}; it is how "
                "far the limit may grow, so give it at least as much or leave it out"
            )
        return found

    def container_resources(self) -> dict[str, dict[str, str]]:
        """Return `requests` and `limits` of a container; both are the same amounts, or empty."""
        said: dict[str, str] = {}
        if self.memory:
            said["memory"] = quantities.exact_bytes(self.memory)
        if self.cpu:
            said["cpu"] = quantities.exact_cores(self.cpu)
        if self.ephemeral_storage:
            said["ephemeral-storage"] = quantities.exact_bytes(self.ephemeral_storage)
        return {"requests": said, "limits": dict(said)} if said else {}


def refuse_too_little_memory(memory: int) -> None:
    """Raise StepResourcesError where a step could not even start in so many bytes."""
    if memory < SMALLEST_MEMORY:
        raise StepResourcesError(
            f"memory: {quantities.exact_bytes(memory)} is too little: a step takes about "
            f"{quantities.exact_bytes(SMALLEST_MEMORY)} before its own code runs, so it would be "
            "killed at once. Give it more than that, such as 192Mi"
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
        raise StepResourcesError(f"{name}: {given[name]!r} is nothing; leave it out or give some")
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
            f"{name}: {value!r} is no length of time; give hours, minutes and seconds such as "
            "1h30m, 20m or 90s, or a number of seconds"
        )
    return seconds


def _count(given: Mapping[str, Any], name: str) -> int | None:
    value = given.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise StepResourcesError(f"{name}: {value!r} is no whole number; give 0 or more")
    return value
