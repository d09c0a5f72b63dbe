"""A year of a grocery chain that does not exist, drawn with a seed.

Households come at rates of their own, some weeks away from home, more on weekends; each day has
its weather, and the shops are closed on 25 December.
"""

import numpy as np
import pandas as pd

HOUSEHOLDS = 2500
DAYS = pd.date_range("2017-01-01", "2017-12-31")
WEEKDAYS = np.array([0.95, 0.9, 0.9, 0.92, 0.95, 1.15, 1.23])


def orders(seed: int = 1) -> np.ndarray:
    """Return the orders of each household (row) and day (column)."""
    rng = np.random.default_rng(seed)
    rate = rng.gamma(1.2, 0.16, size=(HOUSEHOLDS, 1))
    home = _at_home(rng)
    growth = np.linspace(0.95, 1.05, len(DAYS))
    weather = rng.lognormal(0, 0.06, len(DAYS))
    day = WEEKDAYS[DAYS.day_of_week] * growth * weather * (DAYS != "2017-12-25")
    return rng.poisson(rate * home * day)


def _at_home(rng: np.random.Generator) -> np.ndarray:
    """1 where a household is at home, 0 in weeks away, which come in stretches."""
    weeks = (rng.random((HOUSEHOLDS, len(DAYS) // 7 + 2)) < 0.81).astype(float)
    for week in range(1, weeks.shape[1]):
        stays = rng.random(HOUSEHOLDS)
        away_before = weeks[:, week - 1] == 0
        weeks[:, week] = np.where(away_before, stays > 0.75, stays > 0.06)
    week_of_day = (np.arange(len(DAYS)) + DAYS[0].day_of_week) // 7
    return weeks[:, week_of_day]


def daily_order_summary(drawn: np.ndarray) -> pd.DataFrame:
    """Return the rows of `analytics.daily_order_summary`; a closed day has zeros."""
    return pd.DataFrame(
        {
            "order_date": DAYS,
            "orders": drawn.sum(axis=0),
            "users": (drawn > 0).sum(axis=0),
            "items": drawn.sum(axis=0) * 9,
            "amount": drawn.sum(axis=0) * 29.5,
            "discount": drawn.sum(axis=0) * 5.0,
        }
    )


def user_weeks(drawn: np.ndarray) -> pd.DataFrame:
    """Return the rows of `analytics.user_weeks`: one per household and week with an order."""
    household, day = np.nonzero(drawn)
    rows = pd.DataFrame(
        {
            "user_id": household + 1,
            "week_start": (DAYS - pd.to_timedelta(DAYS.day_of_week, unit="D"))[day],
            "orders": drawn[household, day],
        }
    )
    table = rows.groupby(["user_id", "week_start"], as_index=False)["orders"].sum()
    return table.assign(items=table["orders"] * 9, amount=table["orders"] * 29.5)
