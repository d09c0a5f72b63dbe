import importlib
import subprocess
import sys
from datetime import timedelta

import dagster as dg
import pytest

from ingestion import definitions as module
from ingestion.resources import REQUIRED, SettingsError

SNAPSHOT = {
    "campaigns": set(),
    "offline_orders": {"users"},
    "order_lines": {"shop_database"},
    "orders": {"shop_database"},
    "shop_database": set(),
    "users": {"shop_database"},
}
"""Every asset, and what it comes from."""

CHECKS = {
    "offline_orders:every_row_is_readable",
    "orders:has_the_agreed_columns",
    "orders:nothing_was_lost",
    "users:has_the_agreed_columns",
}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROCER_ENVIRONMENT", "cluster")
    for name in REQUIRED:
        monkeypatch.setenv(name, f"value-of-{name.lower()}")


def load() -> dg.Definitions:
    return importlib.reload(module).defs


def graph(defs: dg.Definitions) -> dict[str, set[str]]:
    assets = defs.resolve_asset_graph()
    return {
        key.to_user_string(): {parent.to_user_string() for parent in assets.get(key).parent_keys}
        for key in assets.get_all_asset_keys()
    }


def test_the_definitions_load_and_have_the_agreed_assets_and_checks() -> None:
    defs = load()
    dg.Definitions.validate_loadable(defs)
    assert graph(defs) == SNAPSHOT
    keys = defs.resolve_asset_graph().asset_check_keys
    assert {key.to_user_string() for key in keys} == CHECKS


def test_the_cluster_has_the_same_graph_with_other_resources(
    request: pytest.FixtureRequest,
) -> None:
    local = load()
    request.getfixturevalue("cluster")
    cluster = load()
    dg.Definitions.validate_loadable(cluster)
    assert graph(cluster) == graph(local) == SNAPSHOT
    kinds = {name: type(value).__name__ for name, value in (cluster.resources or {}).items()}
    assert kinds == {
        "warehouse": "PostgreSQLResource",
        "shop": "PostgreSQLResource",
        "files": "S3FilesResource",
        "campaign_service": "CampaignServiceResource",
    }
    assert set(kinds) == set(local.resources or {})


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_variable_is_a_load_error_that_names_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(SettingsError, match=f"are missing: {name}"):
        load()


def test_all_missing_variables_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROCER_ENVIRONMENT", "cluster")
    with pytest.raises(SettingsError, match=", ".join(REQUIRED)):
        load()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("GROCER_ENVIRONMENT", "staging", r"'staging'\. It must be 'local' .* or 'cluster'"),
        ("GROCER_SHOP_PORT", "http", r"GROCER_SHOP_PORT is 'http'\. It must be a number"),
    ],
)
@pytest.mark.usefixtures("cluster")
def test_a_wrong_variable_is_a_load_error_with_its_value_and_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=words):
        load()


@pytest.mark.usefixtures("cluster")
def test_no_secret_shows_in_what_dagster_tells_of_the_resources() -> None:
    configured = str(load().resources)
    assert "value-of-grocer_shop_password" not in configured


def test_every_asset_has_an_owner_a_description_and_a_group() -> None:
    assets = load().resolve_asset_graph()
    for key in assets.get_all_asset_keys():
        node = assets.get(key)
        assert node.owners == ["team:ingestion"], key
        assert len(node.description or "") > 30, key
        assert node.kinds, key
        assert node.group_name in {"shop", "marketing", "stores"}, key
        assert node.automation_condition is None, key


def test_orders_alone_grow_stale_after_36_hours() -> None:
    assets = load().resolve_asset_graph()
    watched = {
        key.to_user_string(): assets.get(key).freshness_policy
        for key in assets.get_all_asset_keys()
        if assets.get(key).freshness_policy
    }
    assert watched == {
        "orders": dg.FreshnessPolicy.time_window(
            fail_window=timedelta(hours=36), warn_window=timedelta(hours=26)
        )
    }


def test_the_jobs_hold_what_they_are_named_for() -> None:
    defs = load()
    selected = {
        name: {
            key.to_user_string()
            for key in defs.resolve_job_def(name).asset_layer.selected_asset_keys
        }
        for name in ("open_the_shop", "load_orders", "load_offline_orders")
    }
    assert selected == {
        "open_the_shop": {"shop_database", "users", "campaigns", "offline_orders"},
        "load_orders": {"orders"},
        "load_offline_orders": {"offline_orders"},
    }


def test_the_schedule_is_stopped_by_default() -> None:
    schedule = load().resolve_schedule_def("nightly_orders")
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED


def test_loading_the_definitions_brings_in_none_of_the_heavy_libraries() -> None:
    code = (
        "import sys, ingestion.definitions\n"
        "print({'airbyte', 'boto3', 'dlt', 'duckdb', 'pandas', 'pyarrow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"
