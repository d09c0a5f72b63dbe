from support import execute, fill, moment, order, query

from ingestion import tables
from ingestion.databases import Database
from ingestion.loading import load_new


def load_orders(shop: Database, warehouse: Database, before: int | None = None) -> int:
    return load_new(
        tables.SHOP_ORDERS,
        tables.ORDERS,
        shop=shop,
        warehouse=warehouse,
        cursor="ordered_at",
        key="order_id",
        before=moment(before) if before else None,
    )


def load_users(shop: Database, warehouse: Database) -> int:
    return load_new(
        tables.SHOP_USERS,
        tables.USERS,
        shop=shop,
        warehouse=warehouse,
        cursor="updated_at",
        key="user_id",
    )


def test_each_load_brings_only_what_is_new(shop: Database, warehouse: Database) -> None:
    assert load_orders(shop, warehouse, before=3) == 2
    assert load_orders(shop, warehouse, before=3) == 0
    assert load_orders(shop, warehouse) == 2
    assert load_orders(shop, warehouse) == 0
    assert sorted(query(warehouse, "SELECT * FROM raw.orders")) == [
        tuple(order(number)[column] for column in tables.ORDER_COLUMNS) for number in range(1, 5)
    ]


def test_a_first_load_may_find_nothing(shop: Database, warehouse: Database) -> None:
    assert load_orders(shop, warehouse, before=1) == 0
    with warehouse.connect() as connection:
        assert connection.columns(tables.ORDERS) == tables.ORDERS.columns


def test_an_order_of_the_same_moment_that_comes_later_is_not_missed(
    shop: Database, warehouse: Database
) -> None:
    load_orders(shop, warehouse)
    rows = [order(number) for number in range(1, 5)]
    fill(shop, tables.SHOP_ORDERS, [*rows, order(5, ordered_at=moment(4))])
    assert load_orders(shop, warehouse) == 1


def test_a_load_that_was_cut_short_before_it_was_noted_doubles_nothing(
    shop: Database, warehouse: Database
) -> None:
    load_orders(shop, warehouse, before=3)
    execute(warehouse, "DELETE FROM raw._dlt_pipeline_state")
    execute(warehouse, "DELETE FROM raw._dlt_loads")
    assert load_orders(shop, warehouse) == 4
    assert query(warehouse, "SELECT count(*), count(DISTINCT order_id) FROM raw.orders") == [(4, 4)]


def test_a_user_that_has_changed_takes_the_place_of_what_was_known(
    shop: Database, warehouse: Database
) -> None:
    assert load_users(shop, warehouse) == 2
    execute(
        shop, "UPDATE users SET age = '19-24', updated_at = '2017-05-01 00:00:00' WHERE user_id = 1"
    )
    assert load_users(shop, warehouse) == 1
    assert sorted(query(warehouse, "SELECT user_id, age FROM raw.users")) == [
        (1, "19-24"),
        (2, None),
    ]


def test_the_loaded_tables_have_the_agreed_columns(shop: Database, warehouse: Database) -> None:
    load_orders(shop, warehouse)
    load_users(shop, warehouse)
    with warehouse.connect() as connection:
        for table in (tables.ORDERS, tables.USERS):
            assert connection.columns(table) == table.columns
