"""Forecasts orders per day, without Dagster.

A model is fitted to the data up to the end of a day. It is a ridge regression of a day's orders on
those of the seven days before and on the day of the week. For several days ahead, its own
predictions are the input.
"""

import datetime as dt
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge

WEEK = 7
HORIZON = 30
"""Number of forecast days."""

HELD_OUT = 28
"""Number of last days that the evaluated model does not see: whole weeks, so that each day of the
week has the same weight."""

FEWEST_DAYS = 70
"""28 held-out days, and six weeks to fit to."""

SHRINKAGE = 10.0
"""Weight of the ridge's penalty on standardized features. From 1 to 10 the error on the grocer's
nine months differs by less than 0.1 percentage points."""

SURE = 0.8
"""Target share of days between `lower` and `upper`."""


class TooLittleHistoryError(ValueError):
    """There are not enough days of orders, or the last of them are missing."""


@dataclass(frozen=True)
class OrderForecast:
    """A fitted model and its starting values.

    Attributes:
        as_of: the last day of its data.
        recent: orders of the seven days up to then, oldest first.
        weights: coefficients of `_features`; the last is the intercept.
        members: such weights, one row for each resample of the days.
        errors: errors of the members, in orders, on days outside their resample.
    """

    as_of: dt.date
    recent: np.ndarray
    weights: np.ndarray
    members: np.ndarray
    errors: np.ndarray


class Evaluation(NamedTuple):
    """The errors of a model on the held-out days.

    Attributes:
        mape: its mean absolute error, in percent of a day's orders.
        naive_mape: error of repeating the last known week.
        days: one row per held-out day: `order_date`, `orders`, `predicted`, `naive`.
    """

    mape: float
    naive_mape: float
    days: pd.DataFrame


def as_history(summary: pd.DataFrame, as_of: dt.date) -> pd.Series:
    """Return orders by day, from the first known day to `as_of`; NaN if the stores were closed.

    The stores were closed on days without orders, with or without a row.

    Args:
        summary: rows of `analytics.daily_order_summary`; days after `as_of` are left out.
        as_of: the last known day.

    Raises:
        TooLittleHistoryError: fewer than 70 days, or none in the last week.
    """
    orders = pd.Series(
        summary["orders"].to_numpy(dtype=float), pd.DatetimeIndex(summary["order_date"])
    ).sort_index()
    orders = orders[: pd.Timestamp(as_of)]
    orders = orders[orders > 0]
    if len(orders) < FEWEST_DAYS:
        raise TooLittleHistoryError(
            f"analytics.daily_order_summary has {len(orders)} days with orders up to {as_of}; a "
            f"forecast needs {FEWEST_DAYS}. Load earlier orders, or choose a later month."
        )
    last = orders.index[-1].date()
    if (as_of - last).days >= WEEK:
        raise TooLittleHistoryError(
            f"analytics.daily_order_summary ends on {last}; the forecast starts after {as_of}. "
            f"Load the orders up to {as_of}, or choose an earlier month."
        )
    return orders.reindex(pd.date_range(orders.index[0], as_of))


def fit(history: pd.Series, resamples: int = 200, seed: int = 0) -> OrderForecast:
    """Fit a model to all days of a history.

    Args:
        history: what `as_history` returned.
        resamples: number of bootstrap resamples of the days, for the uncertainty of the model.
            All of them are in memory at the same time, about 110 bytes each per day.
        seed: of the random numbers.
    """
    orders = _without_gaps(history)
    features, known = _table(orders, history)
    rng = np.random.default_rng(seed)
    drawn = [rng.integers(len(known), size=len(known)) for _ in range(resamples)]
    samples = [(features[days], known[days]) for days in drawn]
    members = np.array([_weights(*sample) for sample in samples])
    errors = [
        np.delete(known - _expected(features, member), days)
        for member, days in zip(members, drawn, strict=True)
    ]
    return OrderForecast(
        as_of=history.index[-1].date(),
        recent=orders[-WEEK:],
        weights=_weights(features, known),
        members=members,
        errors=np.concatenate(errors),
    )


