"""The messages of errors."""

import dagster as dg
import duckdb
import pytest
import raw
import server
import warehouses
from in_process import dbt

from analytics.environment import Environment
from analytics.resources import resources


def test_bad_data_fails_the_checks_that_look_for_it_and_nothing_is_made_from_it(
    on_postgresql: warehouses.Warehouse,
) -> None:
    raw.load(
        on_postgresql.execute,
        users=raw.USERS,
        orders=[
            (1, 99, 100, "2017-01-01 09:00:00", 1, 1.0, 0.0),
            (2, 1, None, "2017-01-01 09:00:00", 1, 1.0, 0.0),
            (3, 1, 100, "2017-01-01 09:00:00", 1, 1.0, -2.0),
        ],
        offline_orders=[],
    )
    result = warehouses.run(on_postgresql.environment, raise_on_error=False)
    assert not result.success
    failed = {
        check.check_name: check.severity
        for check in result.get_asset_check_evaluations()
        if not check.passed
    }
    assert failed == {
        "not_null_orders_cleaned_store_id": dg.AssetCheckSeverity.ERROR,
        "within_orders_cleaned_discount__0": dg.AssetCheckSeverity.ERROR,
        "relationships_orders_cleaned_user_id__user_id__source_raw_users_": (
            dg.AssetCheckSeverity.WARN
        ),
    }
    made = {event.asset_key for event in result.get_asset_materialization_events()}
    assert made == {dg.AssetKey("orders_cleaned")}
    recorded = warehouses.metadata_of(result, "orders_cleaned")
    assert recorded["dagster/row_count"].value == 3
    assert recorded["dagster/column_lineage"].value.deps_by_column["amount"]
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert failure.step_key == "staging"
    assert "models/staging/staging.yml" in failure.step_failure_data.error_display_string


def test_invalid_sql_is_reported_with_model_and_file(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    warehouse = warehouses.on_duckdb(tmp_path_factory.mktemp("refused"), monkeypatch)
    raw.load(warehouse.execute, users=[], orders=[], offline_orders=[])
    warehouse.execute("alter table raw.orders rename column discount to rebate")
    dbt(Environment.LOCAL, "run", "--select", "orders_cleaned")
    text = capfd.readouterr().out
    assert "Runtime Error in model orders_cleaned (models/staging/orders_cleaned.sql)" in text
    assert '"discount" not found' in text


@pytest.mark.parametrize("name", ["HOST", "USER", "PASSWORD"])
def test_a_missing_variable_on_the_cluster_is_named(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in ("HOST", "USER", "PASSWORD"):
        monkeypatch.setenv(f"GROCER_WAREHOUSE_{each}", "known")
    monkeypatch.delenv(f"GROCER_WAREHOUSE_{name}")

    @dg.op(required_resource_keys={"warehouse"})
    def step() -> None:
        pytest.fail("ran without it")

    @dg.job(resource_defs=resources(Environment.CLUSTER))
    def job() -> None:
        step()

    with pytest.raises(Exception, match=f"GROCER_WAREHOUSE_{name}"):
        job.execute_in_process()


def test_a_port_that_is_not_a_number_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROCER_WAREHOUSE_PORT", "tcp")
    with pytest.raises(ValueError, match=r"GROCER_WAREHOUSE_PORT is 'tcp'\. It must be a number"):
        resources(Environment.CLUSTER)


def test_a_wrong_password_names_host_and_user_and_not_the_password(
    on_postgresql: warehouses.Warehouse,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GROCER_WAREHOUSE_PASSWORD", "open sesame")
    dbt(Environment.CLUSTER, "run", "--select", "orders_cleaned")
    printed_by_dbt = capfd.readouterr().out
    warehouse = resources(Environment.CLUSTER)["warehouse"].process_config_and_initialize()
    with pytest.raises(Exception, match="password authentication failed") as raised:
        warehouse.read("select 1")
    for text in (printed_by_dbt, str(raised.value)):
        assert f'password authentication failed for user "{server.USER}"' in text
        assert "127.0.0.1" in text
        assert "open sesame" not in text


def test_a_missing_warehouse_is_named(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("nothing")
    monkeypatch.setenv("GROCER_DATA", str(folder))
    warehouse = resources(Environment.LOCAL)["warehouse"]
    with pytest.raises(duckdb.IOException, match=str(folder / "warehouse.duckdb")):
        warehouse.read("select 1")
