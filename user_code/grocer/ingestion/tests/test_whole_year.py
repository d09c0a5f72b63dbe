"""The whole data set on both databases; what took how long is printed (pytest -rP shows it)."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import dagster as dg
import pytest
from support import query, resource_of

from ingestion import bad_day, shop, shop_data
from ingestion.databases import Database, DuckDB

ORDERS = 155_848
LINES = 1_469_307
USERS = 2_469
DOLLARS = 4_596_039.58


class Year(NamedTuple):
    shop: Database
    warehouse: Database

    def materialize(self, chosen: list[Any], **options: Any) -> dict[str, Any]:
        """Materialize the last of the chosen assets; return its metadata, and what checks found."""
        resources = {"shop": resource_of(self.shop), "warehouse": resource_of(self.warehouse)}
        result = dg.materialize(chosen, resources=resources, **options)
        (*_, event) = result.get_asset_materialization_events()
        return {
            **{name: value.value for name, value in event.materialization.metadata.items()},
            **{check.check_name: check.passed for check in result.get_asset_check_evaluations()},
        }


@pytest.fixture(scope="module", params=["duckdb", "postgresql"])
def year(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Year]:
    """A shop with a year of orders, and a warehouse that is empty at first."""
    with contextlib.ExitStack() as stack:
        if request.param == "postgresql":
            server = request.getfixturevalue("postgresql")
            new_database = stack.enter_context(server.databases())
            year = Year(new_database(), new_database())
        else:
            folder = tmp_path_factory.mktemp("year")
            year = Year(DuckDB(folder / "shop.duckdb"), DuckDB(folder / "warehouse.duckdb"))
        with timed("seed the shop"):
            assert shop_data.seed(year.shop)
        yield year


@contextlib.contextmanager
def timed(what: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    print(f"{what}: {time.perf_counter() - started:.1f} s")


def test_the_shop_has_the_year_and_is_filled_once(year: Year) -> None:
    assert not shop_data.seed(year.shop)
    with year.shop.connect() as connection:
        assert shop_data.counts(connection) == {
            "orders": ORDERS,
            "order_lines": LINES,
            "users": USERS,
        }
    of_orders = query(year.shop, "SELECT round(sum(amount)), sum(items) FROM orders")
    assert of_orders == query(
        year.shop, "SELECT round(sum(amount)), sum(quantity) FROM order_lines"
    )
    assert of_orders[0][0] == round(DOLLARS)


def test_half_a_year_and_then_the_rest_are_loaded_and_nothing_is_lost(year: Year) -> None:
    chosen = [shop.orders, *shop.checks_of_orders]
    config = dg.RunConfig(ops={"orders": shop.LoadOrders(until="2017-06-01")})
    with timed("load the orders of January to May"):
        first = year.materialize(chosen, run_config=config)
    with timed("load the rest of the year"):
        second = year.materialize(chosen)
    assert (first["rows loaded"], second["rows loaded"]) == (63_880, ORDERS - 63_880)
    assert first["nothing_was_lost"]
    assert second["nothing_was_lost"]
    assert second["has_the_agreed_columns"]
    assert second["amount in US dollars"] == DOLLARS
    assert year.materialize(chosen)["rows loaded"] == 0


def test_all_users_are_loaded_and_801_told_of_themselves(year: Year) -> None:
    with timed("load the users"):
        assert year.materialize([shop.users])["rows loaded"] == USERS
    assert query(year.warehouse, "SELECT count(age), count(DISTINCT user_id) FROM raw.users") == [
        (801, USERS)
    ]
    known = {user for (user,) in query(year.warehouse, "SELECT user_id FROM raw.users")}
    assert known > set(bad_day.USERS)


def test_a_month_of_order_lines_is_one_run_and_agrees_with_the_orders(year: Year) -> None:
    days = {
        "dagster/asset_partition_range_start": "2017-03-01",
        "dagster/asset_partition_range_end": "2017-03-31",
    }
    with timed("load the order lines of March"):
        loaded = year.materialize([shop.order_lines], tags=days)
    assert (loaded["days loaded"], loaded["rows loaded"]) == (31, 124_768)
    assert year.materialize([shop.order_lines], tags=days)["dagster/row_count"] == 124_768
    ((lines,),) = query(year.warehouse, "SELECT sum(amount) FROM raw.order_lines")
    ((orders,),) = query(
        year.shop,
        "SELECT sum(amount) FROM orders "
        "WHERE ordered_at >= '2017-03-01' AND ordered_at < '2017-04-01'",
    )
    assert lines == pytest.approx(orders, abs=0.005)
