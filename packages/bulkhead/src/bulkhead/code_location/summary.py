"""What a code location defines: the types that its pod reports and a deploy compares.

Two versions of a code location may have two versions of Bulkhead. So fields that are not known are
ignored when a summary is read, and fields that are missing get their default.

This module imports only the standard library: `bulkhead deploy` reads summaries without Dagster.
`bulkhead.code_location.summarizing` makes them.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, TypeVar, cast

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Partitions:
    """A partitions definition with its parameters.

    Of a time window, `start` and `end` are ISO 8601 times in its timezone, and `text` has all
    parameters. `keys` are those of a static definition; one with more than `MOST_KEYS` has none,
    only their number and a digest in `text`. `dimensions` are those of a multi-partitions
    definition.
    """

    kind: str
    """`time`, `static`, `dynamic` or `multi`."""
    text: str
    start: str | None = None
    end: str | None = None
    schedule: str = ""
    """Of a time window: all parameters except start and end."""
    keys: tuple[str, ...] = ()
    dimensions: Mapping[str, "Partitions"] = field(default_factory=dict[str, "Partitions"])

    @classmethod
    def of_json(cls, value: Mapping[str, Any]) -> "Partitions":
        """Read one from JSON."""
        return _item(cls, {**value, "dimensions": _partitions(value.get("dimensions"))})


MOST_KEYS: Final = 1000
"""The largest number of static partition keys that a summary lists."""


@dataclass(frozen=True)
class Job:
    """A job: the assets that it materializes, or the ops that it runs."""

    assets: tuple[str, ...] = ()
    ops: tuple[str, ...] = ()
    partitions: str | None = None
    """Id of its partitions definition in `Summary.partitions`."""


@dataclass(frozen=True)
class Asset:
    """An asset. Its key is the text that the Dagster UI shows, such as `shop/orders`."""

    deps: tuple[str, ...] = ()
    group: str = ""
    execution: str = "materialization"
    """`materialization`, `observation` or `external` (another process makes it)."""
    partitions: str | None = None
    """Id of its partitions definition in `Summary.partitions`."""
    automation: str | None = None
    """The text of its automation condition."""
    automation_id: str | None = None
    """A digest of all of the condition: a label may stand for different conditions."""


@dataclass(frozen=True)
class Check:
    """An asset check."""

    asset: str
    blocking: bool = False


@dataclass(frozen=True)
class Schedule:
    """A schedule."""

    cron: tuple[str, ...]
    timezone: str = "UTC"
    target: str = ""
    """The name of its job, or its asset selection."""
    runs_by_default: bool = False


@dataclass(frozen=True)
class Sensor:
    """A sensor."""

    targets: tuple[str, ...] = ()
    """The names of its jobs, or its asset selection."""
    runs_by_default: bool = False
    interval: int | None = None
    """Seconds between two evaluations; None: Dagster's default."""


@dataclass(frozen=True)
class Resource:
    """A resource of the `Definitions`."""

    type: str


@dataclass(frozen=True)
class Step:
    """What a step requests, as Kubernetes quantities and seconds; None: the default applies."""

    cpu: str | None = None
    memory: str | None = None
    max_memory: str | None = None
    timeout: int | None = None


@dataclass(frozen=True)
class AboveCeiling:
    """What a step requests above the ceiling, as Kubernetes quantities."""

    resource: str
    requested: str
    allowed: str


@dataclass(frozen=True)
class Summary:
    """All that a code location defines, by name.

    Names of a code location with several repositories begin with that of the repository and a
    slash. Jobs that Dagster makes itself are left out, and so are assets that are only named as
    dependencies.
    """

    location: str = ""
    """The name of the code location; empty outside of the platform."""
    jobs: Mapping[str, Job] = field(default_factory=dict[str, Job])
    assets: Mapping[str, Asset] = field(default_factory=dict[str, Asset])
    checks: Mapping[str, Check] = field(default_factory=dict[str, Check])
    """By `asset:check`."""
    schedules: Mapping[str, Schedule] = field(default_factory=dict[str, Schedule])
    sensors: Mapping[str, Sensor] = field(default_factory=dict[str, Sensor])
    resources: Mapping[str, Resource] = field(default_factory=dict[str, Resource])
    partitions: Mapping[str, Partitions] = field(default_factory=dict[str, Partitions])
    """By an id that is made of their parameters."""
    steps: Mapping[str, Step] = field(default_factory=dict[str, Step])
    """Steps that request resources themselves, by step key."""
    ceiling: Mapping[str, str] = field(default_factory=dict[str, str])
    """The largest step that the platform admin allows, as Kubernetes quantities."""
    above_ceiling: Mapping[str, AboveCeiling] = field(default_factory=dict[str, AboveCeiling])
    """Steps that cannot run, by step key."""

    def as_json(self) -> dict[str, Any]:
        """Return a JSON object, the same for the same definitions."""
        # Tuples become lists, as they are when the object is read again.
        return cast("dict[str, Any]", json.loads(json.dumps(asdict(self), sort_keys=True)))

    @classmethod
    def of_json(cls, value: Mapping[str, Any]) -> "Summary":
        """Read a summary from what `as_json` returned, also of another version of Bulkhead.

        Raises:
            ValueError: it is not a summary.
        """
        try:
            return cls(
                location=str(value.get("location") or ""),
                jobs=_items(Job, value.get("jobs")),
                assets=_items(Asset, value.get("assets")),
                checks=_items(Check, value.get("checks")),
                schedules=_items(Schedule, value.get("schedules")),
                sensors=_items(Sensor, value.get("sensors")),
                resources=_items(Resource, value.get("resources")),
                partitions=_partitions(value.get("partitions")),
                steps=_items(Step, value.get("steps")),
                ceiling=dict(value.get("ceiling") or {}),
                above_ceiling=_items(AboveCeiling, value.get("above_ceiling")),
            )
        except (AttributeError, TypeError) as error:
            raise ValueError(f"it is not a summary of definitions: {error}") from error


def _items(kind: type[_Item], values: Mapping[str, Mapping[str, Any]] | None) -> dict[str, _Item]:
    return {name: _item(kind, value) for name, value in (values or {}).items()}


def _partitions(values: Mapping[str, Mapping[str, Any]] | None) -> dict[str, Partitions]:
    return {name: Partitions.of_json(value) for name, value in (values or {}).items()}


def _item(kind: type[_Item], value: Mapping[str, Any]) -> _Item:
    known = {each.name for each in fields(cast("Any", kind))}
    return kind(
        **{
            name: tuple(cast("list[str]", given)) if isinstance(given, list) else given
            for name, given in value.items()
            if name in known
        }
    )
