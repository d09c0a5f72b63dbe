"""The assets of the shop: its database, and its users, orders and lines in the warehouse."""

from datetime import datetime, timedelta
from typing import Any

import dagster as dg
from pydantic import Field

from bulkhead.steps import step_resources
from ingestion import shop_data, tables
from ingestion.databases import Connection
from ingestion.loading import load_new
from ingestion.resources import DatabaseResource
from ingestion.tables import Table

OWNERS = ["team:ingestion"]

DAYS = dg.DailyPartitionsDefinition(start_date="2017-01-01", end_date="2018-01-01")

HALF_A_CENT = 0.005
"""Two sums of the same dollars differ by less, in any order of addition."""

RETRIES = dg.RetryPolicy(max_retries=2, delay=5)
"""For a database that is starting, or two first loads that create the same tables."""


class LoadOrders(dg.Config):
    """The range of orders to load."""

    until: str | None = Field(
        default=None,
        description="Load only orders before this day or time, such as 2017-06-01 or "
        "2017-06-01 12:00:00; the next run continues from there. Absent: all new orders.",
    )

    @property
    def before(self) -> datetime | None:
        """`until` as a datetime; raises dagster.Failure if it is invalid."""
        try:
            return datetime.fromisoformat(self.until) if self.until else None
        except ValueError as error:
            raise dg.Failure(
                f"until is {self.until!r}. It must be a day or a time, such as 2017-06-01 or "
                "2017-06-01 12:00:00.",
                allow_retries=False,
            ) from error


@dg.asset(
    group_name="shop",
    owners=OWNERS,
    kinds={"python", "sql"},
    tags={"domain": "sales"},
    code_version="1",
    retry_policy=RETRIES,
    op_tags=step_resources(memory="1Gi", cpu="1", max_memory="2Gi"),
)
def shop_database(shop: DatabaseResource) -> dg.MaterializeResult:
    """The shop's database, with a year of orders, their lines and users.

    It is filled once; a database that has orders is not changed.
    """
    database = shop.database()
    is_filled = shop_data.seed(database)
    with database.connect() as connection:
        counts = shop_data.counts(connection)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": sum(counts.values()),
            **{f"rows of {name}": count for name, count in counts.items()},
            "filled now": is_filled,
        }
    )


@dg.asset(
    group_name="shop",
    owners=OWNERS,
    kinds={"dlt", "sql"},
    tags={"domain": "sales"},
    deps=[shop_database],
    retry_policy=RETRIES,
)
def users(shop: DatabaseResource, warehouse: DatabaseResource) -> dg.MaterializeResult:
    """All households with orders, with their demographics if known.

    Each load adds new and changed households.
    """
    target = warehouse.database()
    loaded = load_new(
        tables.SHOP_USERS,
        tables.USERS,
        shop=shop.database(),
        warehouse=target,
        cursor="updated_at",
        key="user_id",
    )
    with target.connect() as connection:
        return dg.MaterializeResult(
            metadata={**table_metadata(connection, tables.USERS), "rows loaded": loaded}
        )


@dg.asset(
    group_name="shop",
    owners=OWNERS,
    kinds={"dlt", "sql"},
    tags={"domain": "sales"},
    deps=[shop_database],
    retry_policy=RETRIES,
    freshness_policy=dg.FreshnessPolicy.time_window(
        fail_window=timedelta(hours=36), warn_window=timedelta(hours=26)
    ),
)
def orders(
    config: LoadOrders, shop: DatabaseResource, warehouse: DatabaseResource
) -> dg.MaterializeResult:
    """All orders of the shop: user, store, time and amount.

    Each load adds the orders since the last one.
    """
    target = warehouse.database()
    loaded = load_new(
        tables.SHOP_ORDERS,
        tables.ORDERS,
        shop=shop.database(),
        warehouse=target,
        cursor="ordered_at",
        key="order_id",
        before=config.before,
    )
    with target.connect() as connection:
        ((amount, newest),) = connection.rows("SELECT sum(amount), max(ordered_at) FROM raw.orders")
        return dg.MaterializeResult(
            metadata={
                **table_metadata(connection, tables.ORDERS),
                "rows loaded": loaded,
                "amount in US dollars": round(amount or 0.0, 2),
                "newest order": str(newest),
            }
        )