def predict(model: OrderForecast, days: int = HORIZON, seed: int = 0) -> pd.DataFrame:
    """Return the forecast: `order_date`, `orders`, `lower`, `upper`.

    `lower` and `upper` are quantiles of simulated courses: each member of the model makes its own
    forecast, with random errors from the errors of the members.
    """
    rng = np.random.default_rng(seed)
    errors = rng.choice(model.errors, size=(len(model.members), days))
    courses = _course(model.recent, model.as_of, model.members, errors)
    expected = _course(model.recent, model.as_of, model.weights[None], np.zeros((1, days)))[0]
    lower, upper = np.quantile(courses, [(1 - SURE) / 2, (1 + SURE) / 2], axis=0)
    return pd.DataFrame(
        {
            "order_date": _days_after(model.as_of, days),
            "orders": expected,
            "lower": np.minimum(lower, expected),
            "upper": np.maximum(upper, expected),
        }
    )


def evaluate(history: pd.Series) -> Evaluation:
    """Fit a model without the last 28 days, and compare its forecast with the orders of these days.

    Days on which the stores were closed do not count.
    """
    known, hidden = history[:-HELD_OUT], history[-HELD_OUT:]
    orders = _without_gaps(known)
    weights = _weights(*_table(orders, known))
    start = known.index[-1].date()
    expected = _course(orders[-WEEK:], start, weights[None], np.zeros((1, HELD_OUT)))[0]
    days = pd.DataFrame(
        {
            "order_date": [day.date() for day in hidden.index],
            "orders": hidden.to_numpy(),
            "predicted": expected,
            "naive": np.tile(orders[-WEEK:], HELD_OUT // WEEK),
        }
    ).dropna(ignore_index=True)
    return Evaluation(
        mape=_mape(days["orders"], days["predicted"]),
        naive_mape=_mape(days["orders"], days["naive"]),
        days=days,
    )


def _without_gaps(history: pd.Series) -> np.ndarray:
    """Return the orders; a closed day has those of the same day of the week before."""
    orders = history.to_numpy(copy=True)
    for day in np.flatnonzero(np.isnan(orders)):
        orders[day] = orders[day - WEEK] if day >= WEEK else np.nanmean(orders[: 2 * WEEK])
    return orders


def _table(orders: np.ndarray, history: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return the features and orders of each open day that has a week before it."""
    before = np.lib.stride_tricks.sliding_window_view(orders[:-1], WEEK)
    features = _features(before, history.index[WEEK:].day_of_week.to_numpy())
    known = history.to_numpy()[WEEK:]
    is_open = ~np.isnan(known)
    return features[is_open], known[is_open]


def _features(before: np.ndarray, weekday: np.ndarray) -> np.ndarray:
    """Return a row per day: the seven days before, oldest first, and a column per weekday."""
    return np.hstack([before, np.eye(WEEK)[weekday]])


def _weights(features: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """Return the ridge's coefficients for features that are not standardized, and the intercept."""
    mean, spread = features.mean(axis=0), features.std(axis=0)
    spread[spread == 0] = 1  # a constant column
    ridge = Ridge(alpha=SHRINKAGE).fit((features - mean) / spread, orders)
    slopes = ridge.coef_ / spread
    return np.append(slopes, ridge.intercept_ - slopes @ mean)


def _expected(features: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return features @ weights[:-1] + weights[-1]


def _course(
    recent: np.ndarray, as_of: dt.date, members: np.ndarray, errors: np.ndarray
) -> np.ndarray:
    """Return the forecast of each member (row of weights) day by day, plus `errors`."""
    course = np.tile(recent, (len(members), 1))
    for day, missed in zip(_days_after(as_of, errors.shape[1]), errors.T, strict=True):
        features = _features(course[:, -WEEK:], np.full(len(members), day.weekday()))
        orders = np.einsum("mf,mf->m", features, members[:, :-1]) + members[:, -1] + missed
        course = np.column_stack([course, np.maximum(orders, 0)])
    return course[:, WEEK:]


def _days_after(as_of: dt.date, days: int) -> list[dt.date]:
    return [as_of + dt.timedelta(days=ahead) for ahead in range(1, days + 1)]


def _mape(orders: pd.Series, predicted: pd.Series) -> float:
    return float(((predicted - orders).abs() / orders).mean() * 100)
