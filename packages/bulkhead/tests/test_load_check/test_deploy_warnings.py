"""What a deploy may hurt is a warning, for pairs of summaries and what is known of the platform."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import pytest
from packages.bulkhead.tests.test_load_check.summaries import BEFORE, changed, daily, multi, static

from bulkhead.code_location.summary import AboveCeiling, Asset, Job, Partitions, Resource, Summary
from bulkhead.deploy.load_check.deploy_warnings import Severity
from bulkhead.deploy.load_check.differences import compare

NOTE, WARNING = Severity.NOTE, Severity.WARNING

_Found = tuple[Severity, str]


def warning(text: str) -> _Found:
    return WARNING, text


def note(text: str) -> _Found:
    return NOTE, text


class Warned(NamedTuple):
    """What is known beside two summaries, and the warnings."""

    name: str
    after: Summary
    warnings: Sequence[_Found]
    before: Summary | None = BEFORE
    dependents: Mapping[str, Sequence[str]] | None = None
    taken: Mapping[str, str] | None = None
    running: Collection[str] | None = None

    def __str__(self) -> str:
        return self.name


def above(resource: str = "memory", requested: str = "4Gi") -> AboveCeiling:
    return AboveCeiling(resource, requested, "2Gi")


NO_DEFINITIONS = (
    "The code location defines no job, asset, schedule or sensor. Check `definitions` in "
    "values.yaml: it may name the wrong module or attribute."
)
CEILING = (
    "at the start. Request less, or ask the platform admin to raise codeLocations.shop.ceiling."
)

WARNED = [
    Warned("nothing changes", BEFORE, []),
    Warned("the first deploy", BEFORE, [], before=None),
    Warned(
        "the first deploy has no definitions",
        Summary(resources={"database": Resource("a.B")}),
        [warning(NO_DEFINITIONS)],
        before=None,
    ),
    Warned("assets that nobody uses are gone", changed(assets={"totals": None}), []),
    Warned(
        "an asset that others use is gone",
        changed(assets={"orders": None, "totals": None}, jobs={"refresh": Job(assets=("x",))}),
        [
            warning(
                "Asset orders is gone, but code location ml and code location web still depend on "
                "it and will get no new data. Keep the asset, or remove the dependency first."
            )
        ],
        dependents={"orders": ["web", "ml"], "totals": ["shop"], "other": ["ml"]},
    ),
    Warned(
        "an asset that an asset here uses is gone",
        changed(assets={"orders": None}),
        [
            warning(
                "Asset orders is gone, but asset totals still depends on it and will get no new "
                "data. Keep the asset, or remove the dependency first."
            )
        ],
    ),
    Warned(
        "an asset becomes external",
        changed(assets={"orders": Asset(execution="external")}),
        [
            warning(
                "Asset orders is gone, but code location ml and asset totals still depend on it "
                "and will get no new data. Keep the asset, or remove the dependency first."
            )
        ],
        dependents={"orders": ["ml"]},
    ),
    Warned(
        "an external asset is no longer declared",
        changed(assets={"elsewhere": None}),
        [],
        dependents={"elsewhere": ["ml"]},
    ),
    Warned(
        "a new asset has the key of another location's",
        changed(assets={"clicks": Asset()}),
        [
            warning(
                "Asset clicks is also an asset of code location web. Dagster takes both for one "
                "asset and mixes their runs. Give this one another key, for example with "
                "key_prefix, or declare it here as external with AssetSpec."
            )
        ],
        taken={"clicks": "web", "elsewhere": "web", "orders": "shop"},
    ),
    Warned(
        "an asset has had the key of another location's for long",
        BEFORE,
        [
            note(
                "Asset orders is also an asset of code location web. Dagster takes both for one "
                "asset and mixes their runs. Give this one another key, for example with "
                "key_prefix, or declare it here as external with AssetSpec."
            )
        ],
        taken={"orders": "web"},
    ),
    Warned(
        "a schedule that is running is gone",
        changed(schedules={"at_night": None}),
        [
            warning(
                "Schedule at_night is gone. It is running and stops with this deploy, and nothing "
                "starts its runs any more. Keep it, or stop it in the Dagster UI first."
            )
        ],
        running=["at_night"],
    ),
    Warned(
        "a schedule is gone, and nobody knows whether it is running",
        changed(schedules={"at_night": None}),
        [
            warning(
                "Schedule at_night is gone. If it is running, it stops with this deploy, and "
                "nothing starts its runs any more. Keep it, or stop it in the Dagster UI first."
            )
        ],
    ),
    Warned(
        "a sensor that is stopped is gone",
        changed(sensors={"watch": None}),
        [note("Sensor watch is gone. It is stopped, so no run is lost.")],
        running=["at_night"],
    ),
    Warned(
        "a job is gone",
        changed(jobs={"nightly": None}),
        [
            warning(
                "Job nightly is gone. Runs that are queued or running finish on their image, but "
                "nobody can start a new one or re-execute an old one. Keep the job if somebody "
                "needs it."
            )
        ],
    ),
    Warned(
        "a new step is above the ceiling",
        replace(BEFORE, above_ceiling={"load": above()}),
        [
            warning(
                "Step load requests memory 4Gi; the ceiling of code location shop is 2Gi, so it "
                f"fails {CEILING}"
            )
        ],
    ),
    Warned(
        "many steps are above the ceiling, as before",
        replace(BEFORE, above_ceiling={name: above() for name in "abcd"}),
        [
            note(
                "Steps a, b, c and 1 more request memory 4Gi; the ceiling of code location shop is "
                f"2Gi, so they fail {CEILING}"
            )
        ],
        before=replace(BEFORE, above_ceiling={name: above() for name in "abcd"}),
    ),
    Warned(
        "one more step is above the ceiling, in the first deploy, the worst first",
        replace(BEFORE, above_ceiling={"a": above(), "b": above(requested="8Gi")}),
        [
            warning(
                "Step a requests memory 4Gi; the ceiling of code location shop is 2Gi, so it fails "
                f"{CEILING}"
            ),
            warning(
                "Step b requests memory 8Gi; the ceiling of code location shop is 2Gi, so it fails "
                f"{CEILING}"
            ),
        ],
        before=None,
    ),
]


@pytest.mark.parametrize("case", WARNED, ids=str)
def test_what_may_hurt_is_a_warning(case: Warned) -> None:
    found = compare(
        case.before,
        case.after,
        dependents=case.dependents,
        taken=case.taken,
        running=case.running,
    )
    assert [(each.severity, each.text) for each in found.warnings] == case.warnings
    assert found.strict_failures == tuple(
        each for each in found.warnings if each.severity is WARNING
    )
    assert [each.text for each in found.warnings if len(each.text) > 300] == []


def test_the_worst_comes_first() -> None:
    found = compare(
        BEFORE,
        changed(sensors={"watch": None}, jobs={"nightly": None}),
        running=[],
    )
    assert [each.severity for each in found.warnings] == [WARNING, NOTE]


PARTITIONS = [
    (daily(), daily(), None),
    (daily(), daily("2023-01-01"), NOTE),
    (daily(), daily("2025-01-01"), WARNING),
    (daily(), daily(zone="Europe/Berlin"), WARNING),
    (daily(), daily(end="2025-01-01"), WARNING),
    (daily(end="2025-01-01"), daily(), NOTE),
    (daily(end="2025-01-01"), daily(end="2026-01-01"), NOTE),
    (daily(end="2026-01-01"), daily(end="2025-01-01"), WARNING),
    (static("de", "fr"), static("de", "fr", "it"), NOTE),
    (static("de", "fr"), static("fr", "de"), NOTE),
    (static("de", "fr"), static("de"), WARNING),
    (Partitions("static", "static, 1001 keys (digest a)"),
     Partitions("static", "static, 1002 keys (digest b)"), WARNING),
    (Partitions("dynamic", "dynamic a"), Partitions("dynamic", "dynamic b"), WARNING),
    (multi(a=daily(), b=static("x")), multi(a=daily("2023-01-01"), b=static("x", "y")), NOTE),
    (multi(a=daily(), b=static("x")), multi(a=daily("2023-01-01"), b=static("y")), WARNING),
    (multi(a=daily(), b=static("x")), multi(a=daily(), c=static("x")), WARNING),
    (daily(), static("de"), WARNING),
    (daily(), None, WARNING),
    (None, daily(), WARNING),
]  # fmt: skip


@pytest.mark.parametrize(("was", "now", "severity"), PARTITIONS)
def test_other_partitions_are_a_warning_unless_all_of_before_are_kept(
    was: Partitions | None, now: Partitions | None, severity: Severity | None
) -> None:
    def summary(partitions: Partitions | None) -> Summary:
        key = partitions and repr(partitions)
        return Summary(
            jobs={
                "of_assets": Job(assets=("a", "b"), partitions=key),
                "of_ops": Job(ops=("op",), partitions=key),
            },
            assets={name: Asset(partitions=key) for name in "ab"},
            partitions={repr(partitions): partitions} if partitions else {},
        )

    found = compare(summary(was), summary(now)).warnings
    assert [each.severity for each in found] == ([severity] if severity else [])
    if severity:
        texts = ["no partitions" if each is None else each.text for each in (was, now)]
        change = (
            f"The partitions of asset a, asset b and job of_ops change: {texts[0]} → {texts[1]}. "
        )
        assert found[0].text == change + (
            "All partitions of before are kept."
            if severity is NOTE
            else "Data of partitions that no longer exist is not shown and not used. Plan a "
            "backfill of the new partitions, or keep the old definition."
        )
