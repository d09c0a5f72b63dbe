"""The assets, a check, and the job that materializes all of them."""

from datetime import date

import dagster as dg

from bulkhead.steps import step_resources

from . import logic
from .resources import OrderSource


@dg.asset
def orders(source: OrderSource) -> dg.MaterializeResult[list[logic.Order]]:
    """All orders of the source."""
    found = source.read()
    return dg.MaterializeResult(value=found, metadata={"dagster/row_count": len(found)})


@dg.asset_check(asset=orders)
def no_day_is_missing(orders: list[logic.Order]) -> dg.AssetCheckResult:
    """There is an order for each day between the first and the last."""
    missing = [day.isoformat() for day in logic.missing_days(orders)]
    return dg.AssetCheckResult(passed=not missing, metadata={"missing": missing})


# The resources of this asset's step. Its memory starts at 256Mi and can grow to 1Gi.
@dg.asset(op_tags=step_resources(memory="256Mi", max_memory="1Gi", cpu="500m", timeout="10m"))
def units_per_day(orders: list[logic.Order]) -> dg.MaterializeResult[dict[date, int]]:
    """The number of units ordered on each day."""
    units = logic.units_per_day(orders)
    busiest = max(units, key=lambda day: units[day]).isoformat() if units else "none"
    return dg.MaterializeResult(value=units, metadata={"days": len(units), "busiest day": busiest})


refresh = dg.define_asset_job("refresh", description="Read the orders and count them, with checks.")
