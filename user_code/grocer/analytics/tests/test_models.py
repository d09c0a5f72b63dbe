"""What the models make of tables made by hand: the same on DuckDB and on PostgreSQL."""

from datetime import date, datetime

from warehouses import Warehouse

at = datetime.fromisoformat


def test_an_order_counts_once_and_only_with_goods_and_a_price(built: Warehouse) -> None:
    assert built.execute("select * from analytics.orders_cleaned order by order_id") == [
        (10, 1, 100, date(2017, 1, 1), at("2017-01-01 09:00:00"), 3, 10.1, 1.0, False),
        (11, 1, 100, date(2017, 1, 2), at("2017-01-02 23:59:59"), 1, 0.2, 0.0, False),
        (12, 2, 101, date(2017, 1, 2), at("2017-01-02 12:00:00"), 2, 0.1, 0.0, False),
        (13, 2, 101, date(2017, 1, 4), at("2017-01-04 08:30:00"), 2, 6.0, 0.5, False),
        (17, 2, 102, date(2017, 1, 4), at("2017-01-04 09:00:00"), 5, 20.0, 2.0, True),
        (20, 3, 100, date(2017, 12, 31), at("2017-12-31 20:00:00"), 4, 7.77, 0.0, False),
        (21, 3, 100, date(2018, 1, 1), at("2018-01-01 00:05:00"), 1, 1.0, 0.0, False),
    ]


def test_every_household_has_a_row_also_without_demographics_or_orders(built: Warehouse) -> None:
    known = ("25-34", "50-74K", "Homeowner", "Married", "3", "2 Adults Kids", "1")
    nothing = (None,) * 7
    assert built.execute("select * from analytics.users_augmented order by user_id") == [
        (1, *known, date(2017, 1, 1), date(2017, 1, 2), 2, 10.3, True),
        (2, *nothing, date(2017, 1, 2), date(2017, 1, 4), 3, 26.1, False),
        (3, None, "35-49K", *nothing[2:], date(2017, 12, 31), date(2018, 1, 1), 2, 8.77, True),
        (4, *nothing, None, None, 0, 0.0, False),
    ]


def test_every_day_of_2017_has_one_row_and_zeros_where_nothing_was_ordered(
    built: Warehouse,
) -> None:
    days = built.execute("select * from analytics.daily_order_summary order by order_date")
    assert [day[0].timetuple().tm_yday for day in days] == list(range(1, 366))
    assert [day for day in days if day[1:] != (0, 0, 0, 0.0, 0.0)] == [
        (date(2017, 1, 1), 1, 1, 3, 10.1, 1.0),
        (date(2017, 1, 2), 2, 2, 3, 0.3, 0.0),
        (date(2017, 1, 4), 2, 1, 7, 26.0, 2.5),
        (date(2017, 12, 31), 1, 1, 4, 7.77, 0.0),
    ]


def test_a_week_runs_from_monday_to_sunday_also_across_the_ends_of_the_year(
    built: Warehouse,
) -> None:
    assert built.execute("select * from analytics.user_weeks order by user_id, week_start") == [
        (1, date(2016, 12, 26), 1, 3, 10.1),
        (1, date(2017, 1, 2), 1, 1, 0.2),
        (2, date(2017, 1, 2), 3, 9, 26.1),
        (3, date(2017, 12, 25), 1, 4, 7.77),
        (3, date(2018, 1, 1), 1, 1, 1.0),
    ]
