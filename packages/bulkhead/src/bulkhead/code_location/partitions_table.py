"""The partitions definitions of a code location, each once."""

import hashlib
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from dagster import PartitionsDefinition

from bulkhead.code_location.summary import MOST_KEYS, Partitions
from bulkhead.dagster_compat import (
    DynamicPartitionsSnap,
    MultiPartitionsSnap,
    PartitionsSnap,
    StaticPartitionsSnap,
    TimeWindowPartitionsSnap,
)

_ID_LENGTH: Final = 10
_KEYS_IN_TEXT: Final = 5

_KNOWN_SCHEDULES: Final = {
    "0 * * * *": "hourly",
    "0 0 * * *": "daily",
    "0 0 * * 0": "weekly",
    "0 0 1 * *": "monthly",
}


class PartitionsTable:
    """Gives each partitions definition an id that is made of its parameters.

    Many assets share one definition, and a static one may have thousands of keys.
    """

    def __init__(self) -> None:
        """Begin with no definition."""
        self.by_id: dict[str, Partitions] = {}
        # By identity: two definitions are compared key by key. The definition is kept, so no other
        # object gets its identity.
        self._known: dict[int, tuple[PartitionsDefinition, str]] = {}

    def id_of(self, definition: PartitionsDefinition | None) -> str | None:
        """Return the id of a definition; None where there is none."""
        if definition is None:
            return None
        if id(definition) not in self._known:
            partitions = of_snap(PartitionsSnap.from_def(definition))
            digest = hashlib.sha256(repr(partitions).encode()).hexdigest()[:_ID_LENGTH]
            self.by_id[digest] = partitions
            self._known[id(definition)] = definition, digest
        return self._known[id(definition)][1]


def of_snap(snap: PartitionsSnap) -> Partitions:
    """Return the parameters of a definition that Dagster describes.

    Dagster supports these four kinds and rejects all others while it loads the definitions.
    """
    match snap:
        case TimeWindowPartitionsSnap():
            return _time_window(snap)
        case StaticPartitionsSnap():
            return _static([*snap.partition_keys])
        case DynamicPartitionsSnap():
            return Partitions("dynamic", f"dynamic {snap.name}")
        case MultiPartitionsSnap():
            dimensions = {each.name: of_snap(each.partitions) for each in snap.partition_dimensions}
            texts = [f"{name}: {each.text}" for name, each in sorted(dimensions.items())]
            return Partitions("multi", f"multi ({'; '.join(texts)})", dimensions=dimensions)
        case _:
            return Partitions("other", type(snap).__name__)


def _time_window(snap: TimeWindowPartitionsSnap) -> Partitions:
    timezone = snap.timezone or "UTC"
    cron = snap.cron_schedule or ""
    schedule = [_KNOWN_SCHEDULES.get(cron, f"cron {cron}"), timezone, snap.fmt]
    if snap.end_offset:
        schedule.append(f"end offset {snap.end_offset:+d}")
    # Only newer versions of Dagster have them, and not all definitions.
    if exclusions := getattr(snap, "exclusions", None):
        schedule.append(f"without {', '.join(map(str, exclusions))}")
    start = _time(snap.start, timezone)
    end = _time(snap.end, timezone) if snap.end else None
    span = f"from {_short(start)}" + (f" to {_short(end)}" if end else "")
    return Partitions(
        "time",
        f"{schedule[0]} {span} ({', '.join(schedule[1:])})",
        start=start,
        end=end,
        schedule=", ".join(schedule),
    )


def _static(keys: list[str]) -> Partitions:
    if len(keys) > MOST_KEYS:
        digest = hashlib.sha256("\n".join(keys).encode()).hexdigest()[:_ID_LENGTH]
        return Partitions("static", f"static, {len(keys)} keys (digest {digest})")
    shown = ", ".join(keys[:_KEYS_IN_TEXT])
    more = len(keys) - _KEYS_IN_TEXT
    text = f"static {shown}" + (f" and {more} more" if more > 0 else "")
    return Partitions("static", text, keys=tuple(keys))


def _time(timestamp: float, timezone: str) -> str:
    return datetime.fromtimestamp(timestamp, ZoneInfo(timezone)).isoformat()


def _short(time: str) -> str:
    """Return only the date of a time at midnight."""
    date, _, rest = time.partition("T")
    return date if rest.startswith("00:00:00") else time
