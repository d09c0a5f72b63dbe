"""Asset checks that compare several rows."""

from importlib.metadata import version

import dagster as dg

from analytics import usual
from analytics.automation import EAGER
from analytics.resources import Warehouse


@dg.asset_check(
    asset=dg.AssetKey("daily_order_summary"),
    automation_condition=EAGER,
)
def daily_orders_look_usual(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Each of the last seven days has about as many orders as that weekday had before.

    Other days may be holidays, or orders of a store are missing: review them.
    """
    daily = warehouse.read("select order_date, orders from analytics.daily_order_summary")
    compared = usual.compare(daily)
    return dg.AssetCheckResult(
        passed=bool(len(compared) and compared["usual"].all()),
        severity=dg.AssetCheckSeverity.WARN,
        description=usual.describe(compared),
        metadata={
            "days": dg.MetadataValue.md(usual.as_markdown(compared)),
            "pandas": version("pandas"),
        },
    )
