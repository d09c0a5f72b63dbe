"""What this code location offers to Dagster."""

import dagster as dg

from hello import greeting, misbehaviour, shapes, stocks

defs = dg.Definitions(
    assets=[stocks.prices, stocks.monthly_returns],
    asset_checks=[stocks.no_month_is_missing],
    jobs=[
        greeting.hello_dagster,
        stocks.stocks,
        stocks.stocks_with_a_gap,
        *misbehaviour.jobs,
        *shapes.jobs,
    ],
    schedules=[stocks.every_working_day],
    sensors=[stocks.dropped_files],
)
