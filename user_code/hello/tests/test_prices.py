from pathlib import Path

import pandas as pd
import pytest

from hello import prices


@pytest.fixture(scope="module")
def technology() -> pd.DataFrame:
    return prices.validate(prices.read_prices(None))


def table(*rows: tuple[str, str, float | None]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=prices.COLUMNS)
    return frame.assign(date=pd.to_datetime(frame["date"]), price=frame["price"].astype(float))


def test_the_real_prices_are_valid_and_complete(technology: pd.DataFrame) -> None:
    assert prices.symbols(technology) == ["AAPL", "AMZN", "GOOG", "IBM", "MSFT"]
    assert len(technology) == 560
    assert prices.missing_months(technology) == {}


@pytest.mark.parametrize(
    ("row", "named"),
    [
        (("B", "2000-01-01", None), "line 3, column price: nan is empty"),
        (("B", "2000-01-01", -1), "line 3, column price: -1.0 must be above zero"),
        (("B", None, 1), "line 3, column date: NaT is empty"),
    ],
)
def test_a_wrong_cell_is_rejected_by_its_line_and_column(
    row: tuple[str, str, float], named: str
) -> None:
    with pytest.raises(prices.InvalidPricesError, match=named):
        prices.validate(table(("A", "2000-01-01", 1), row))


def test_two_prices_for_one_symbol_and_month_are_rejected_on_both_lines() -> None:
    with pytest.raises(
        prices.InvalidPricesError, match="is one of two rows for the same symbol and month"
    ) as error:
        prices.validate(table(("A", "2000-01-01", 1), ("A", "2000-01-01", 2)))
    assert set(error.value.cells["line"]) == {2, 3}


def test_a_price_that_is_not_a_number_counts_as_empty(tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_text("symbol,date,price\nA,2000-01-01,dear\n")
    with pytest.raises(prices.InvalidPricesError, match="line 2, column price"):
        prices.validate(prices.read_prices(file))


def test_a_file_without_a_column_is_refused_by_the_columns_name(tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_text("symbol,date,close\nA,2000-01-01,1\n")
    with pytest.raises(ValueError, match="has no column price; its columns are symbol, date, clo"):
        prices.read_prices(file)


def test_a_symbol_is_described_by_its_first_and_last_price() -> None:
    falling = table(("A", "2000-02-01", 1), ("A", "2000-01-01", 4), ("B", "2000-01-01", 9))
    description = prices.describe(falling, "A")
    assert (description.first, description.last) == (4, 1)
    assert description.change == -0.75
    assert description.course == "█▁"


def test_apple_gained_most(technology: pd.DataFrame) -> None:
    change = {symbol: prices.describe(technology, symbol).change for symbol in ("AAPL", "IBM")}
    assert change["AAPL"] == pytest.approx(7.59, abs=0.01)
    assert change["AAPL"] > change["IBM"]


def test_a_return_is_from_one_month_to_the_next_and_only_where_both_are_known() -> None:
    months = table(("A", "2000-12-01", 10), ("A", "2001-01-01", 15), ("B", "2000-12-01", 1))
    returns = prices.returns_in(months, pd.Timestamp("2000-12-01"))
    assert returns.to_dict("records") == [{"symbol": "A", "price": 10.0, "return": 0.5}]


def test_a_missing_month_is_named() -> None:
    gap = table(("A", "2000-01-01", 1), ("A", "2000-03-01", 1), ("B", "2000-01-01", 1))
    assert prices.missing_months(gap) == {"A": ["2000-02"]}
