"""What a deploy may hurt: typed warnings, and the sentence for each."""

import enum
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bulkhead.code_location.summary import AboveCeiling, Partitions, Summary

_SHOWN: Final = 3
"""Names that a sentence lists."""


class Severity(enum.Enum):
    """Whether a warning ends a strict deploy."""

    WARNING = "warning"
    """It may hurt. A strict deploy fails."""
    NOTE = "note"
    """Good to know: it hurts nobody, or it is the same in what is live."""


class DeployWarning(ABC):
    """One thing that a deploy may hurt."""

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return Severity.WARNING

    @property
    @abstractmethod
    def text(self) -> str:
        """What it means, and what to do."""


@dataclass(frozen=True)
class NothingDefined(DeployWarning):
    """The code location has no definitions."""

    @property
    def text(self) -> str:
        """What it means, and what to do."""
        return (
            "The code location defines no job, asset, schedule or sensor. Check `definitions` in "
            "values.yaml: it may name the wrong module or attribute."
        )


@dataclass(frozen=True)
class AssetGone(DeployWarning):
    """An asset is no longer made here, and something depends on it."""

    key: str
    locations: tuple[str, ...]
    """Other code locations with assets that depend on it."""
    assets: tuple[str, ...]
    """Assets of this code location that still depend on it."""

    @property
    def text(self) -> str:
        """What it means, and what to do."""
        users = [
            *(f"code location {name}" for name in self.locations),
            *(f"asset {name}" for name in self.assets),
        ]
        verb = "depends" if len(users) == 1 else "depend"
        return (
            f"Asset {self.key} is gone, but {listed(users)} still {verb} on it and will get no new "
            "data. Keep the asset, or remove the dependency first."
        )


@dataclass(frozen=True)
class AssetTaken(DeployWarning):
    """Another code location makes an asset with the same key."""

    key: str
    location: str
    is_new: bool
    """Whether it is not so in what is live."""

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return Severity.WARNING if self.is_new else Severity.NOTE

    @property
    def text(self) -> str:
        """What it means, and what to do."""
        return (
            f"Asset {self.key} is also an asset of code location {self.location}. Dagster takes "
            "both for one asset and mixes their runs. Give this one another key, for example with "
            "key_prefix, or declare it here as external with AssetSpec."
        )


@dataclass(frozen=True)
class PartitionsChanged(DeployWarning):
    """Assets or jobs get another partitions definition."""

    names: tuple[str, ...]
    """Such as `asset orders` and `job nightly`."""
    before: Partitions | None
    after: Partitions | None

    @property
    def severity(self) -> Severity:
        """A note where every partition of before is still there."""
        is_safe = self.before and self.after and is_extension(self.before, self.after)
        return Severity.NOTE if is_safe else Severity.WARNING

    @property
    def text(self) -> str:
        """What it means, and what to do."""
        change = f"{partitions_text(self.before)} → {partitions_text(self.after)}"
        happened = f"The partitions of {listed(self.names)} change: {change}."
        if self.severity is Severity.NOTE:
            return f"{happened} All partitions of before are kept."
        return (
            f"{happened} Data of partitions that no longer exist is not shown and not used. Plan a "
            "backfill of the new partitions, or keep the old definition."
        )


@dataclass(frozen=True)
class AutomationGone(DeployWarning):
    """A schedule or a sensor is gone."""

    kind: str
    """`schedule` or `sensor`."""
    name: str
    is_running: bool | None
    """Whether it is running now; None: not known."""

    @property
    def severity(self) -> Severity:
        """A note where it is not running."""
        return Severity.NOTE if self.is_running is False else Severity.WARNING

    @property
    def text(self) -> str:
        """What it means, and what to do."""
        happened = f"{self.kind.capitalize()} {self.name} is gone."
        if self.is_running is False:
            return f"{happened} It is stopped, so no run is lost."
        when = "It is running and stops" if self.is_running else "If it is running, it stops"
        return (
            f"{happened} {when} with this deploy, and nothing starts its runs any more. Keep it, "
            "or stop it in the Dagster UI first."
        )


@dataclass(frozen=True)
class JobGone(DeployWarning):
    """A job is gone."""

    name: str

    @property
    def text(self) -> str:
        """What it means, and what to do."""
        return (
            f"Job {self.name} is gone. Runs that are queued or running finish on their image, but "
            "nobody can start a new one or re-execute an old one. Keep the job if somebody needs "
            "it."
        )


@dataclass(frozen=True)
class StepsAboveCeiling(DeployWarning):
    """Steps request more than the platform admin allows."""

    steps: tuple[str, ...]
    excess: AboveCeiling
    location: str
    is_new: bool
    """Whether at least one of them can run in what is live."""

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return Severity.WARNING if self.is_new else Severity.NOTE

    @property
    def text(self) -> str:
        """What it means, and what to do."""
        excess = self.excess
        one = len(self.steps) == 1
        return (
            f"{'Step' if one else 'Steps'} {listed(self.steps)} {'requests' if one else 'request'} "
            f"{excess.resource} {excess.requested}; the ceiling of code location {self.location} "
            f"is {excess.allowed}, so {'it fails' if one else 'they fail'} at the start. Request "
            f"less, or ask the platform admin to raise codeLocations.{self.location}.ceiling."
        )


