import datetime as dt

import numpy as np
import pandas as pd
import pytest

from ml import forecast

JUNE = dt.date(2017, 6, 30)


def summary(orders: list[float], start: str = "2017-01-01") -> pd.DataFrame:
    days = pd.date_range(start, periods=len(orders))
    return pd.DataFrame({"order_date": days, "orders": orders})


def test_a_month_knows_nothing_of_the_next(year: dict[str, pd.DataFrame]) -> None:
    known = year["daily_order_summary"]
    upset = known.assign(orders=known["orders"].where(known["order_date"] <= "2017-06-30", 9999))
    forecasts = [
        forecast.predict(forecast.fit(forecast.as_history(table, JUNE), resamples=20))
        for table in (known, upset)
    ]
    pd.testing.assert_frame_equal(*forecasts)


def test_days_that_are_all_alike_are_expected_to_go_on_so() -> None:
    history = forecast.as_history(summary([100.0] * 90), dt.date(2017, 3, 31))
    predicted = forecast.predict(forecast.fit(history, resamples=20))
    assert np.allclose(predicted[["orders", "lower", "upper"]], 100)
    assert forecast.evaluate(history)[:2] == pytest.approx((0, 0), abs=1e-9)


def test_the_day_of_the_week_is_learned() -> None:
    week = [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0]
    history = forecast.as_history(summary(week * 30), dt.date(2017, 7, 29))
    predicted = forecast.predict(forecast.fit(history, resamples=20))
    assert np.allclose(predicted["orders"][:7], week, atol=1)


def test_the_error_of_repeating_the_last_week_is_what_one_works_out_by_hand() -> None:
    # Held out are four weeks of 200 after a week of 100: repeating it misses half of each day.
    history = forecast.as_history(summary([100.0] * 62 + [200.0] * 28), dt.date(2017, 3, 31))
    assert forecast.evaluate(history).naive_mape == pytest.approx(50)


@pytest.mark.parametrize("closed", ["zero", "no row"])
def test_a_closed_day_is_not_scored_and_leaves_no_hole_in_the_forecast(closed: str) -> None:
    rows = summary([100.0] * 90)
    days = [80, 89]  # 22 and 31 March
    if closed == "zero":
        rows.loc[days, "orders"] = 0
    else:
        rows = rows.drop(index=days)
    history = forecast.as_history(rows, dt.date(2017, 3, 31))
    evaluation = forecast.evaluate(history)
    assert len(evaluation.days) == 26
    assert evaluation.mape == pytest.approx(0, abs=1e-9)
    predicted = forecast.predict(forecast.fit(history, resamples=20))
    assert np.allclose(predicted["orders"], 100)


def test_a_forecast_starts_the_day_after_and_stands_between_its_bounds(
    year: dict[str, pd.DataFrame],
) -> None:
    history = forecast.as_history(year["daily_order_summary"], JUNE)
    predicted = forecast.predict(forecast.fit(history))
    assert list(predicted["order_date"]) == [JUNE + dt.timedelta(days=n) for n in range(1, 31)]
    assert (predicted["lower"] <= predicted["orders"]).all()
    assert (predicted["orders"] <= predicted["upper"]).all()


def test_the_same_data_give_the_same_forecast(year: dict[str, pd.DataFrame]) -> None:
    history = forecast.as_history(year["daily_order_summary"], JUNE)
    first, second = (forecast.predict(forecast.fit(history, resamples=20)) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)


def test_the_model_beats_last_week_on_a_year_like_the_real_one(
    year: dict[str, pd.DataFrame],
) -> None:
    months = pd.period_range("2017-04", "2017-12", freq="M")
    errors = np.array(
        [
            forecast.evaluate(
                forecast.as_history(year["daily_order_summary"], month.end_time.date())
            )[:2]
            for month in months
        ]
    )
    print(dict(zip(months.astype(str), errors.round(2).tolist(), strict=True)))
    model, naive = errors.T
    assert model.mean() < 0.9 * naive.mean()
    assert (model < naive).sum() >= 7


def test_about_eight_days_in_ten_fall_between_the_bounds(year: dict[str, pd.DataFrame]) -> None:
    known = year["daily_order_summary"].set_index("order_date")["orders"]
    inside = []
    for month in pd.period_range("2017-04", "2017-10", freq="M"):
        history = forecast.as_history(year["daily_order_summary"], month.end_time.date())
        predicted = forecast.predict(forecast.fit(history, resamples=50))
        came = known.reindex(pd.DatetimeIndex(predicted["order_date"])).to_numpy()
        inside += list((predicted["lower"] <= came) & (came <= predicted["upper"]))
    print(f"{np.mean(inside):.0%} of {len(inside)} days")
    assert 0.7 < np.mean(inside) < 0.9


def test_too_few_days_are_refused_with_their_number_and_what_to_do() -> None:
    with pytest.raises(forecast.TooLittleHistoryError, match=r"has 31 days .*2017-01-31.* 70"):
        forecast.as_history(summary([1.0] * 90), dt.date(2017, 1, 31))


def test_a_table_that_ends_before_the_month_is_refused() -> None:
    with pytest.raises(forecast.TooLittleHistoryError, match=r"ends on 2017-03-31.*2017-04-30"):
        forecast.as_history(summary([1.0] * 90), dt.date(2017, 4, 30))
