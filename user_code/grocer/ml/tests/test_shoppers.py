import datetime as dt

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier

from ml import shoppers

JUNE = dt.date(2017, 6, 30)  # a Friday


def rows(*weeks_of_users: list[int], first: str = "2017-01-02") -> pd.DataFrame:
    """Each household's orders week by week; an order costs 10 dollars."""
    mondays = pd.date_range(first, periods=len(weeks_of_users[0]), freq="7D")
    return pd.DataFrame(
        [
            {"user_id": user, "week_start": monday, "orders": orders, "amount": 10.0 * orders}
            for user, weeks in enumerate(weeks_of_users, 1)
            for monday, orders in zip(mondays, weeks, strict=True)
            if orders
        ]
    )


@pytest.mark.parametrize(
    ("as_of", "last", "following"),
    [
        ("2017-06-30", "2017-06-19", "2017-07-03"),  # Friday: its own week has not ended
        ("2017-12-31", "2017-12-25", "2018-01-01"),  # Sunday: it has
        ("2017-07-31", "2017-07-24", "2017-08-07"),  # Monday
    ],
)
def test_the_last_known_week_has_ended_and_the_next_week_has_not_started(
    as_of: str, last: str, following: str
) -> None:
    day = dt.date.fromisoformat(as_of)
    assert shoppers.last_known_week(day) == dt.date.fromisoformat(last)
    assert shoppers.next_week(day) == dt.date.fromisoformat(following)


def test_features_are_what_one_counts_by_hand() -> None:
    weeks = shoppers.as_weeks(rows([0, 2, 0, 0, 1, 0, 0, 3, 0, 0], [1] * 10), dt.date(2017, 3, 12))
    recency, last_1, last_2, last_4, last_8, *_ = shoppers.features(weeks, last=9)[0]
    assert recency == pytest.approx(np.log1p(2))
    assert (last_1, last_2, last_4, last_8) == (0, 0, 0.25, 0.25)
    orders_4, orders_12, amount_4, amount_12, usual = shoppers.features(weeks, last=9)[0][7:12]
    assert np.expm1([orders_4, orders_12]) == pytest.approx([3, 6])
    assert np.expm1([amount_4, amount_12, usual]) == pytest.approx([30, 60, 20])


def test_features_of_a_week_know_nothing_of_later_weeks() -> None:
    weeks = shoppers.as_weeks(rows([1, 0] * 6, [0, 1] * 6), dt.date(2017, 3, 26))
    upset = shoppers.as_weeks(rows([1, 0] * 4 + [9] * 4, [0, 1] * 4 + [0] * 4), weeks_end(12))
    assert np.array_equal(shoppers.features(weeks, 7), shoppers.features(upset, 7))


def weeks_end(weeks: int) -> dt.date:
    return dt.date(2017, 1, 1) + dt.timedelta(weeks=weeks)


def test_a_month_knows_nothing_of_the_next(year: dict[str, pd.DataFrame]) -> None:
    known = year["user_weeks"]
    june = known[known["week_start"] <= pd.Timestamp(shoppers.last_known_week(JUNE))]
    answers = [shoppers.predict(shoppers.as_weeks(table, JUNE)) for table in (known, june)]
    pd.testing.assert_frame_equal(*answers)


def test_who_always_comes_is_likelier_than_who_never_does_again() -> None:
    regulars, lost = [[1] * 16] * 5, [[1] * 4 + [0] * 12] * 5
    weeks = shoppers.as_weeks(rows(*regulars, *lost), weeks_end(16))
    answer = shoppers.predict(weeks)
    assert set(answer["user_id"][:5]) == {1, 2, 3, 4, 5}
    assert answer["probability"].iloc[4] > 0.9
    assert answer["probability"].iloc[5] < 0.1
    assert shoppers.evaluate(weeks).auc == 1


def test_naive_orders_are_what_one_works_out_by_hand() -> None:
    # In week 12 household 1 comes. By last visit the order is 1, 2, 3; by regularity 3, 2, 1.
    histories = ([0] * 10 + [1, 1], [0] * 8 + [1, 1, 0, 0], [1] * 8 + [0] * 4)
    evaluation = shoppers.evaluate(shoppers.as_weeks(rows(*histories), weeks_end(12)))
    assert evaluation.recency_auc == 1
    assert evaluation.frequency_auc == 0
    assert evaluation.naive_auc == 1
    assert evaluation.households == 3


@pytest.mark.parametrize("month", ["2017-04", "2017-08", "2017-12"])
def test_the_model_beats_both_naive_orders_on_a_year_like_the_real_one(
    year: dict[str, pd.DataFrame], month: str
) -> None:
    as_of = pd.Period(month).end_time.date()
    evaluation = shoppers.evaluate(shoppers.as_weeks(year["user_weeks"], as_of))
    print(month, evaluation)
    assert evaluation.auc > evaluation.naive_auc + 0.005


def test_as_many_households_are_expected_as_come(
    year: dict[str, pd.DataFrame],
) -> None:
    answer = shoppers.predict(shoppers.as_weeks(year["user_weeks"], JUNE))
    came = (year["user_weeks"]["week_start"] == pd.Timestamp(shoppers.next_week(JUNE))).sum()
    assert answer["probability"].sum() == pytest.approx(came, rel=0.1)


def test_a_model_that_knows_nothing_is_as_good_as_chance(
    year: dict[str, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shoppers, "make_classifier", DummyClassifier)
    evaluation = shoppers.evaluate(shoppers.as_weeks(year["user_weeks"], JUNE))
    assert evaluation.auc == 0.5
    assert evaluation.naive_auc > 0.6


@pytest.mark.parametrize("weeks", [0, 7])
def test_too_few_weeks_are_refused_with_their_number(weeks: int) -> None:
    table = rows([1] * weeks) if weeks else rows([1]).head(0)
    with pytest.raises(shoppers.TooLittleHistoryError, match=f"has {weeks} weeks.* needs 8"):
        shoppers.as_weeks(table, weeks_end(7))


def test_a_table_that_ends_before_the_month_is_refused() -> None:
    with pytest.raises(shoppers.TooLittleHistoryError, match=r"week of 2017-03-06;.*2017-06-19"):
        shoppers.as_weeks(rows([1] * 10), JUNE)
