"""Reads files of orders that a store took while it was offline; finds valid and invalid rows.

A file is CSV in UTF-8 with a header that names at least the columns of an order, in any order.
"""

import csv
import io
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from ingestion.tables import ORDER_COLUMNS

Cell = tuple[Any, str]
"""The value of a cell, and why it is invalid; empty if it is valid."""


class Rejected(NamedTuple):
    """An invalid row.

    Attributes:
        file: the file's name.
        row: the line in the file; the header is line 1.
        reason: all problems of the row.
        content: the row as in the file.
    """

    file: str
    row: int
    reason: str
    content: str


@dataclass
class Orders:
    """The contents of one or more files.

    Attributes:
        accepted: orders, with the columns of `raw.offline_orders`.
        rejected: the other rows.
    """

    accepted: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)

    def read(self, file: str, content: bytes, users: Collection[int]) -> None:
        """Add the rows of a file.

        Args:
            file: the file's name.
            content: the file's content. Bytes that are not UTF-8 become replacement characters.
            users: ids of the known users.
        """
        text = content.decode("utf-8-sig", errors="replace")
        rows = csv.reader(io.StringIO(text, newline=""))
        header = next(rows, [])
        missing = [column for column in ORDER_COLUMNS if column not in header]
        if missing:
            reason = f"the header has no column {', '.join(missing)}"
            self.rejected.append(Rejected(file, 1, reason, ",".join(header)))
            return
        seen: dict[int, int] = {}
        line = rows.line_num + 1
        for cells in rows:
            if cells:
                order, reasons = _order(header, cells, users)
                order_id = order.get("order_id")
                if order_id in seen:
                    reasons.append(f"order_id {order_id} is already in line {seen[order_id]}")
                if reasons:
                    self.rejected.append(Rejected(file, line, "; ".join(reasons), ",".join(cells)))
                else:
                    seen[order["order_id"]] = line
                    self.accepted.append({**order, "file": file})
            # A row may have line breaks inside quotes: the next row starts after its last line.
            line = rows.line_num + 1


def _order(
    header: list[str], cells: list[str], users: Collection[int]
) -> tuple[dict[str, Any], list[str]]:
    """Return the valid cells of a row, and the problems of the others."""
    if len(cells) != len(header):
        return {}, [f"it has {len(cells)} columns, the header {len(header)}"]
    row = dict(zip(header, cells, strict=True))
    order: dict[str, Any] = {}
    reasons: list[str] = []
    for column, read in READERS.items():
        text = row[column].strip()
        value, reason = read(text) if text else (None, "is missing")
        if reason:
            reasons.append(f"{column} {reason}")
        elif column == "user_id" and value not in users:
            reasons.append(f"user_id {value} is unknown")
        else:
            order[column] = value
    return order, reasons


def _whole(text: str) -> Cell:
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        return None, f"{text!r} is not a whole number"
    number = int(text)
    return number, f"{text} is negative" if number < 0 else ""


def _items(text: str) -> Cell:
    number, reason = _whole(text)
    return number, "is 0" if number == 0 else reason


def _dollars(text: str) -> Cell:
    if not re.fullmatch(r"-?[0-9]{1,12}(\.[0-9]{1,6})?", text):
        return None, f"{text!r} is not a number"
    number = float(text)
    return number, f"{text} is negative" if number < 0 else ""


def _moment(text: str) -> Cell:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None, f"{text!r} is not a valid date"
    return (
        moment,
        f"{text!r} has a time zone; give the local time of the store" if moment.tzinfo else "",
    )


READERS: Mapping[str, Callable[[str], Cell]] = {
    "order_id": _whole,
    "user_id": _whole,
    "store_id": _whole,
    "ordered_at": _moment,
    "items": _items,
    "amount": _dollars,
    "discount": _dollars,
}
"""The reader of each column of an order."""
