"""Predicts which households will shop in the next week, without Dagster.

Weeks start on Monday. A week is known when it has ended; "the next week" is the first that starts
after `as_of`. Unless `as_of` is a Sunday, one week is between the two, and the model is fitted with
the same distance.
"""

import datetime as dt
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

LEARNING_WEEKS = 8
"""Number of weeks that the model is fitted to; older weeks are less relevant."""

FEWEST_WEEKS = 8
"""Four weeks for features, the distance to the next week, one to fit to and one to evaluate."""

SPANS = (1, 2, 4, 8, 12, 26)
"""Numbers of past weeks for the frequency of visits."""

NAIVE_SPAN = 12
"""Number of weeks of the naive frequency, the share of weeks with a visit."""


class TooLittleHistoryError(ValueError):
    """There are not enough weeks, or the last of them are missing."""


@dataclass(frozen=True)
class Weeks:
    """The known weeks of each household, and the distance of the next week.

    Attributes:
        user_ids: one per row of the arrays.
        orders: households by weeks; the last column is the last known week.
        amount: the same in US dollars.
        next_week: the Monday of the next week.
        distance: weeks from the last known to the next week: 1 or 2.
    """

    user_ids: np.ndarray
    orders: np.ndarray
    amount: np.ndarray
    next_week: dt.date
    distance: int


class Evaluation(NamedTuple):
    """The quality of rankings of households, on the last known week; 0.5 is chance, 1 is perfect.

    Attributes:
        auc: area under the ROC curve of the model.
        recency_auc: of the ranking by last visit.
        frequency_auc: of the ranking by weeks with a visit among the last 12.
        households: number of households.
    """

    auc: float
    recency_auc: float
    frequency_auc: float
    households: int

    @property
    def naive_auc(self) -> float:
        """The better AUC of the two naive rankings."""
        return max(self.recency_auc, self.frequency_auc)


def last_known_week(as_of: dt.date) -> dt.date:
    """Return the Monday of the last week that has ended on `as_of`."""
    return as_of - dt.timedelta(days=(as_of.weekday() + 1) % 7 + 6)


def next_week(as_of: dt.date) -> dt.date:
    """Return the first Monday after `as_of`."""
    return as_of + dt.timedelta(days=7 - as_of.weekday())


def as_weeks(user_weeks: pd.DataFrame, as_of: dt.date) -> Weeks:
    """Return the rows of `analytics.user_weeks` by household and week, up to `as_of`.

    Raises:
        TooLittleHistoryError: fewer than 8 weeks, or the last is missing.
    """
    last = last_known_week(as_of)
    rows = user_weeks.assign(week_start=pd.to_datetime(user_weeks["week_start"]))
    rows = rows[rows["week_start"] <= pd.Timestamp(last)]
    weeks = pd.date_range(rows["week_start"].min(), last, freq="7D") if len(rows) else []
    if len(weeks) < FEWEST_WEEKS:
        raise TooLittleHistoryError(
            f"analytics.user_weeks has {len(weeks)} weeks that ended by {as_of}; "
            f"next_week_shoppers needs {FEWEST_WEEKS}. Load earlier orders, or choose a later "
            "month."
        )
    if rows["week_start"].max() < pd.Timestamp(last):
        raise TooLittleHistoryError(
            f"analytics.user_weeks ends with the week of {rows['week_start'].max().date()}; the "
            f"last week that ended by {as_of} is that of {last}. Load the orders up to {as_of}."
        )
    table = rows.pivot_table(
        index="user_id", columns="week_start", values=["orders", "amount"], aggfunc="sum"
    )
    orders, amount = (
        table[column].reindex(columns=weeks).fillna(0).to_numpy(float)
        for column in ("orders", "amount")
    )
    return Weeks(
        user_ids=table.index.to_numpy(),
        orders=orders,
        amount=amount,
        next_week=next_week(as_of),
        distance=(next_week(as_of) - last).days // 7,
    )


def predict(weeks: Weeks) -> pd.DataFrame:
    """Return `user_id` and the `probability` of a visit in the next week, the highest first."""
    last = weeks.orders.shape[1] - 1
    model = _fitted(weeks, last)
    table = pd.DataFrame(
        {
            "user_id": weeks.user_ids,
            "probability": model.predict_proba(features(weeks, last))[:, 1],
        }
    )
    return table.sort_values(["probability", "user_id"], ascending=[False, True], ignore_index=True)


def evaluate(weeks: Weeks) -> Evaluation:
    """Fit a model without the last known week, and evaluate its ranking on that week."""
    hidden = weeks.orders.shape[1] - 1
    seen = hidden - weeks.distance
    known = weeks.orders[:, : seen + 1].any(axis=1)
    came = weeks.orders[known, hidden] > 0
    model = _fitted(weeks, hidden - 1)
    table = features(weeks, seen)[known]
    return Evaluation(
        auc=float(roc_auc_score(came, model.predict_proba(table)[:, 1])),
        recency_auc=float(roc_auc_score(came, -_recency(weeks, seen)[known])),
        frequency_auc=float(roc_auc_score(came, _share(weeks, seen, NAIVE_SPAN)[known])),
        households=int(known.sum()),
    )


def features(weeks: Weeks, last: int) -> np.ndarray:
    """Return the features of each household at the end of week `last`, a row per household.

    Recency (weeks since the last visit), frequency (share of weeks with a visit in several spans,
    orders of 4 and 12 weeks), amount (of 4 and 12 weeks, and mean of a week with a visit), and
    visits in each of the last eight weeks.
    """
    orders, amount = weeks.orders[:, : last + 1], weeks.amount[:, : last + 1]
    came = orders > 0
    with_visit = np.maximum(came.sum(axis=1), 1)
    return np.column_stack(
        [
            np.log1p(_recency(weeks, last)),
            *(_share(weeks, last, span) for span in SPANS),
            *(np.log1p(orders[:, -span:].sum(axis=1)) for span in (4, 12)),
            *(np.log1p(amount[:, -span:].sum(axis=1)) for span in (4, 12)),
            np.log1p(amount.sum(axis=1) / with_visit),
            *(came[:, -back] if back <= last + 1 else np.zeros(len(came)) for back in range(1, 9)),
        ]
    ).astype(float)


def make_classifier() -> Pipeline:
    """Return a model that is not fitted.

    A logistic regression: on the grocer's data, gradient boosting is as good and ten times slower.
    """
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))


def _fitted(weeks: Weeks, last: int) -> Pipeline:
    """Return a model that is fitted to the weeks up to `last`."""
    earliest = max(weeks.distance + 3, last - LEARNING_WEEKS + 1)
    tables, labels = [], []
    for week in range(earliest, last + 1):
        seen = week - weeks.distance
        known = weeks.orders[:, : seen + 1].any(axis=1)
        tables.append(features(weeks, seen)[known])
        labels.append(weeks.orders[known, week] > 0)
    return make_classifier().fit(np.concatenate(tables), np.concatenate(labels))


def _recency(weeks: Weeks, last: int) -> np.ndarray:
    """Return weeks since the last visit; all known weeks if there is none."""
    came = weeks.orders[:, last::-1] > 0
    return np.where(came.any(axis=1), came.argmax(axis=1), last + 1)


def _share(weeks: Weeks, last: int, span: int) -> np.ndarray:
    """Return the share of the last `span` known weeks with a visit."""
    first = max(0, last + 1 - span)
    return (weeks.orders[:, first : last + 1] > 0).mean(axis=1)
