"""What a run in Dagster records, and which files it does not write."""

from pathlib import Path

import dagster as dg
from warehouses import Run, metadata_of

from analytics import project

MADE = ["orders_cleaned", "users_augmented", "daily_order_summary", "user_weeks"]


def test_each_dbt_test_is_an_asset_check_that_was_run(run: Run) -> None:
    checks = run.result.get_asset_check_evaluations()
    assert len(checks) == 32
    failed = [(check.check_name, check.severity) for check in checks if not check.passed]
    # An order on the last day after weeks without one is unusual, and no reason to stop.
    assert failed == [("daily_orders_look_usual", dg.AssetCheckSeverity.WARN)]


def test_each_asset_records_its_table_rows_and_columns(run: Run) -> None:
    recorded = {key: metadata_of(run.result, key) for key in MADE}
    assert {key: recorded[key]["dagster/row_count"].value for key in MADE} == {
        "orders_cleaned": 7,
        "users_augmented": 4,
        "daily_order_summary": 365,
        "user_weeks": 5,
    }
    columns = recorded["user_weeks"]["dagster/column_schema"].value.columns
    assert [column.name for column in columns] == [
        *("user_id", "week_start", "orders", "items", "amount")
    ]


def test_a_column_can_be_traced_to_the_tables_that_ingestion_loads(run: Run) -> None:
    lineage = metadata_of(run.result, "orders_cleaned")["dagster/column_lineage"].value
    assert set(lineage.deps_by_column["amount"]) == {
        dg.TableColumnDep(dg.AssetKey("orders"), "amount"),
        dg.TableColumnDep(dg.AssetKey("offline_orders"), "amount"),
    }
    lineage = metadata_of(run.result, "user_weeks")["dagster/column_lineage"].value
    assert lineage.deps_by_column["week_start"] == [
        dg.TableColumnDep(dg.AssetKey("orders_cleaned"), "order_date")
    ]


def test_nothing_is_written_beside_the_code_and_no_host_but_the_warehouse_is_looked_up(
    run: Run, names_looked_up: Path
) -> None:
    assert run.result.success
    written = [
        path.relative_to(project.PROJECT)
        for path in project.PROJECT.rglob("*")
        if path.is_file() and path.stat().st_mtime > run.started
    ]
    assert written == []
    assert not names_looked_up.exists()
