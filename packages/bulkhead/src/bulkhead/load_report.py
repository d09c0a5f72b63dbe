"""What one web server says about a code location, as JSON in the location's namespace.

workspace-sync writes a report for each web server, and `bulkhead deploy` reads it. So a deployer
needs no right in the platform's namespace. `docs/design/contract.md` describes the format. Like
`names`, this module imports only the standard library.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, cast

RENEWAL_SECONDS: Final = 60.0
"""How often a report is written where nothing changed."""

LIVE_SECONDS: Final = 2.5 * RENEWAL_SECONDS
"""A report that is older than the newest one by more than this comes from a pod that is gone."""

LARGEST_BYTES: Final = 200_000
"""Of one report. A ConfigMap has at most 1 MiB, so it holds the reports of five web servers."""

_LONGEST_ERROR: Final = 4_000  # characters
_CUT: Final = "\n[…]\n"

# What is left out of a report that is too large, in this order.
_DISPENSABLE: Final = ("taken", "dependents", "running_schedules", "running_sensors")


class LoadReportError(ValueError):
    """A text is not a load report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """What one web server says about one code location.

    The assets, schedules and sensors are None where they are not known: the location is not loaded
    since the web server started, they are not read yet, or the report would be too large. They are
    read some seconds after the location was loaded; until then they are those of its last version.
    """

    image: str | None
    """The image that its code server reports. None where the location has a load error."""
    error: str | None
    """Why it could not be loaded; None where it is loaded."""
    unreachable: bool
    """Whether the error is that the code server did not respond. Dagster retries this by itself."""
    loading: bool
    """Whether the web server loads it now."""
    updated: float | None
    """When the web server loaded it last, by its clock, in seconds since the epoch. None where the
    location is not in the web server's workspace: it has no Service yet, or the Service is refused.
    """
    checked: float
    """When the web server said all this, by its clock, in seconds since the epoch."""
    dependents: Mapping[str, tuple[str, ...]] | None = None
    """Asset key, such as `shop/orders` → the other locations with assets that depend on it."""
    taken: Mapping[str, str] | None = None
    """Asset key → the other location that materializes or observes it."""
    running_schedules: tuple[str, ...] | None = None
    """The names of its schedules that are running."""
    running_sensors: tuple[str, ...] | None = None
    """The names of its sensors that are running."""

    @property
    def is_loaded(self) -> bool:
        """Whether it is loaded without an error."""
        return self.updated is not None and self.error is None and not self.loading

    def says_the_same_as(self, other: "LoadReport") -> bool:
        """Whether two reports differ at most in the time of the check."""
        return self == replace(other, checked=self.checked)

    def to_json(self) -> str:
        """Return the report as JSON, without its largest parts if it is too large with them."""
        fields = asdict(self)
        for name in _DISPENSABLE:
            if len(text := _json(fields)) <= LARGEST_BYTES:
                return text
            fields[name] = None
        return _json(fields)

    @classmethod
    def of_json(cls, text: str) -> "LoadReport":
        """Read what `to_json` returned; ignore fields that a later version may have added.

        Raises:
            LoadReportError: It is something else.
        """
        try:
            found: Any = json.loads(text)
            updated = found["updated"]
            return cls(
                image=found["image"],
                error=found["error"],
                unreachable=bool(found["unreachable"]),
                loading=bool(found["loading"]),
                updated=None if updated is None else float(updated),
                checked=float(found["checked"]),
                dependents=_map_of_names(found.get("dependents")),
                taken=found.get("taken"),
                running_schedules=_names(found.get("running_schedules")),
                running_sensors=_names(found.get("running_sensors")),
            )
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise LoadReportError(f"not a load report ({error!r}): {text[:80]!r}") from error


def bounded_error(error: str) -> str:
    """Return a load error with at most about 4,000 characters: its beginning and its end.

    The end has the innermost cause.
    """
    if len(error) <= _LONGEST_ERROR:
        return error
    half = _LONGEST_ERROR // 2
    return error[:half] + _CUT + error[-half:]


def live_reports(data: Mapping[str, str]) -> dict[str, LoadReport]:
    """Return the reports of the web servers that still run, by the names of their pods.

    Reports are compared with each other, not with the clock of this machine, which may differ. If
    all web servers are gone, the newest report is returned; `checked` says how old it is.

    Args:
        data: The data of the ConfigMap. What is not a load report is ignored.
    """
    found = {pod: _read(text) for pod, text in data.items()}
    reports = {pod: report for pod, report in found.items() if report is not None}
    newest = max((each.checked for each in reports.values()), default=0.0)
    return {
        pod: report for pod, report in reports.items() if report.checked >= newest - LIVE_SECONDS
    }


def _read(text: str) -> LoadReport | None:
    try:
        return LoadReport.of_json(text)
    except LoadReportError:
        return None


def _json(fields: Mapping[str, Any]) -> str:
    """Return ASCII: a load error may have characters that cannot be written as UTF-8."""
    return json.dumps(fields, separators=(",", ":"))


def _names(value: object) -> tuple[str, ...] | None:
    return None if value is None else tuple(cast("list[str]", value))


def _map_of_names(value: object) -> dict[str, tuple[str, ...]] | None:
    if value is None:
        return None
    found = cast("dict[str, list[str]]", value)
    return {key: tuple(locations) for key, locations in found.items()}
