"""What is read from the warehouse and what is written to it. Cheap to import."""

from dataclasses import dataclass
from typing import NamedTuple

DAILY_ORDERS = """
    select order_date, orders
    from analytics.daily_order_summary
    where order_date <= :as_of
    order by order_date
"""
"""Orders of each day that had any, up to a day."""

USER_WEEKS = """
    select user_id, week_start, orders, amount
    from analytics.user_weeks
    where week_start <= :last_week
"""
"""Orders and dollars of each household and week with an order, up to a week."""

PREDICTIONS_OF = """
    select order_date, orders, lower, upper
    from ml.predicted_orders
    where as_of = :as_of
    order by order_date
"""
"""What was forecast at the end of a day."""


class Column(NamedTuple):
    """A column: its SQL type, in words that DuckDB and PostgreSQL both know, and what it is."""

    name: str
    type: str
    description: str


@dataclass(frozen=True)
class Table:
    """A table with a column `as_of`; no column is ever null."""

    schema: str
    name: str
    columns: tuple[Column, ...]

    @property
    def full_name(self) -> str:
        """Its name with the schema."""
        return f"{self.schema}.{self.name}"

    @property
    def column_names(self) -> list[str]:
        """The names of its columns, in order."""
        return [column.name for column in self.columns]


PREDICTED_ORDERS = Table(
    "ml",
    "predicted_orders",
    (
        Column("as_of", "date", "the last day that the forecast knows"),
        Column("order_date", "date", "the day that is forecast"),
        Column("orders", "double precision", "orders that are expected"),
        Column("lower", "double precision", "9 days in 10 bring more"),
        Column("upper", "double precision", "9 days in 10 bring fewer"),
    ),
)

NEXT_WEEK_SHOPPERS = Table(
    "ml",
    "next_week_shoppers",
    (
        Column("as_of", "date", "the last day that the model knows"),
        Column("user_id", "bigint", "the household"),
        Column("probability", "double precision", "that it shops in the next week"),
    ),
)
