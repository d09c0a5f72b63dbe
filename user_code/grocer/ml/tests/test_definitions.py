import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest
from conftest import ObjectStore, Server

from bulkhead.steps.resources import StepResources
from ml import assets, definitions, environment, programs, upstream
from ml.environment import Environment

KEYS = {"next_week_shoppers", "order_forecast_model", "predicted_orders", "store_flyer"}

EDGES = {
    "order_forecast_model": {"daily_order_summary"},
    "predicted_orders": {"daily_order_summary", "order_forecast_model"},
    "store_flyer": {"predicted_orders"},
    "next_week_shoppers": {"user_weeks"},
}


def graph(defs: dg.Definitions) -> dict[str, set[str]]:
    return {
        spec.key.to_user_string(): {dep.asset_key.to_user_string() for dep in spec.deps}
        for spec in defs.resolve_all_asset_specs()
        if spec.key.to_user_string() in KEYS
    }


def specs() -> dict[str, dg.AssetSpec]:
    every = definitions.defs.resolve_all_asset_specs()
    return {spec.key.to_user_string(): spec for spec in every}


@pytest.mark.parametrize("env", Environment)
def test_the_definitions_load(env: Environment) -> None:
    dg.Definitions.validate_loadable(definitions.definitions(env))


@pytest.mark.parametrize("env", Environment)
def test_the_graph_is_the_same_here_and_on_the_cluster(env: Environment) -> None:
    assert graph(definitions.definitions(env)) == EDGES


def test_nothing_of_another_code_location_is_defined_here() -> None:
    made = definitions.defs.resolve_asset_graph().materializable_asset_keys
    assert {key.to_user_string() for key in made} == KEYS


@pytest.mark.parametrize("key", sorted(KEYS))
def test_an_asset_has_an_owner_a_group_and_a_description(key: str) -> None:
    spec = specs()[key]
    assert spec.owners == ["team:ml"]
    assert spec.group_name == ("shoppers" if key == "next_week_shoppers" else "forecasts")
    assert spec.description
    assert spec.kinds
    assert spec.tags["demo"] == "grocer"
    assert spec.automation_condition == assets.follow


@dg.asset(deps=["daily_order_sumary", "order_forecast_model"])
def dashboard() -> None:
    """Depends on a key with a typo."""


@dg.asset_check(asset="predicted_order")
def looks_right() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            dg.Definitions(assets=[dashboard]),
            "Asset key daily_order_sumary, which dashboard depends on, is unknown.",
        ),
        (
            dg.Definitions(asset_checks=[looks_right]),
            "Asset key predicted_order, which predicted_order:looks_right depends on, is unknown.",
        ),
    ],
)
def test_a_typo_in_an_asset_key_is_an_error_that_names_the_key_its_user_and_what_is_known(
    wrong: dg.Definitions, message: str
) -> None:
    with pytest.raises(dg.DagsterInvalidDefinitionError) as error:
        upstream.reject_unknown(dg.Definitions.merge(definitions.defs, wrong))
    assert str(error.value).startswith(message)
    assert "nor one of daily_order_summary, user_weeks in ml.upstream.UPSTREAM" in str(error.value)


def test_every_upstream_key_is_used() -> None:
    graph = definitions.defs.resolve_asset_graph()
    used = graph.get_all_asset_keys() - graph.materializable_asset_keys
    assert {"analytics": tuple(sorted(map(dg.AssetKey.to_user_string, used)))} == upstream.UPSTREAM


def test_partitions_are_the_months_from_april_to_december() -> None:
    keys = assets.months.get_partition_keys()
    assert keys == [f"2017-{month:02}" for month in range(4, 13)]


@pytest.mark.parametrize("key", ["predicted_orders", "next_week_shoppers"])
def test_a_table_has_its_name_and_columns_in_the_metadata(key: str) -> None:
    metadata: Any = specs()[key].metadata
    assert metadata["dagster/table_name"] == f"ml.{key}"
    names = [column.name for column in metadata["dagster/column_schema"].columns]
    assert names[0] == "as_of"
    assert "null" not in names


def test_training_requests_more_memory_than_other_steps_and_may_grow() -> None:
    tags = StepResources.of_tags(assets.order_forecast_model.op.tags)
    assert tags.memory == 640 * 2**20
    assert tags.max_memory == 2 * 2**30


def test_too_few_resamples_are_refused_with_the_least_number() -> None:
    with pytest.raises(ValueError, match="greater than or equal to 20"):
        assets.Training(resamples=3)


def test_another_environment_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROCER_ENVIRONMENT", "staging")
    with pytest.raises(
        ValueError, match=r"ENVIRONMENT is 'staging'. It must be 'local' or 'cluster'"
    ):
        environment.current()


VARIABLES = ["HOST", "USER", "PASSWORD"]


@pytest.mark.parametrize(
    "variable",
    [*(f"GROCER_WAREHOUSE_{name}" for name in VARIABLES), "BULKHEAD_OBJECT_STORE_BUCKET"],
)
def test_a_variable_that_the_cluster_lacks_is_named(
    variable: str,
    on_cluster: Callable[[Server], None],
    object_store: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    del object_store
    on_cluster(Server(port=5432))
    monkeypatch.delenv(variable)
    job = definitions.definitions(Environment.CLUSTER).resolve_implicit_global_asset_job_def()
    with (
        dg.DagsterInstance.ephemeral() as instance,
        pytest.raises(dg.DagsterInvalidConfigError, match=variable),
    ):
        job.execute_in_process(partition_key="2017-06", instance=instance)


@pytest.mark.parametrize(
    ("image", "program"), [("", programs.Subprocess), ("ml@sha256:1", programs.Sidecar)]
)
def test_the_cluster_has_a_sidecar_if_its_image_is_set(
    image: str, program: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROCER_FLYER_IMAGE", image)
    resources = definitions.definitions(Environment.CLUSTER).resources or {}
    assert type(resources["program"]) is program
    assert bool(programs.sidecar_tags(environment.flyer_image())) == bool(image)


def test_in_a_new_process_the_flyer_has_its_sidecar_and_no_heavy_library_is_loaded() -> None:
    code = (
        "import json, sys, ml.definitions; from ml.assets import store_flyer; "
        "print(json.dumps([store_flyer.op.tags['dagster-k8s/config'], list(sys.modules)]))"
    )
    variables = {**os.environ, "GROCER_FLYER_IMAGE": "ml@sha256:1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True
    )
    tag, modules = json.loads(done.stdout)
    assert '"ml@sha256:1"' in tag
    assert not {"pandas", "sklearn", "matplotlib", "duckdb", "boto3"} & set(modules)
