"""Stock prices at the start of each month: reading, validation and statistics, without Dagster.

A table of prices has the columns ``symbol``, ``date`` (the first day of a month) and ``price`` (US
dollars).
"""

from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pandera.pandas as pa
from vega_datasets import data

COLUMNS = ["symbol", "date", "price"]
BARS = "▁▂▃▄▅▆▇█"


class Description(NamedTuple):
    """Statistics of one symbol.

    Attributes:
        symbol: the stock.
        first: its first price, in US dollars.
        last: its last price.
        change: relative change from the first to the last price; 1.0 is a doubling.
        volatility: the standard deviation of its monthly returns.
        course: its price over time, as a row of bars.
    """

    symbol: str
    first: float
    last: float
    change: float
    volatility: float
    course: str


class InvalidPricesError(ValueError):
    """A table of prices has invalid cells.

    Attributes:
        cells: one row per invalid cell: ``line`` in the file, ``column``, ``value``, ``problem``.
    """

    def __init__(self, cells: pd.DataFrame) -> None:
        """Build a message with a phrase for each cell."""
        self.cells = cells
        super().__init__("; ".join(_sentence(cell) for cell in cells.itertuples(index=False)))


def read_prices(path: Path | None) -> pd.DataFrame:
    """Read prices without validation; see `validate`.

    Args:
        path: a CSV file with the columns of a table of prices; None: the five technology stocks
            from 2000 to 2010 that come with the package vega-datasets.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: a column is missing.
    """
    if path is None:
        path = Path(data.stocks.filepath)
    table = pd.read_csv(path)
    missing = [column for column in COLUMNS if column not in table.columns]
    if missing:
        raise ValueError(
            f"{path} has no column {', '.join(missing)}; its columns are "
            f"{', '.join(map(str, table.columns))}. Prices need {', '.join(COLUMNS)}."
        )
    return table[COLUMNS].assign(
        date=pd.to_datetime(table["date"], format="mixed", errors="coerce"),
        price=pd.to_numeric(table["price"], errors="coerce").astype(float),
    )


def validate(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table if all cells are valid.

    Raises:
        InvalidPricesError: a cell is empty or unreadable, a price is not above zero, or a symbol
            has two prices for one month.
    """
    schema = pa.DataFrameSchema(
        {
            "symbol": pa.Column(str),
            "date": pa.Column("datetime64[ns]"),
            "price": pa.Column(float, pa.Check.gt(0)),
        },
        unique=["symbol", "date"],
    )
    try:
        return schema.validate(table, lazy=True)
    except pa.errors.SchemaErrors as errors:
        raise InvalidPricesError(_cells(errors.failure_cases)) from errors


def symbols(table: pd.DataFrame) -> list[str]:
    """Return the symbols in a table, in order."""
    return sorted(table["symbol"].unique())


def describe(table: pd.DataFrame, symbol: str) -> Description:
    """Return the statistics of one symbol."""
    series = table.loc[table["symbol"] == symbol].sort_values("date")["price"]
    return Description(
        symbol=symbol,
        first=float(series.iloc[0]),
        last=float(series.iloc[-1]),
        change=float(series.iloc[-1] / series.iloc[0] - 1),
        volatility=float(series.pct_change().std()),
        course=_bars(series),
    )


def returns_in(table: pd.DataFrame, month: pd.Timestamp) -> pd.DataFrame:
    """Return each symbol's return from a month to the next: ``symbol``, ``price``, ``return``.

    A symbol without a price in both months is left out.
    """
    by_month = table.pivot_table(index="date", columns="symbol", values="price")
    following = month + pd.DateOffset(months=1)
    start, end = (by_month.reindex([date]).squeeze(axis=0) for date in (month, following))
    known = pd.DataFrame({"price": start, "return": end / start - 1}).dropna()
    return known.rename_axis("symbol").reset_index()


def missing_months(table: pd.DataFrame) -> dict[str, list[str]]:
    """Return, by symbol, the months without a price between its first and its last price."""
    gaps: dict[str, list[str]] = {}
    for symbol, dates in table.groupby("symbol")["date"]:
        expected = pd.date_range(dates.min(), dates.max(), freq="MS")
        absent = expected.difference(pd.DatetimeIndex(dates))
        if len(absent):
            gaps[str(symbol)] = [f"{month:%Y-%m}" for month in absent]
    return gaps


def _cells(failures: pd.DataFrame) -> pd.DataFrame:
    """Return pandera's failure cases with lines of the file: the header is line 1, row 0 line 2."""
    found = failures.loc[failures["index"].notna()]
    return pd.DataFrame(
        {
            "line": found["index"].astype(int) + 2,
            "column": found["column"].astype(str),
            "value": found["failure_case"].astype(str),
            "problem": found["check"].map(_problem),
        }
    ).sort_values(["line", "column"], ignore_index=True)


def _problem(check: str) -> str:
    if check == "not_nullable":
        return "is empty or not readable"
    if check.startswith("greater_than"):
        return "must be above zero"
    return "is one of two rows for the same symbol and month"


def _sentence(cell: tuple[int, str, str, str]) -> str:
    line, column, value, problem = cell
    return f"line {line}, column {column}: {value} {problem}"


def _bars(series: pd.Series, width: int = 24) -> str:
    step = max(1, len(series) // width)
    values = series.iloc[::step]
    span = values.max() - values.min() or 1
    return "".join(BARS[int((v - values.min()) / span * (len(BARS) - 1))] for v in values)
