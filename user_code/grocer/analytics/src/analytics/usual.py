"""Compares the orders of days with those of the same weekday before; without Dagster."""

import pandas as pd

DAYS = 7
"""Number of last days to compare."""

WEEKS = 12
"""Number of weeks before a day to compare with."""

FEWEST_WEEKS = 4
"""With fewer weeks, a day counts as usual."""

DEVIATIONS = 3
"""Number of standard deviations from the mean that are usual."""


def compare(daily: pd.DataFrame) -> pd.DataFrame:
    """Compare the last days with the same weekday of the weeks before.

    Args:
        daily: one row per day: ``order_date`` and ``orders``.

    Returns:
        The last seven days: ``order_date``, ``weekday``, ``orders``, ``low`` and ``high``, between
        which is usual, and ``usual``; without bounds and usual where too little is known.
    """
    table = daily[["order_date", "orders"]].assign(
        order_date=lambda table: pd.to_datetime(table["order_date"])
    )
    table = table.sort_values("order_date", ignore_index=True)
    before = table.groupby(table["order_date"].dt.dayofweek)["orders"].transform
    mean = before(lambda orders: _earlier(orders).mean())
    spread = DEVIATIONS * before(lambda orders: _earlier(orders).std())
    low, high = (mean - spread).clip(lower=0), mean + spread
    compared = table.assign(
        weekday=table["order_date"].dt.day_name(),
        low=low,
        high=high,
        usual=low.isna() | table["orders"].between(low, high),
    )
    return compared[["order_date", "weekday", "orders", "low", "high", "usual"]].tail(DAYS)


def describe(compared: pd.DataFrame) -> str:
    """Return a sentence with the unusual days."""
    if compared.empty:
        return "daily_order_summary has no rows."
    unusual = compared.loc[~compared["usual"]]
    if unusual.empty:
        return f"The last {len(compared)} days are as usual."
    named = ", ".join(
        f"{day.weekday} {day.order_date:%Y-%m-%d} ({day.orders} orders)"
        for day in unusual.itertuples()
    )
    verb = "is" if len(unusual) == 1 else "are"
    return f"{len(unusual)} of {len(compared)} days {verb} not as usual: {named}."


def as_markdown(compared: pd.DataFrame) -> str:
    """Return the compared days as a table in Markdown, counts without decimals."""
    table = compared.assign(
        order_date=compared["order_date"].dt.strftime("%Y-%m-%d"),
        usual=compared["usual"].map({True: "yes", False: "no"}),
    )
    return table.to_markdown(index=False, floatfmt=".0f")


def _earlier(orders: pd.Series) -> "pd.api.typing.Rolling":
    """Return a window of the weeks before each day, for the days of one weekday."""
    return orders.shift().rolling(WEEKS, min_periods=FEWEST_WEEKS)
