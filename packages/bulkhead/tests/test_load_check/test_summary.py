"""The summary of a code location has all that a deploy compares, with every supported Dagster."""

import json
from pathlib import Path
from typing import Any

import pytest
from packages.bulkhead.tests.test_load_check.reporting import report
from packages.bulkhead.tests.test_location.conftest import PROJECTS

from bulkhead import names
from bulkhead.code_location.summary import (
    AboveCeiling,
    Asset,
    Check,
    Job,
    Partitions,
    Resource,
    Schedule,
    Sensor,
    Step,
    Summary,
)

CEILING = {"cpu": "2", "memory": "2Gi"}
DEFAULTS = {"k8s": {"resources": {"limits": {"cpu": "1", "memory": "512Mi"}}}}

SETTINGS = {
    names.DEFINITIONS_MODULE_ENV: "everything",
    names.CEILING_ENV: json.dumps(CEILING),
    names.CONTAINER_CONTEXT_ENV: json.dumps(DEFAULTS),
}


@pytest.fixture(scope="module")
def reported(python: Path) -> dict[str, Any]:
    return report(PROJECTS, SETTINGS, python).summary


@pytest.fixture(scope="module")
def summary(reported: dict[str, Any]) -> Summary:
    return Summary.of_json(reported)


def partitions(summary: Summary, asset: str) -> Partitions:
    return summary.partitions[summary.assets[asset].partitions or ""]


def test_jobs_have_their_assets_or_ops_but_no_job_that_dagster_makes_itself(
    summary: Summary,
) -> None:
    days = summary.assets["shop/orders"].partitions
    (countries,) = [key for key, each in summary.partitions.items() if each.keys]
    assert summary.jobs == {
        "asset_job": Job(assets=("plain", "shop/orders"), partitions=days),
        "graph_job": Job(ops=("emit", "inner")),
        "greedy_job": Job(ops=("emit",), partitions=countries),
    }


def test_assets_have_deps_group_execution_and_automation(summary: Summary) -> None:
    assert summary.assets.keys() == {
        *("clicks", "cube", "declared", "files", "plain", "seen", "shop/orders", "stock")
    }
    orders, cube = summary.assets["shop/orders"], summary.assets["cube"]
    assert (orders.deps, orders.group, orders.automation) == (("elsewhere",), "raw", "eager")
    assert (cube.deps, cube.automation) == (("shop/orders",), "(~in_progress & missing)")
    assert orders.automation_id != cube.automation_id
    assert {name: each.execution for name, each in summary.assets.items()} == {
        "clicks": "materialization",
        "cube": "materialization",
        "declared": "external",
        "files": "materialization",
        "plain": "materialization",
        "seen": "observation",
        "shop/orders": "materialization",
        "stock": "materialization",
    }
    assert summary.assets["declared"] == Asset(group="others", execution="external")


def test_partitions_have_all_their_parameters(summary: Summary) -> None:
    days = Partitions(
        "time",
        "daily from 2024-01-01 (Europe/Berlin, %Y-%m-%d)",
        start="2024-01-01T00:00:00+01:00",
        schedule="daily, Europe/Berlin, %Y-%m-%d",
    )
    countries = Partitions(
        "static", "static de, fr, it, es, pt and 1 more", keys=("de", "fr", "it", "es", "pt", "nl")
    )
    assert partitions(summary, "shop/orders") == days
    assert partitions(summary, "cube").dimensions == {"day": days, "country": countries}
    assert (
        partitions(summary, "cube").text == f"multi (country: {countries.text}; day: {days.text})"
    )
    assert partitions(summary, "files") == Partitions("dynamic", "dynamic files")
    assert partitions(summary, "clicks") == Partitions(
        "time",
        "hourly from 2024-01-01T06:00:00+00:00 to 2025-01-01 (UTC, %Y-%m-%d-%H:%M, end offset +1)",
        start="2024-01-01T06:00:00+00:00",
        end="2025-01-01T00:00:00+00:00",
        schedule="hourly, UTC, %Y-%m-%d-%H:%M, end offset +1",
    )
    stock = partitions(summary, "stock")
    assert stock.text.startswith("static, 1001 keys (digest ")
    assert stock.keys == ()