def find(
    before: Summary | None,
    after: Summary,
    *,
    dependents: Mapping[str, Sequence[str]],
    taken: Mapping[str, str],
    running: Collection[str] | None,
) -> tuple[DeployWarning, ...]:
    """Return what a deploy may hurt, the worst first; see `differences.compare`."""
    found: list[DeployWarning] = []
    if not (after.jobs or after.assets or after.schedules or after.sensors):
        found.append(NothingDefined())
    found += _above_ceiling(before, after)
    found += _taken(before, after, taken)
    if before is not None:
        found += _assets_gone(before, after, dependents)
        found += _partitions(before, after)
        found += _automation_gone(before, after, running)
        found += [JobGone(name) for name in _gone(before.jobs, after.jobs)]
    return tuple(sorted(found, key=lambda each: each.severity is Severity.NOTE))


def listed(names: Sequence[str]) -> str:
    """Return names as a sentence lists them: `a, b, c and 4 more`."""
    shown = [*names[:_SHOWN]]
    more = len(names) - len(shown)
    if more:
        return f"{', '.join(shown)} and {more} more"
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))


def partitions_text(partitions: Partitions | None) -> str:
    """Return a partitions definition for people."""
    return "no partitions" if partitions is None else partitions.text


def is_extension(before: Partitions, after: Partitions) -> bool:
    """Whether every partition of before exists after, under the same key."""
    if before.kind != after.kind:
        return False
    match before.kind:
        case "static":
            return bool(before.keys) and set(before.keys) <= set(after.keys)
        case "time":
            return (
                before.schedule == after.schedule
                and (after.start or "") <= (before.start or "")
                and (after.end is None or (before.end is not None and before.end <= after.end))
            )
        case "multi":
            return before.dimensions.keys() == after.dimensions.keys() and all(
                is_extension(each, after.dimensions[name])
                for name, each in before.dimensions.items()
            )
        case _:
            return before == after


def _gone(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    return sorted(before.keys() - after.keys())


def _made(summary: Summary | None) -> set[str]:
    """Return the keys of the assets that a code location materializes or observes."""
    if summary is None:
        return set()
    return {key for key, asset in summary.assets.items() if asset.execution != "external"}


def _above_ceiling(before: Summary | None, after: Summary) -> Iterator[StepsAboveCeiling]:
    known = set(before.above_ceiling) if before else set[str]()
    steps: defaultdict[AboveCeiling, list[str]] = defaultdict(list)
    for step, excess in sorted(after.above_ceiling.items()):
        steps[excess].append(step)
    for excess, names in steps.items():
        is_new = any(name not in known for name in names)
        yield StepsAboveCeiling(tuple(names), excess, after.location, is_new)


def _taken(
    before: Summary | None, after: Summary, taken: Mapping[str, str]
) -> Iterator[AssetTaken]:
    old = _made(before)
    for key in sorted(_made(after) & taken.keys()):
        if taken[key] != after.location:
            yield AssetTaken(key, taken[key], key not in old)


def _assets_gone(
    before: Summary, after: Summary, dependents: Mapping[str, Sequence[str]]
) -> Iterator[AssetGone]:
    for key in sorted(_made(before) - _made(after)):
        locations = tuple(sorted(set(dependents.get(key, ())) - {after.location}))
        assets = tuple(sorted(name for name, asset in after.assets.items() if key in asset.deps))
        if locations or assets:
            yield AssetGone(key, locations, assets)


def _partitions(before: Summary, after: Summary) -> Iterator[PartitionsChanged]:
    """Yield each change once, with all that it applies to."""
    names: defaultdict[tuple[str | None, str | None], list[str]] = defaultdict(list)
    for key in sorted(_made(before) & _made(after)):
        names[before.assets[key].partitions, after.assets[key].partitions].append(f"asset {key}")
    for name in sorted(before.jobs.keys() & after.jobs.keys()):
        # The partitions of a job of assets are those of its assets.
        if not after.jobs[name].assets:
            names[before.jobs[name].partitions, after.jobs[name].partitions].append(f"job {name}")
    for (old, new), changed in names.items():
        # Compared by value: another version of Bulkhead may give the same definition another id.
        was, now = before.partitions.get(old or ""), after.partitions.get(new or "")
        if was != now:
            yield PartitionsChanged(tuple(changed), was, now)


def _automation_gone(
    before: Summary, after: Summary, running: Collection[str] | None
) -> Iterable[AutomationGone]:
    for kind, old, new in (
        ("schedule", before.schedules, after.schedules),
        ("sensor", before.sensors, after.sensors),
    ):
        for name in _gone(old, new):
            yield AutomationGone(kind, name, None if running is None else name in running)
