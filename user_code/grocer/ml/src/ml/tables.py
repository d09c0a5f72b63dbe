"""The tables that this code location reads and writes. Imports no heavy library."""

from dataclasses import dataclass
from typing import NamedTuple

DAILY_ORDERS = """
    select order_date, orders
    from analytics.daily_order_summary
    where order_date <= :as_of
    order by order_date
"""
"""Orders of each day up to a day."""

USER_WEEKS = """
    select user_id, week_start, orders, amount
    from analytics.user_weeks
    where week_start <= :last_week
"""
"""Orders and US dollars of each household and week with an order, up to a week."""

PREDICTIONS_OF = """
    select order_date, orders, lower, upper
    from ml.predicted_orders
    where as_of = :as_of
    order by order_date
"""
"""The forecast from the data up to a day."""


class Column(NamedTuple):
    """A column: its name, its SQL type in DuckDB and PostgreSQL, and its description."""

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
        Column("as_of", "date", "last day of the forecast's data"),
        Column("order_date", "date", "forecast day"),
        Column("orders", "double precision", "expected orders"),
        Column("lower", "double precision", "lower bound: 9 in 10 days have more orders"),
        Column("upper", "double precision", "upper bound: 9 in 10 days have fewer orders"),
    ),
)

NEXT_WEEK_SHOPPERS = Table(
    "ml",
    "next_week_shoppers",
    (
        Column("as_of", "date", "last day of the model's data"),
        Column("user_id", "bigint", "household"),
        Column("probability", "double precision", "probability that it shops in the next week"),
    ),
)
