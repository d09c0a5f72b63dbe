"""The definitions that Dagster loads from this code location."""

import dagster as dg

from . import assets, resources

defs = dg.Definitions(
    assets=[assets.orders, assets.units_per_day],
    asset_checks=[assets.no_day_is_missing],
    jobs=[assets.refresh],
    resources={"source": resources.order_source()},
)
