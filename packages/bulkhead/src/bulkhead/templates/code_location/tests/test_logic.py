from datetime import date
from pathlib import Path

import pytest

from my_location import logic, resources

MONDAY, TUESDAY, WEDNESDAY = (date(2024, 5, day) for day in (6, 7, 8))


def test_the_sample_has_orders_for_two_weeks_without_a_gap() -> None:
    sample = logic.read_orders(resources.SAMPLE)
    assert len(logic.units_per_day(sample)) == 14
    assert logic.missing_days(sample) == []


def test_units_of_a_day_are_added_up_and_the_earliest_day_comes_first() -> None:
    orders = [
        logic.Order(TUESDAY, "lamp", 1),
        logic.Order(MONDAY, "lamp", 2),
        logic.Order(MONDAY, "chair", 3),
    ]
    assert list(logic.units_per_day(orders).items()) == [(MONDAY, 5), (TUESDAY, 1)]


def test_a_day_without_an_order_is_missing() -> None:
    orders = [logic.Order(WEDNESDAY, "lamp", 1), logic.Order(MONDAY, "lamp", 1)]
    assert logic.missing_days(orders) == [TUESDAY]
    assert logic.missing_days([]) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("day,product\n", "orders.csv has no column units"),
        (
            "day,product,units\n2024-05-06,lamp,1\nsoon,lamp,1\n",
            "line 3, column day: 'soon' is not a valid date",
        ),
        ("day,product,units\n2024-05-06,lamp,-1\n", "line 2, column units: '-1'"),
        ("day,product,units\n2024-05-06,lamp\n", "line 2, column units: ''"),
    ],
)
def test_a_file_that_can_not_be_used_is_refused_by_line_and_column(
    tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "orders.csv"
    file.write_text(text)
    with pytest.raises(logic.InvalidOrdersError, match=message):
        logic.read_orders(file)
