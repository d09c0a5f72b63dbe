"""What the assets compute. Nothing here knows of Dagster, so a test calls it as it is."""

import csv
from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

COLUMNS = ("day", "product", "units")


class Order(NamedTuple):
    """How many units of a product were ordered on a day."""

    day: date
    product: str
    units: int


class InvalidOrdersError(ValueError):
    """A file of orders can't be used; `str()` says where, and what was expected there."""


def read_orders(path: Path) -> list[Order]:
    """Read a CSV file with the columns day, product and units.

    Raises:
        InvalidOrdersError: a column is missing, or a cell does not hold what it must.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        header = rows.fieldnames or []
        for column in COLUMNS:
            if column not in header:
                raise InvalidOrdersError(
                    f"{path.name} has no column {column}; its first line is {','.join(header)!r} "
                    f"and must name {', '.join(COLUMNS)}"
                )
        return [_order(row, f"{path.name}, line {rows.line_num}") for row in rows]


def units_per_day(orders: Iterable[Order]) -> dict[date, int]:
    """Return how many units were ordered on each day, the earliest first."""
    units: Counter[date] = Counter()
    for order in orders:
        units[order.day] += order.units
    return dict(sorted(units.items()))


def missing_days(orders: Iterable[Order]) -> list[date]:
    """Return the days without an order between the first and the last that has one."""
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
            f"{where}, column day: {day!r} is no day; write it like 2024-05-31"
        ) from error
    if not units.isdecimal():
        raise InvalidOrdersError(
            f"{where}, column units: {units!r} is no whole number; give 0 or more"
        )
    return Order(parsed, product, int(units))
