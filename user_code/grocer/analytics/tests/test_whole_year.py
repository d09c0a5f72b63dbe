import time

import pytest
import raw
import warehouses
from in_process import dbt

ORDERS = 156_000
"""About as many as the shop had in 2017; so many does `YEAR` make."""

YEAR = """
    insert into raw.orders
    select
        number as order_id,
        number % 2469 + 1 as user_id,
        number % 300 as store_id,
        timestamp '2017-01-01' + to_seconds(cast(number * (365.0 * 86400 / 156000) as bigint)),
        number % 20 + 1 as items,
        (number % 1000 + 1) / 100 as amount,
        0.0 as discount
    from range(156000) as numbers(number)
"""


def test_a_whole_year_without_a_table_of_offline_orders_is_done_in_seconds(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse = warehouses.on_duckdb(tmp_path_factory.mktemp("year"), monkeypatch)
    users = [(number, *[None] * 7, "2017-01-01") for number in range(1, 2470)]
    raw.load(warehouse.execute, users=users, orders=[])
    warehouse.execute(YEAR)
    started = time.perf_counter()
    dbt(warehouse.environment, "build")
    taken = time.perf_counter() - started
    print(f"{ORDERS} orders: {taken:.1f} s")
    assert taken < 45
    assert warehouse.execute(
        "select count(*), sum(orders), min(orders), max(users), sum(items), round(sum(amount), 2)"
        " from analytics.daily_order_summary"
    ) == [(365, ORDERS, 427, 428, ORDERS * 10.5, ORDERS * 5.005)]
    assert warehouse.execute(
        "select count(distinct user_id), sum(orders), round(sum(amount), 2)"
        " from analytics.user_weeks"
    ) == [(2469, ORDERS, ORDERS * 5.005)]
