from pathlib import Path

import dagster as dg
import duckdb
import pandas as pd
import pytest

from analytics import usual
from analytics.checks import daily_orders_look_usual
from analytics.resources import DuckDBWarehouse


def days(weeks: int, **different: int) -> pd.DataFrame:
    """Weeks that end on a Sunday: 100 and 110 orders a day in turns, 200 and 220 on Sundays."""
    dates = pd.date_range(end="2017-12-31", periods=7 * weeks)
    factor = pd.Series(dates.dayofweek == 6).map({True: 2, False: 1})
    orders = factor * (pd.Series(range(len(dates))) // 7 % 2 * 10 + 100)
    table = pd.DataFrame({"order_date": dates, "orders": orders})
    for date, count in different.items():
        table.loc[table["order_date"] == pd.Timestamp(date.strip("_")), "orders"] = count
    return table


def test_days_like_the_same_weekday_before_are_usual() -> None:
    compared = usual.compare(days(weeks=20))
    assert len(compared) == 7
    assert compared["usual"].all()


def test_a_day_far_from_its_weekday_is_unusual_and_the_bounds_are_three_deviations() -> None:
    compared = usual.compare(days(weeks=13, _20171231=110)).set_index("weekday")
    assert list(compared.index[~compared["usual"]]) == ["Sunday"]
    # 200 and 220, six times each.
    assert compared.loc["Sunday", "low"] == pytest.approx(210 - 3 * 10.4447, abs=0.01)
    assert compared.loc["Sunday", "high"] == pytest.approx(210 + 3 * 10.4447, abs=0.01)


def test_what_was_on_the_day_itself_does_not_count_as_usual() -> None:
    quiet = usual.compare(days(weeks=13)).set_index("weekday")
    busy = usual.compare(days(weeks=13, _20171231=9000)).set_index("weekday")
    assert busy.loc["Sunday", "high"] == quiet.loc["Sunday", "high"]


def test_nothing_is_unusual_while_there_are_fewer_than_four_weeks_before() -> None:
    assert usual.compare(days(weeks=4, _20171231=9000))["usual"].all()
    assert not usual.compare(days(weeks=5, _20171231=9000))["usual"].all()


def check(folder: Path, table: pd.DataFrame) -> dg.AssetCheckResult:
    path = str(folder / "warehouse.duckdb")
    with duckdb.connect(path) as connection:
        connection.execute("create schema if not exists analytics")
        connection.register("days", table)
        connection.execute(
            "create or replace table analytics.daily_order_summary as select * from days"
        )
    return daily_orders_look_usual(warehouse=DuckDBWarehouse(path=path))


def test_the_check_warns_and_shows_the_days_as_a_table(tmp_path: Path) -> None:
    result = check(tmp_path, days(weeks=20, _20171231=10))
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert result.description == "1 of 7 days is not as usual: Sunday 2017-12-31 (10 orders)."
    last = result.metadata["days"].value.splitlines()[-1]
    assert [cell.strip() for cell in last.split("|")[1:-1]] == [
        *("2017-12-31", "Sunday", "10", "179", "241", "no")
    ]


def test_the_check_passes_when_all_is_as_usual_and_fails_when_there_is_no_day(
    tmp_path: Path,
) -> None:
    assert check(tmp_path, days(weeks=20)).passed
    empty = check(tmp_path, days(weeks=1).iloc[:0])
    assert not empty.passed
    assert empty.description == "daily_order_summary has no rows."
