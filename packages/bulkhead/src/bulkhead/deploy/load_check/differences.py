"""What changes with a deploy: by kind and name, in one line, in a table, and with warnings."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, cast

from bulkhead.code_location.summary import Summary
from bulkhead.deploy.load_check import deploy_warnings
from bulkhead.deploy.load_check.deploy_warnings import (
    DeployWarning,
    Severity,
    listed,
    partitions_text,
)

# Kinds of definitions: the field of a summary, and the words for one and for several.
_KINDS: Final = (
    ("jobs", "job", "jobs"),
    ("assets", "asset", "assets"),
    ("checks", "check", "checks"),
    ("schedules", "schedule", "schedules"),
    ("sensors", "sensor", "sensors"),
    ("resources", "resource", "resources"),
    ("steps", "step limit", "step limits"),
)
_GONE: Final = "\N{MINUS SIGN}"
_UNITS: Final = {"timeout": " s", "interval": " s"}
# What the line counts also if it does not change.
_COUNTED: Final = frozenset({"jobs", "assets", "checks", "schedules", "sensors"})


@dataclass(frozen=True)
class Change:
    """A definition that stays, but not as it was."""

    name: str
    details: tuple[str, ...]
    """Such as `group raw → shop`, or the names of a list that are new (+) and gone (−)."""  # noqa: RUF001


@dataclass(frozen=True)
class KindDifference:
    """What changes among the definitions of one kind."""

    kind: str
    """The field of `Summary`, such as `assets`."""
    count: int
    """After the deploy."""
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[Change, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing changes."""
        return not (self.added or self.removed or self.changed)


@dataclass(frozen=True)
class Differences:
    """What changes with a deploy."""

    kinds: tuple[KindDifference, ...]
    """All kinds, in the order in which people read them."""
    warnings: tuple[DeployWarning, ...]
    """What may hurt, the worst first."""
    is_first: bool
    """Whether nothing is known of what is live, so that nothing is compared."""

    @property
    def is_empty(self) -> bool:
        """Whether no definition changes."""
        return not self.is_first and all(each.is_empty for each in self.kinds)

    @property
    def strict_failures(self) -> tuple[DeployWarning, ...]:
        """The warnings that end a strict deploy."""
        return tuple(each for each in self.warnings if each.severity is Severity.WARNING)

    @property
    def line(self) -> str:
        """One line: `3 jobs, 11 assets (+1: weekly_orders; −0), 4 checks`."""  # noqa: RUF002
        counts = ", ".join(_of_kinds(self.kinds)) or "no definitions"
        if self.is_first:
            return f"{counts}; nothing to compare with"
        return f"{counts}; no changes" if self.is_empty else counts

    @property
    def details(self) -> str:
        """A line for each definition that changes; empty where none does.

        It begins with `+` (new), `−` (gone) or `~` (changed), and the columns are aligned.
        """  # noqa: RUF002
        rows = [row for each in self.kinds for row in _rows(each)]
        width = max((len(name) for _, name, _ in rows), default=0)
        return "\n".join(
            f"{sign} {name:<{width}}  {details}".rstrip() for sign, name, details in rows
        )

    def as_json(self) -> dict[str, Any]:
        """Return the same for machines."""
        return {
            "kinds": {each.kind: asdict(each) for each in self.kinds},
            "warnings": [
                {
                    "type": type(each).__name__,
                    "severity": each.severity.value,
                    "text": each.text,
                    **asdict(cast("Any", each)),
                }
                for each in self.warnings
            ],
            "first": self.is_first,
        }


def compare(
    before: Summary | None,
    after: Summary,
    *,
    dependents: Mapping[str, Sequence[str]] | None = None,
    taken: Mapping[str, str] | None = None,
    running: Collection[str] | None = None,
) -> Differences:
    """Return what changes with a deploy.

    Args:
        before: what is live; None where it is not known, or nothing is live.
        after: what the load check has found.
        dependents: asset key to the code locations with assets that depend on it.
        taken: asset key to another code location that makes an asset with this key.
        running: names of the schedules and sensors that run now; None: not known.
    """
    return Differences(
        kinds=tuple(_of_kind(kind, before, after) for kind, _, _ in _KINDS),
        warnings=deploy_warnings.find(
            before, after, dependents=dependents or {}, taken=taken or {}, running=running
        ),
        is_first=before is None,
    )


def _of_kind(kind: str, before: Summary | None, after: Summary) -> KindDifference:
    new: Mapping[str, Any] = getattr(after, kind)
    if before is None:
        return KindDifference(kind, len(new))
    old: Mapping[str, Any] = getattr(before, kind)
    changed = [
        Change(name, details)
        for name in sorted(old.keys() & new.keys())
        if (details := tuple(_changes(old[name], new[name], before, after)))
    ]
    return KindDifference(
        kind,
        len(new),
        tuple(sorted(new.keys() - old.keys())),
        tuple(sorted(old.keys() - new.keys())),
        tuple(changed),
    )


# --- One definition -------------------------------------------------------------------------------


def _changes(old: object, new: object, before: Summary, after: Summary) -> Iterator[str]:
    """Yield what is different about a definition, field by field."""
    for name in (each.name for each in fields(cast("Any", new))):
        was, now = getattr(old, name), getattr(new, name)
        if was == now:
            continue
        word = name.replace("_", " ")
        if name == "partitions":
            # Another version of Bulkhead may give the same definition another id.
            then, later = before.partitions.get(was), after.partitions.get(now)
            if then != later:
                yield f"partitions {partitions_text(then)} → {partitions_text(later)}"
        elif name == "automation_id":
            if getattr(old, "automation") == getattr(new, "automation"):  # noqa: B009
                yield "automation: conditions with the same label differ"
        elif isinstance(now, bool):
            yield word if now else f"no longer {word}"
        elif isinstance(now, tuple):
            if names := _of_names(was, cast("tuple[str, ...]", now)):
                yield f"{word} {names}"
        else:
            unit = _UNITS.get(name, "")
            yield f"{word} {_text(was, unit)} → {_text(now, unit)}"


def _of_names(was: tuple[str, ...], now: tuple[str, ...]) -> str:
    added = [f"+{name}" for name in now if name not in was]
    removed = [f"{_GONE}{name}" for name in was if name not in now]
    return " ".join([*added, *removed])


def _text(value: object, unit: str) -> str:
    return "none" if value in {None, ""} else f"{value}{unit}"


# --- Texts ----------------------------------------------------------------------------------------


def _of_kinds(kinds: Sequence[KindDifference]) -> Iterator[str]:
    for each, (kind, one, several) in zip(kinds, _KINDS, strict=True):
        if each.is_empty and not (each.count and kind in _COUNTED):
            continue
        parts: list[str] = []
        if each.added or each.removed:
            parts += [_of_sign("+", each.added), _of_sign(_GONE, each.removed)]
        if each.changed:
            parts.append(_of_sign("~", [change.name for change in each.changed]))
        count = f"{each.count} {one if each.count == 1 else several}"
        yield f"{count} ({'; '.join(parts)})" if parts else count


def _of_sign(sign: str, names: Sequence[str]) -> str:
    return f"{sign}{len(names)}" + (f": {listed(names)}" if names else "")


def _rows(difference: KindDifference) -> Iterator[tuple[str, str, str]]:
    one = next(one for kind, one, _ in _KINDS if kind == difference.kind)
    for name in difference.added:
        yield "+", f"{one} {name}", ""
    for name in difference.removed:
        yield _GONE, f"{one} {name}", ""
    for change in difference.changed:
        yield "~", f"{one} {change.name}", "; ".join(change.details)
