"""A file for a bad day of a store: valid orders, and an invalid one of each common kind.

`python -m ingestion.bad_day` puts it where the sensor finds it: on a laptop into the folder, in a
pod of this code location into the object store.
"""

import argparse
from datetime import date, datetime, time, timedelta

from ingestion.files import DROPPED, Files
from ingestion.tables import ORDER_COLUMNS

DAY = date(2017, 11, 24)
USERS = (1, 101, 1001, 1003, 1004)
"""Households of the data set with orders."""
STORE = 367
DAYS_OF_ORDERS = 1_000
"""An order's id is the day, such as 20171124, with three digits for the order."""


def content(day: date = DAY) -> str:
    """Return the file: five valid rows, and four invalid ones."""
    rows = [_row(day, number, user) for number, user in enumerate(USERS, start=1)]
    last = len(rows)
    rows += [
        _row(day, last + 1, USERS[0]) | {"amount": ""},
        _row(day, last + 2, 999_999),
        _row(day, last + 3, USERS[1]) | {"ordered_at": f"{day:%Y}-02-30"},
        _row(day, last + 4, USERS[2]) | {"items": "-3"},
    ]
    return "".join(
        f"{','.join(line)}\n" for line in [ORDER_COLUMNS, *(row.values() for row in rows)]
    )


def drop(files: Files, day: date = DAY) -> str:
    """Write the file where the sensor finds it; return its address."""
    return files.write(f"{DROPPED}bad_day_{day:%Y_%m_%d}.csv", content(day).encode())


def _row(day: date, number: int, user: int) -> dict[str, str]:
    moment = datetime.combine(day, time(9)) + timedelta(minutes=10 * number)
    return {
        "order_id": str(int(f"{day:%Y%m%d}") * DAYS_OF_ORDERS + number),
        "user_id": str(user),
        "store_id": str(STORE),
        "ordered_at": moment.isoformat(sep=" "),
        "items": str(number),
        "amount": f"{4.99 * number:.2f}",
        "discount": "0.00",
    }


def main() -> None:
    """Add the file."""
    from ingestion.resources import current_environment, resources

    parser = argparse.ArgumentParser(prog="python -m ingestion.bad_day", description=__doc__)
    parser.add_argument("--day", type=date.fromisoformat, default=DAY, help="default: %(default)s")
    day = parser.parse_args().day
    files = resources(current_environment())["files"].files()
    print(f"Dropped {drop(files, day)}")


if __name__ == "__main__":
    main()