def test_checks_schedules_sensors_and_resources(summary: Summary) -> None:
    assert summary.checks == {"cube:is_cubic": Check("cube", blocking=True)}
    assert summary.schedules == {
        "nightly": Schedule(
            ("0 0 * * *", "0 5 * * *"), "Europe/Berlin", "asset_job", runs_by_default=True
        ),
        "of_assets": Schedule(("@daily",), "UTC", 'key:"files"'),
    }
    assert summary.sensors == {
        # Dagster adds it where an asset has an automation condition, and shows it in its UI.
        "default_automation_condition_sensor": Sensor(("*",), interval=30),
        "watch": Sensor(("graph_job", "greedy_job"), runs_by_default=True, interval=60),
    }
    assert summary.resources == {"database": Resource("everything.Database")}


def test_steps_have_what_they_request_and_the_ceiling_says_which_cannot_run(
    summary: Summary,
) -> None:
    assert summary.location == "shop"
    assert summary.ceiling == CEILING
    assert summary.steps == {
        "emit in graph_job": Step(memory="1Gi"),
        "emit in greedy_job": Step(memory="4Gi"),
        "files": Step(memory="16Gi"),
        "inner.once": Step(memory="256Mi"),
        "shop__orders": Step(cpu="500m", memory="512Mi", max_memory="2Gi", timeout=1800),
    }
    assert summary.above_ceiling == {
        "emit in greedy_job": AboveCeiling("memory", "4Gi", "2Gi"),
        "files": AboveCeiling("memory", "16Gi", "2Gi"),
    }


def test_defaults_above_the_ceiling_apply_to_steps_that_request_nothing() -> None:
    defaults = {"k8s": {"resources": {"limits": {"memory": "3Gi"}}}}
    settings = {**SETTINGS, names.CONTAINER_CONTEXT_ENV: json.dumps(defaults)}
    summary = Summary.of_json(report(PROJECTS, settings).summary)
    assert summary.above_ceiling["cube"] == AboveCeiling("memory", "3Gi", "2Gi")
    assert "shop__orders" not in summary.above_ceiling


def test_equal_definitions_give_an_equal_summary(reported: dict[str, Any], python: Path) -> None:
    seeds = [{**SETTINGS, "PYTHONHASHSEED": seed} for seed in ("1", "2")]
    assert [report(PROJECTS, each, python).summary for each in seeds] == [reported, reported]


def test_several_repositories_begin_names_with_theirs() -> None:
    settings = {names.DEFINITIONS_MODULE_ENV: "two_repositories"}
    summary = Summary.of_json(report(PROJECTS, settings).summary)
    assert summary.jobs.keys() == {"first/first_job", "second/first_job", "second/second_job"}


# --- JSON -----------------------------------------------------------------------------------------


def test_a_summary_is_the_same_after_a_way_through_json(summary: Summary) -> None:
    assert Summary.of_json(json.loads(json.dumps(summary.as_json()))) == summary


def test_a_summary_of_another_version_can_be_read() -> None:
    other = {
        "jobs": {"nightly": {"ops": ["a"], "colour": "blue"}},
        "planets": {"earth": {}},
        "sensors": None,
    }
    assert Summary.of_json(other) == Summary(jobs={"nightly": Job(ops=("a",))})


@pytest.mark.parametrize(
    "value", [{"jobs": ["nightly"]}, {"jobs": {"a": 1}}, {"checks": {"a": {}}}]
)
def test_what_is_not_a_summary_is_rejected(value: Any) -> None:
    with pytest.raises(ValueError, match="not a summary of definitions"):
        Summary.of_json(value)
