import pytest

from ingestion import bad_day
from ingestion.order_files import Orders
from ingestion.tables import ORDER_COLUMNS

HEADER = ",".join(ORDER_COLUMNS)
GOOD = "11,1,7,2017-03-05 12:00:00,2,10.50,0.5"


def read(*lines: str, header: str = HEADER) -> Orders:
    orders = Orders()
    orders.read("store_7.csv", "\n".join([header, *lines]).encode(), users={1, 2})
    return orders


def test_a_good_row_becomes_an_order() -> None:
    (order,) = read(GOOD).accepted
    assert list(order.values())[:3] == [11, 1, 7]
    assert order["ordered_at"].isoformat() == "2017-03-05T12:00:00"
    assert (order["items"], order["amount"], order["discount"]) == (2, 10.5, 0.5)
    assert order["file"] == "store_7.csv"


INVALID_CELLS = "order_id is missing; user_id 9 is unknown; ordered_at '?' is not a valid date"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("11,1,7,2017-03-05,2,,0", "amount is missing"),
        ("11,1,7,2017-03-05,2,  ,0", "amount is missing"),
        ("11,1,7,2017-03-05,2,ten,0", "amount 'ten' is not a number"),
        ("11,1,7,2017-03-05,2,nan,0", "amount 'nan' is not a number"),
        ("11,1,7,2017-03-05,2,-0.01,0", "amount -0.01 is negative"),
        ("11,1,7,2017-03-05,2,1,-1", "discount -1 is negative"),
        ("11,9,7,2017-03-05,2,1,0", "user_id 9 is unknown"),
        ("11,1,7,2017-02-30,2,1,0", "ordered_at '2017-02-30' is not a valid date"),
        ("11,1,7,yesterday,2,1,0", "ordered_at 'yesterday' is not a valid date"),
        ("11,1,7,2017-03-05,-3,1,0", "items -3 is negative"),
        ("11,1,7,2017-03-05,0,1,0", "items is 0"),
        ("11,1,7,2017-03-05,1.5,1,0", "items '1.5' is not a whole number"),
        (f"{10**30},1,7,2017-03-05,2,1,0", f"order_id '{10**30}' is not a whole number"),
        ("11,1,7,2017-03-05,2,1", "it has 6 columns, the header 7"),
        (",9,7,?,2,1,0", INVALID_CELLS),
    ],
)  # fmt: skip
def test_an_invalid_row_is_kept_with_its_line_and_all_reasons(row: str, reason: str) -> None:
    orders = read(GOOD.replace("11", "12"), row)
    assert len(orders.accepted) == 1
    assert orders.rejected == [("store_7.csv", 3, reason, row)]


def test_a_time_with_a_zone_is_rejected() -> None:
    ((_, _, reason, _),) = read("11,1,7,20170305T12Z,2,1,0").rejected
    assert reason == "ordered_at '20170305T12Z' has a time zone; give the local time of the store"


def test_an_order_that_stands_in_a_file_twice_is_taken_once() -> None:
    orders = read(GOOD, GOOD)
    assert len(orders.accepted) == 1
    assert orders.rejected[0].reason == "order_id 11 is already in line 2"


def test_a_file_without_a_column_is_not_read_and_the_column_is_named() -> None:
    orders = read("11,1,7", header="order_id,user_id,store_id")
    assert orders.accepted == []
    ((_, row, reason, _),) = orders.rejected
    assert (row, reason) == (1, "the header has no column ordered_at, items, amount, discount")


def test_columns_may_stand_in_any_order_beside_others() -> None:
    orders = read("x,0,10,2,2017-03-05,7,1,11", header=f"note,{','.join([*ORDER_COLUMNS][::-1])}")
    assert orders.accepted[0]["order_id"] == 11


def test_the_line_is_that_of_the_file_even_after_line_breaks_in_a_cell_and_empty_lines() -> None:
    orders = read(f'"two\nlines",{GOOD}', "", f"x,{GOOD},", header=f"note,{HEADER}")
    assert len(orders.accepted) == 1
    assert orders.rejected[0].row == 5


def test_an_empty_file_and_one_in_another_encoding_are_rejected_and_not_an_error() -> None:
    orders = Orders()
    orders.read("empty.csv", b"", users={1})
    orders.read("utf16.csv", f"{HEADER}\n{GOOD}".encode("utf-16"), users={1})
    assert [row.file for row in orders.rejected] == ["empty.csv", "utf16.csv"]


def test_a_spreadsheets_mark_at_the_start_of_a_file_does_no_harm() -> None:
    orders = Orders()
    orders.read("store_7.csv", f"{HEADER}\r\n{GOOD}\r\n".encode("utf-8-sig"), users={1})
    assert len(orders.accepted) == 1


def test_a_bad_day_has_good_rows_and_one_for_each_common_reason() -> None:
    orders = Orders()
    orders.read("bad_day.csv", bad_day.content().encode(), users=set(bad_day.USERS))
    assert len(orders.accepted) == 5
    assert [(row.row, row.reason) for row in orders.rejected] == [
        (7, "amount is missing"),
        (8, "user_id 999999 is unknown"),
        (9, "ordered_at '2017-02-30' is not a valid date"),
        (10, "items -3 is negative"),
    ]
