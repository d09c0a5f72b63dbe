"""What the assets compute. It does not import Dagster, so that tests can call it directly."""

import csv
from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

COLUMNS = ("day", "product", "units")


class Order(NamedTuple):
    """An order: units of a product on a day."""

    day: date
    product: str
    units: int


class InvalidOrdersError(ValueError):
    """A file of orders is not valid; `str()` gives the line, the column and what is expected."""


def read_orders(path: Path) -> list[Order]:
    """Read a CSV file with the columns day, product and units.

    Raises:
        InvalidOrdersError: A column is missing, or the value of a cell is not valid.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        header = rows.fieldnames or []
        for column in COLUMNS:
            if column not in header:
                raise InvalidOrdersError(
                    f"{path.name} has no column {column}: its first line is {','.join(header)!r}, "
                    f"but it must contain {', '.join(COLUMNS)}"
                )
        return [_order(row, f"{path.name}, line {rows.line_num}") for row in rows]


def units_per_day(orders: Iterable[Order]) -> dict[date, int]:
    """Return the number of units ordered on each day, the earliest day first."""
    units: Counter[date] = Counter()
    for order in orders:
        units[order.day] += order.units
    return dict(sorted(units.items()))


def missing_days(orders: Iterable[Order]) -> list[date]:
    """Return the days without an order between the first and the last order."""
    days = {order.day for order in orders}
    if not days:
        return []
    first, last = min(days), max(days)
    span = (first + timedelta(days=number) for number in range((last - first).days))
    return [day for day in span if day not in days]


def _order(row: dict[str, str | None], where: str) -> Order:
    day, product, units = (row[column] or "" for column in COLUMNS)
    try:
        parsed = date.fromisoformat(day)
    except ValueError as error:
        raise InvalidOrdersError(
            f"{where}, column day: {day!r} is not a valid date; write it as in 2024-05-31"
        ) from error
    if not units.isdecimal():
        raise InvalidOrdersError(
            f"{where}, column units: {units!r} is not a valid number of units; write 0 or more"
        )
    return Order(parsed, product, int(units))
