"""The tables that ingestion loads, made by hand, with SQL that both databases understand."""

from collections.abc import Callable, Iterable

TABLES = {
    "users": (
        "user_id bigint, age text, income text, home_ownership text, marital_status text,"
        " household_size text, household_comp text, kids_count text, updated_at timestamp"
    ),
    "orders": (
        "order_id bigint, user_id bigint, store_id bigint, ordered_at timestamp, items bigint,"
        " amount double precision, discount double precision"
    ),
    "offline_orders": (
        "order_id bigint, user_id bigint, store_id bigint, ordered_at timestamp, items bigint,"
        " amount double precision, discount double precision, file text"
    ),
}

Row = tuple[object, ...]
Execute = Callable[[str], object]

USERS: list[Row] = [
    (1, "25-34", "50-74K", "Homeowner", "Married", "3", "2 Adults Kids", "1", "2017-01-01"),
    (2, *[None] * 7, "2017-01-01"),
    (3, None, "35-49K", *[None] * 5, "2017-01-01"),
    (4, *[None] * 7, "2017-01-01"),
]

ORDERS: list[Row] = [
    (10, 1, 100, "2017-01-01 09:00:00", 3, 10.1, 1.0),
    (11, 1, 100, "2017-01-02 23:59:59", 1, 0.2, 0.0),
    (12, 2, 101, "2017-01-02 12:00:00", 2, 0.1, 0.0),
    # Came twice; the later one counts.
    (13, 2, 101, "2017-01-04 08:00:00", 1, 5.0, 0.0),
    (13, 2, 101, "2017-01-04 08:30:00", 2, 6.0, 0.5),
    # A return, an order without goods, one without a price.
    (14, 1, 100, "2017-01-03 10:00:00", -1, -3.0, 0.0),
    (15, 1, 100, "2017-01-03 11:00:00", 0, 2.0, 0.0),
    (16, 1, 100, "2017-01-03 12:00:00", 1, 0.0, 0.0),
    # A Sunday, and the Monday of another year and another week.
    (20, 3, 100, "2017-12-31 20:00:00", 4, 7.77, 0.0),
    (21, 3, 100, "2018-01-01 00:05:00", 1, 1.0, 0.0),
]

OFFLINE_ORDERS: list[Row] = [
    (17, 2, 102, "2017-01-04 09:00:00", 5, 20.0, 2.0, "store-102.csv"),
    (17, 2, 102, "2017-01-04 09:00:00", 5, 20.0, 2.0, "store-102-again.csv"),
    # The database has it too, and knows better.
    (10, 1, 102, "2017-01-01 09:30:00", 9, 99.0, 0.0, "store-102.csv"),
    (18, 1, 102, "2017-01-04 10:00:00", -2, -5.0, 0.0, "store-102.csv"),
]


def load(execute: Execute, **tables: Iterable[Row]) -> None:
    """Replace the schema by one with these tables and rows only."""
    execute("drop schema if exists raw cascade")
    execute("create schema raw")
    for name, rows in tables.items():
        execute(f"create table raw.{name} ({TABLES[name]})")
        values = ", ".join(f"({', '.join(map(_literal, row))})" for row in rows)
        if values:
            execute(f"insert into raw.{name} values {values}")  # noqa: S608 - rows of these tests


def load_by_hand(execute: Execute) -> None:
    """Load the tables of this module."""
    load(execute, users=USERS, orders=ORDERS, offline_orders=OFFLINE_ORDERS)


def _literal(value: object) -> str:
    return "null" if value is None else repr(value)
