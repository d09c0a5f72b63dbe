"""What a deploy changes, in a line and in details, for pairs of summaries."""
# ruff: noqa: RUF001 - people read a minus sign, no hyphen

import json
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from packages.bulkhead.tests.test_load_check.summaries import BEFORE, COUNTS, changed, daily

from bulkhead.code_location.summary import (
    Asset,
    Check,
    Job,
    Resource,
    Schedule,
    Sensor,
    Step,
    Summary,
)
from bulkhead.deploy.load_check.deploy_warnings import listed
from bulkhead.deploy.load_check.differences import compare


class Case(NamedTuple):
    name: str
    after: Summary
    line: str
    details: str = ""

    def __str__(self) -> str:
        return self.name


CASES = [
    Case("nothing", BEFORE, f"{COUNTS}; no changes"),
    Case(
        "an asset more",
        changed(assets={"weekly_orders": Asset()}),
        "2 jobs, 4 assets (+1: weekly_orders; −0), 1 check, 1 schedule, 1 sensor",
        "+ asset weekly_orders",
    ),
    Case(
        "an asset less",
        changed(assets={"totals": None}),
        "2 jobs, 2 assets (+0; −1: totals), 1 check, 1 schedule, 1 sensor",
        "− asset totals",
    ),
    Case(
        "many assets more",
        changed(assets={f"a{number}": Asset() for number in range(6)}),
        "2 jobs, 9 assets (+6: a0, a1, a2 and 3 more; −0), 1 check, 1 schedule, 1 sensor",
        "\n".join(f"+ asset a{number}" for number in range(6)),
    ),
    Case(
        "a job with another name",
        changed(jobs={"nightly": None, "hourly": Job(ops=("load",))}),
        "2 jobs (+1: hourly; −1: nightly), 3 assets, 1 check, 1 schedule, 1 sensor",
        "+ job hourly\n− job nightly",
    ),
    Case(
        "the last of a kind is gone",
        changed(schedules={"at_night": None}),
        "2 jobs, 3 assets, 1 check, 0 schedules (+0; −1: at_night), 1 sensor",
        "− schedule at_night",
    ),
    Case(
        "an asset changes",
        changed(
            assets={
                "orders": Asset(deps=("clicks",), group="shop", automation="eager"),
                "totals": Asset(deps=("orders",), execution="observation"),
            }
        ),
        "2 jobs, 3 assets (~2: orders and totals), 1 check, 1 schedule, 1 sensor",
        "~ asset orders  deps +clicks −elsewhere; group raw → shop; automation none → eager\n"
        "~ asset totals  execution materialization → observation; "
        "partitions daily from 2024-01-01 (UTC) → no partitions",
    ),
    Case(
        "all of added, removed and changed",
        changed(assets={"orders": Asset(), "totals": None, "new": Asset()}),
        "2 jobs, 3 assets (+1: new; −1: totals; ~1: orders), 1 check, 1 schedule, 1 sensor",
        "+ asset new\n− asset totals\n~ asset orders  deps −elsewhere; group raw → none",
    ),
    Case(
        "kinds that are only counted when they change",
        changed(
            resources={"database": Resource("shop.Postgres")},
            steps={"load": None, "store": Step(timeout=60)},
        ),
        f"{COUNTS}, 1 resource (~1: database), 1 step limit (+1: store; −1: load)",
        "~ resource database  type shop.Database → shop.Postgres\n"
        "+ step limit store\n"
        "− step limit load",
    ),
    Case(
        "limits, schedules, sensors and checks",
        changed(
            steps={"load": Step(memory="2Gi", timeout=1800)},
            schedules={"at_night": Schedule(("0 5 * * *",), "Europe/Berlin", "nightly", True)},
            sensors={"watch": Sensor(("nightly", "refresh"), interval=None)},
            checks={"orders:is_fresh": Check("orders", blocking=True)},
        ),
        "2 jobs, 3 assets, 1 check (~1: orders:is_fresh), 1 schedule (~1: at_night), "
        "1 sensor (~1: watch), 1 step limit (~1: load)",
        "~ check orders:is_fresh  blocking\n"
        "~ schedule at_night      cron +0 5 * * * −0 0 * * *; timezone UTC → Europe/Berlin; "
        "runs by default\n"
        "~ sensor watch           targets +refresh; interval 30 s → none\n"
        "~ step limit load        memory 1Gi → 2Gi; timeout none → 1800 s",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_changes_is_in_the_line_and_in_the_details(case: Case) -> None:
    found = compare(BEFORE, case.after)
    assert found.line == case.line
    assert found.details == case.details
    assert found.is_empty is (case.name == "nothing")


@pytest.mark.parametrize(
    ("after", "line"),
    [
        (BEFORE, f"{COUNTS}; nothing to compare with"),
        (Summary(), "no definitions; nothing to compare with"),
        (Summary(assets={"a": Asset()}), "1 asset; nothing to compare with"),
    ],
)
def test_the_first_deploy_counts_and_compares_nothing(after: Summary, line: str) -> None:
    found = compare(None, after)
    assert (found.line, found.details, found.is_first) == (line, "", True)
    assert not found.is_empty


def test_no_definitions_at_all() -> None:
    assert compare(Summary(), Summary()).line == "no definitions; no changes"


@pytest.mark.parametrize(
    ("was", "now", "details"),
    [
        (Asset(automation="a", automation_id="1"), Asset(automation="a", automation_id="1"), ()),
        (
            Asset(automation="a", automation_id="1"),
            Asset(automation="a", automation_id="2"),
            ("automation: conditions with the same label differ",),
        ),
        (
            Asset(automation="a", automation_id="1"),
            Asset(automation="b", automation_id="2"),
            ("automation a → b",),
        ),
        (Asset(automation="a", automation_id="1"), Asset(), ("automation a → none",)),
        (Check("a", blocking=True), Check("a"), ("no longer blocking",)),
        (Sensor(("a", "b")), Sensor(("b", "a")), ()),
        (Schedule(("@daily",), runs_by_default=True), Schedule(("@daily",)),
         ("no longer runs by default",)),
    ],
)  # fmt: skip
def test_details_of_one_definition(was: Any, now: Any, details: tuple[str, ...]) -> None:
    kind = {Asset: "assets", Check: "checks", Sensor: "sensors", Schedule: "schedules"}[type(was)]
    found = compare(Summary(**{kind: {"it": was}}), Summary(**{kind: {"it": now}}))
    (difference,) = [each for each in found.kinds if each.kind == kind]
    assert tuple(each.details for each in difference.changed) == ((details,) if details else ())


def test_the_same_partitions_under_another_id_are_no_change() -> None:
    after = replace(
        changed(assets={"totals": replace(BEFORE.assets["totals"], partitions="other id")}),
        partitions={"other id": daily()},
    )
    found = compare(BEFORE, after)
    assert (found.line, found.warnings) == (f"{COUNTS}; no changes", ())


def test_differences_for_machines_are_json() -> None:
    found = compare(
        BEFORE,
        changed(assets={"totals": None}, schedules={"at_night": None}),
        dependents={"totals": ["ml"]},
    )
    read = json.loads(json.dumps(found.as_json()))
    assert read["first"] is False
    assert read["kinds"]["assets"] == {
        "kind": "assets",
        "count": 2,
        "added": [],
        "removed": ["totals"],
        "changed": [],
    }
    assert read["warnings"][0] == {
        "type": "AssetGone",
        "severity": "warning",
        "text": found.warnings[0].text,
        "key": "totals",
        "locations": ["ml"],
        "assets": [],
    }


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["a"], "a"),
        (["a", "b"], "a and b"),
        (["a", "b", "c"], "a, b and c"),
        (["a", "b", "c", "d"], "a, b, c and 1 more"),
        (["a", "b", "c", "d", "e"], "a, b, c and 2 more"),
    ],
)
def test_names_are_listed_and_counted(names: list[str], text: str) -> None:
    assert listed(names) == text
