"""The tables that this code location reads and writes: their names, columns and types.

Types are SQL types of both DuckDB and PostgreSQL. pyarrow is imported only when rows are moved.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

ORDER_COLUMNS = {
    "order_id": "bigint",
    "user_id": "bigint",
    "store_id": "bigint",
    "ordered_at": "timestamp",
    "items": "bigint",
    "amount": "double precision",
    "discount": "double precision",
}
"""`items` is the sum of the quantities; `amount` and `discount` are US dollars."""

ORDER_LINE_COLUMNS = {
    "order_id": "bigint",
    "product_id": "bigint",
    "department": "text",
    "quantity": "bigint",
    "amount": "double precision",
    "order_date": "date",
}

USER_COLUMNS = {
    "user_id": "bigint",
    "age": "text",
    "income": "text",
    "home_ownership": "text",
    "marital_status": "text",
    "household_size": "text",
    "household_comp": "text",
    "kids_count": "text",
    "updated_at": "timestamp",
}
"""Unknown facts of a household are null."""


@dataclass(frozen=True, eq=False)
class Table:
    """A table.

    Attributes:
        name: with its schema, if that is not the default schema.
        columns: each column's type.
        required: columns that are never null.
    """

    name: str
    columns: Mapping[str, str]
    required: tuple[str, ...] = ()

    def arrow_schema(self) -> "pa.Schema":
        """Return the columns as a pyarrow schema."""
        import pyarrow as pa

        types = {
            "bigint": pa.int64(),
            "date": pa.date32(),
            "double precision": pa.float64(),
            "text": pa.string(),
            "timestamp": pa.timestamp("us"),
        }
        return pa.schema(
            [
                pa.field(name, types[kind], nullable=name not in self.required)
                for name, kind in self.columns.items()
            ]
        )


SHOP_ORDERS = Table("orders", ORDER_COLUMNS, ("order_id", "ordered_at"))
SHOP_ORDER_LINES = Table("order_lines", ORDER_LINE_COLUMNS, ("order_id", "product_id"))
SHOP_USERS = Table("users", USER_COLUMNS, ("user_id", "updated_at"))

ORDERS = Table("raw.orders", ORDER_COLUMNS, SHOP_ORDERS.required)
ORDER_LINES = Table("raw.order_lines", ORDER_LINE_COLUMNS, SHOP_ORDER_LINES.required)
USERS = Table("raw.users", USER_COLUMNS, SHOP_USERS.required)
CAMPAIGNS = Table(
    "raw.campaigns",
    {
        "campaign_id": "bigint",
        "campaign_type": "text",
        "start_date": "date",
        "end_date": "date",
        "households": "bigint",
    },
    ("campaign_id",),
)
OFFLINE_ORDERS = Table(
    "raw.offline_orders", {**ORDER_COLUMNS, "file": "text"}, ("order_id", "ordered_at", "file")
)
OFFLINE_ORDERS_REJECTED = Table(
    "raw.offline_orders_rejected",
    {"file": "text", "row": "bigint", "reason": "text", "content": "text"},
    ("file", "row", "reason"),
)
