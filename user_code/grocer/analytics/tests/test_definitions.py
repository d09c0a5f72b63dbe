import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from analytics import environment
from analytics.definitions import definitions
from analytics.environment import Environment
from analytics.upstream import UPSTREAM

GRAPH = {
    "orders_cleaned": ("staging", {"orders", "offline_orders"}),
    "users_augmented": ("staging", {"orders_cleaned", "users"}),
    "daily_order_summary": ("marts", {"orders_cleaned"}),
    "user_weeks": ("marts", {"orders_cleaned"}),
}
"""Each asset with its group and what it is made from."""

INGESTION = set(UPSTREAM["ingestion"])
"""Assets of another code location."""


@pytest.fixture(scope="module", params=list(Environment))
def defs(request: pytest.FixtureRequest) -> dg.Definitions:
    """The definitions of each environment, without a variable that a step would need."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOST", "PORT", "USER", "PASSWORD"):
            patch.delenv(f"GROCER_WAREHOUSE_{name}", raising=False)
        return definitions(request.param)


def test_the_definitions_load_and_their_graph_is_the_same_in_each_environment(
    defs: dg.Definitions,
) -> None:
    dg.Definitions.validate_loadable(defs)
    graph = defs.resolve_asset_graph()
    own = {key.to_user_string(): graph.get(key) for key in graph.materializable_asset_keys}
    assert {
        name: (node.group_name, {key.to_user_string() for key in node.parent_keys})
        for name, node in own.items()
    } == GRAPH
    others = graph.get_all_asset_keys() - graph.materializable_asset_keys
    assert {key.to_user_string() for key in others} == {"orders", "users", "offline_orders"}
    assert set(UPSTREAM) == {"ingestion"}
    assert {"orders", "users", "offline_orders"} == INGESTION
    assert len(graph.asset_check_keys) == 32


def test_each_asset_has_an_owner_a_description_and_its_table(
    defs: dg.Definitions,
) -> None:
    for spec in defs.resolve_all_asset_specs():
        if spec.key.to_user_string() not in GRAPH:
            continue
        assert spec.owners == ["team:analytics"]
        assert spec.kinds in ({"dbt", "duckdb"}, {"dbt", "postgres"})
        assert spec.description
        assert "select" not in spec.description
        assert spec.code_version
        table = f"warehouse.analytics.{spec.key.to_user_string()}"
        assert spec.metadata["dagster/table_name"] == table
        columns = spec.metadata["dagster/column_schema"].columns
        assert all(column.description for column in columns)


def test_each_group_of_models_is_a_step_with_its_own_resources(defs: dg.Definitions) -> None:
    steps = {
        node.name: node.definition.tags.get("bulkhead.dev/step-resources", "{}")
        for node in defs.resolve_implicit_global_asset_job_def().nodes
    }
    assert {name for name, resources in steps.items() if "max_memory" in json.loads(resources)} == {
        *("staging", "marts")
    }


def test_new_orders_alone_start_everything_that_is_made_from_them(defs: dg.Definitions) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        for name in INGESTION:
            instance.report_runless_asset_event(dg.AssetMaterialization(name))
        first = dg.evaluate_automation_conditions(defs, instance)
        for name in GRAPH:
            instance.report_runless_asset_event(dg.AssetMaterialization(name))
        settled = dg.evaluate_automation_conditions(defs, instance, cursor=first.cursor)
        settled = dg.evaluate_automation_conditions(defs, instance, cursor=settled.cursor)
        assert requested(settled) == set()
        instance.report_runless_asset_event(dg.AssetMaterialization("orders"))
        after = dg.evaluate_automation_conditions(defs, instance, cursor=settled.cursor)
        assert requested(after) == {*GRAPH, "daily_orders_look_usual"}


def test_assets_that_are_missing_when_the_code_location_is_added_are_requested(
    defs: dg.Definitions,
) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        for name in (*INGESTION, *GRAPH):
            if name != "user_weeks":
                instance.report_runless_asset_event(dg.AssetMaterialization(name))
        first = dg.evaluate_automation_conditions(defs, instance)
        assert requested(first) & set(GRAPH) == {"user_weeks"}


def test_orders_that_come_while_they_are_being_counted_are_counted_once_more(
    defs: dg.Definitions,
) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        for name in (*INGESTION, *GRAPH):
            instance.report_runless_asset_event(dg.AssetMaterialization(name))
        settled = dg.evaluate_automation_conditions(defs, instance)
        instance.report_runless_asset_event(dg.AssetMaterialization("orders"))
        instance.report_runless_asset_event(dg.AssetMaterialization("orders_cleaned"))
        after = dg.evaluate_automation_conditions(defs, instance, cursor=settled.cursor)
        assert "orders_cleaned" in requested(after)


def test_a_failed_blocking_check_stops_requests_until_it_passes(defs: dg.Definitions) -> None:
    key = dg.AssetKey("orders_cleaned")
    with dg.DagsterInstance.ephemeral() as instance:

        def tick(cursor: Any, *, passed: bool | None = None) -> Any:
            if passed is not None:
                instance.report_runless_asset_event(dg.AssetMaterialization(key))
                instance.report_runless_asset_event(
                    dg.AssetCheckEvaluation(
                        asset_key=key, check_name="unique_orders_cleaned_order_id", passed=passed
                    )
                )
            return dg.evaluate_automation_conditions(defs, instance, cursor=cursor)

        for name in (*INGESTION, *GRAPH):
            instance.report_runless_asset_event(dg.AssetMaterialization(name))
        settled = tick(tick(None).cursor)
        wrong = tick(settled.cursor, passed=False)
        assert requested(wrong) == set()
        right = tick(wrong.cursor, passed=True)
        assert {"daily_order_summary", "user_weeks"} <= requested(right)


def requested(result: dg.EvaluateAutomationConditionsResult) -> set[str]:
    return {
        each.key.name if isinstance(each.key, dg.AssetCheckKey) else each.key.to_user_string()
        for each in result.results
        if not each.true_subset.is_empty
    }


def test_an_unknown_environment_is_rejected_with_the_allowed_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(environment.VARIABLE, "moon")
    with pytest.raises(ValueError, match=r"is 'moon'\. It must be 'local' or 'cluster'"):
        environment.current()


def test_by_default_the_environment_is_local_and_the_data_are_in_the_working_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(environment.VARIABLE, raising=False)
    monkeypatch.delenv(environment.DATA, raising=False)
    monkeypatch.chdir(tmp_path)
    assert environment.current() is Environment.LOCAL
    assert environment.data() == tmp_path / "build" / "grocer"
