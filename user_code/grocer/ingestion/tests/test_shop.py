from typing import Any

import dagster as dg
import pytest
from support import execute, fill, moment, order, query, resource_of

from ingestion import shop as assets, tables
from ingestion.databases import Database

ORDERS = [assets.orders, *assets.checks_of_orders]


@pytest.fixture
def resources(shop: Database, warehouse: Database) -> dict[str, Any]:
    return {"shop": resource_of(shop), "warehouse": resource_of(warehouse)}


def materialize(
    resources: dict[str, Any], chosen: list[Any], until: str | None = None, **options: Any
) -> dg.ExecuteInProcessResult:
    if until:
        options["run_config"] = dg.RunConfig(ops={"orders": assets.LoadOrders(until=until)})
    return dg.materialize(chosen, resources=resources, raise_on_error=False, **options)


def load_days(resources: dict[str, Any], first: str, last: str) -> dg.ExecuteInProcessResult:
    """Load order lines as one run of a backfill does."""
    return dg.materialize(
        [assets.order_lines],
        resources=resources,
        tags={
            "dagster/asset_partition_range_start": first,
            "dagster/asset_partition_range_end": last,
        },
    )


def metadata(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    event = result.asset_materializations_for_node(asset)[-1]
    return {name: value.value for name, value in event.metadata.items()}


def checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {check.check_name: check.passed for check in result.get_asset_check_evaluations()}


def test_a_run_may_load_up_to_a_day_and_the_next_says_how_many_it_added(
    resources: dict[str, Any],
) -> None:
    result = materialize(resources, ORDERS, until="2017-03-02")
    assert metadata(result, "orders")["rows loaded"] == 1
    assert checks(result) == {"nothing_was_lost": True, "has_the_agreed_columns": True}
    result = materialize(resources, ORDERS)
    assert checks(result) == {"nothing_was_lost": True, "has_the_agreed_columns": True}
    second = metadata(result, "orders")
    assert (second["rows loaded"], second["dagster/row_count"]) == (3, 4)
    assert second["amount in US dollars"] == 40.0
    assert second["dagster/table_name"] == "raw.orders"
    third = metadata(materialize(resources, ORDERS), "orders")
    assert (third["rows loaded"], third["dagster/row_count"]) == (0, 4)


def test_an_invalid_day_is_rejected_with_its_value_and_what_is_allowed(
    resources: dict[str, Any],
) -> None:
    result = materialize(resources, [assets.orders], until="next week")
    (failure,) = result.get_step_failure_events()
    message = failure.step_failure_data.error_display_string
    assert "until is 'next week'. It must be a day or a time, such as 2017-06-01" in message


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM raw.orders WHERE order_id = 2",
        "UPDATE raw.orders SET amount = amount + 0.01 WHERE order_id = 2",
    ],
)
def test_a_lost_order_and_a_lost_cent_fail_the_check_with_both_figures(
    resources: dict[str, Any], warehouse: Database, damage: str
) -> None:
    fill(warehouse, tables.ORDERS, [order(number) for number in range(1, 5)])
    assert assets.nothing_was_lost(**resources).passed
    execute(warehouse, damage)
    found = assets.nothing_was_lost(**resources)
    assert not found.passed
    assert "4 orders of 40.00 US dollars in the shop" in (found.description or "")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("ALTER TABLE raw.orders ALTER amount TYPE bigint", "amount is bigint, not double"),
        ("ALTER TABLE raw.orders DROP COLUMN items", "items is missing, not bigint"),
        ("ALTER TABLE raw.orders ADD COLUMN note text", "note is not expected"),
    ],
)
def test_a_changed_column_fails_the_check_and_is_named(
    resources: dict[str, Any], warehouse: Database, damage: str, words: str
) -> None:
    fill(warehouse, tables.ORDERS, [order(1)])
    check = assets.agreed_columns(assets.orders, tables.ORDERS)
    assert check(warehouse=resources["warehouse"]).passed
    execute(warehouse, damage)
    found = check(warehouse=resources["warehouse"])
    assert not found.passed
    assert words in (found.description or "")


def test_a_day_of_order_lines_takes_the_place_of_that_day_alone(
    resources: dict[str, Any], shop: Database, warehouse: Database
) -> None:
    for day in ("2017-03-01", "2017-03-02", "2017-03-02"):
        load_days(resources, day, day)
    assert query(warehouse, "SELECT count(*), sum(amount) FROM raw.order_lines") == [(4, 20.0)]
    execute(shop, "UPDATE order_lines SET amount = 6")
    execute(shop, "DELETE FROM order_lines WHERE order_id = 2 AND product_id = 1")
    load_days(resources, "2017-03-02", "2017-03-02")
    by_day = "SELECT order_date, count(*), sum(amount) FROM raw.order_lines GROUP BY 1 ORDER BY 1"
    assert query(warehouse, by_day) == [
        (moment(1).date(), 2, 10.0),
        (moment(2).date(), 1, 6.0),
    ]


def test_many_days_of_order_lines_are_one_run(resources: dict[str, Any]) -> None:
    result = load_days(resources, "2017-03-02", "2017-03-31")
    loaded = metadata(result, "order_lines")
    assert (loaded["rows loaded"], loaded["days loaded"]) == (6, 30)
    assert len(result.asset_materializations_for_node("order_lines")) == 30
    assert isinstance(assets.order_lines.backfill_policy, dg.BackfillPolicy)
    assert assets.order_lines.backfill_policy.policy_type.name == "SINGLE_RUN"


def test_there_is_a_partition_for_each_day_of_2017() -> None:
    days = assets.DAYS.get_partition_keys()
    assert (len(days), days[0], days[-1]) == (365, "2017-01-01", "2017-12-31")


def test_a_shop_that_has_orders_is_left_as_it_is(resources: dict[str, Any], shop: Database) -> None:
    result = materialize(resources, [assets.shop_database])
    assert metadata(result, "shop_database")["filled now"] is False
    assert query(shop, "SELECT count(*) FROM orders") == [(4,)]
    assert metadata(result, "shop_database")[f"rows of {tables.SHOP_USERS.name}"] == 2