@dg.asset(
    group_name="shop",
    owners=OWNERS,
    kinds={"python", "sql"},
    tags={"domain": "sales"},
    code_version="1",
    deps=[shop_database],
    partitions_def=DAYS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    retry_policy=RETRIES,
    op_tags=step_resources(memory="512Mi", cpu="1", max_memory="1Gi"),
)
def order_lines(
    context: dg.AssetExecutionContext, shop: DatabaseResource, warehouse: DatabaseResource
) -> dg.MaterializeResult:
    """The lines of each order, with a partition per day.

    A load replaces a whole day. A range of days is one run.
    """
    window = context.partition_time_window
    days = {"first": window.start.date(), "after": window.end.date()}
    of_these_days = "order_date >= $first AND order_date < $after"
    with shop.database().connect() as connection:
        lines = connection.read(tables.SHOP_ORDER_LINES, of_these_days, **days)
    with warehouse.database().connect() as connection:
        connection.replace(tables.ORDER_LINES, lines, of_these_days, **days)
        return dg.MaterializeResult(
            metadata={
                **table_metadata(connection, tables.ORDER_LINES),
                "rows loaded": lines.num_rows,
                "days loaded": (window.end - window.start).days,
            }
        )


@dg.asset_check(asset=orders)
def nothing_was_lost(shop: DatabaseResource, warehouse: DatabaseResource) -> dg.AssetCheckResult:
    """Up to the newest order in the warehouse, shop and warehouse have equal counts and sums."""
    with warehouse.database().connect() as connection:
        ((newest,),) = connection.rows("SELECT max(ordered_at) FROM raw.orders")
        ((in_warehouse, amount),) = connection.rows(
            "SELECT count(*), coalesce(sum(amount), 0) FROM raw.orders"
        )
    with shop.database().connect() as connection:
        ((in_shop, amount_in_shop),) = connection.rows(
            "SELECT count(*), coalesce(sum(amount), 0) FROM orders WHERE ordered_at <= $newest",
            newest=newest,
        )
    return dg.AssetCheckResult(
        passed=in_warehouse == in_shop and abs(amount - amount_in_shop) < HALF_A_CENT,
        description=f"{in_shop} orders of {amount_in_shop:.2f} US dollars in the shop, "
        f"{in_warehouse} of {amount:.2f} in the warehouse, up to {newest}.",
        metadata={
            "orders in the shop": in_shop,
            "orders in the warehouse": in_warehouse,
            "amount in the shop": round(amount_in_shop, 2),
            "amount in the warehouse": round(amount, 2),
        },
    )


def agreed_columns(asset: dg.AssetsDefinition, table: Table) -> dg.AssetChecksDefinition:
    """Return the check that a table has the columns that its readers expect."""

    @dg.asset_check(
        asset=asset,
        name="has_the_agreed_columns",
        description=f"{table.name} has the columns and types that its readers expect.",
    )
    def check(warehouse: DatabaseResource) -> dg.AssetCheckResult:
        with warehouse.database().connect() as connection:
            found = connection.columns(table)
        wrong = [
            f"{name} is {found.get(name, 'missing')}, not {kind}"
            for name, kind in table.columns.items()
            if found.get(name) != kind
        ]
        wrong += [f"{name} is not expected" for name in found if name not in table.columns]
        return dg.AssetCheckResult(
            passed=not wrong,
            description=f"{table.name}: {'; '.join(wrong)}." if wrong else None,
            metadata={"columns": len(found)},
        )

    return check


def table_metadata(connection: Connection, table: Table) -> dict[str, Any]:
    """Return the metadata of a table."""
    return {
        "dagster/row_count": connection.count(table),
        "dagster/table_name": table.name,
        "dagster/column_schema": dg.TableSchema(
            columns=[
                dg.TableColumn(
                    name, kind, constraints=dg.TableColumnConstraints(name not in table.required)
                )
                for name, kind in table.columns.items()
            ]
        ),
    }


checks_of_orders = [nothing_was_lost, agreed_columns(orders, tables.ORDERS)]
checks_of_users = [agreed_columns(users, tables.USERS)]

load_orders = dg.define_asset_job(
    "load_orders",
    selection=dg.AssetSelection.assets(orders),
    description="Load the shop's new orders into the warehouse.",
)

nightly_orders = dg.ScheduleDefinition(
    name="nightly_orders",
    job=load_orders,
    cron_schedule="0 2 * * *",
    description="Load the day's orders at two in the morning.",
)
