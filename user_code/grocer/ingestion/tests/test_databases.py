import dataclasses
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from support import PASSWORD, PostgreSQLServer, fill, query

from ingestion.databases import Database, DatabaseBusyError, DatabaseUnreachableError, DuckDB
from ingestion.tables import Table

KINDS = Table(
    "raw.kinds",
    {
        "number": "bigint",
        "share": "double precision",
        "words": "text",
        "moment": "timestamp",
        "day": "date",
    },
    ("number",),
)
ROWS = [
    {
        "number": 2**40,
        "share": 0.1,
        "words": 'a "quoted", \n two-line 100 % text',
        "moment": datetime(2017, 3, 1, 12, 30, 0, 123456),  # noqa: DTZ001 - the shop's own
        "day": date(2017, 3, 1),
    },
    {"number": 2, "share": None, "words": None, "moment": None, "day": None},
    {"number": 3, "share": -2.5, "words": "", "moment": None, "day": None},
]


def test_what_is_written_in_bulk_is_read_in_bulk_as_it_was(warehouse: Database) -> None:
    fill(warehouse, KINDS, ROWS)
    with warehouse.connect() as connection:
        assert connection.read(KINDS).sort_by("number").to_pylist() == [ROWS[1], ROWS[2], ROWS[0]]
        assert connection.columns(KINDS) == KINDS.columns
        assert connection.count(KINDS) == 3


def test_a_table_that_is_not_there_has_no_rows_and_no_columns(warehouse: Database) -> None:
    with warehouse.connect() as connection:
        assert connection.count(KINDS) == 0
        assert connection.columns(KINDS) == {}


def test_rows_take_the_place_of_those_for_which_the_condition_holds_alone(
    warehouse: Database,
) -> None:
    fill(warehouse, KINDS, ROWS)
    with warehouse.connect() as connection:
        new = pa.Table.from_pylist([{"number": 4}], KINDS.arrow_schema())
        connection.replace(KINDS, new, "number > $least AND words IS NOT NULL", least=2)
    assert sorted(query(warehouse, "SELECT number FROM raw.kinds")) == [(2,), (4,)]


def test_a_block_that_fails_changes_nothing(warehouse: Database) -> None:
    fill(warehouse, KINDS, ROWS)

    def empty_and_fail() -> None:
        with warehouse.connect() as connection:
            connection.replace(KINDS, pa.Table.from_pylist([], KINDS.arrow_schema()))
            connection.execute("SELECT nonsense")

    with pytest.raises(Exception, match="nonsense"):
        empty_and_fail()
    assert query(warehouse, "SELECT count(*) FROM raw.kinds") == [(3,)]


def test_a_null_where_none_may_be_is_refused(warehouse: Database) -> None:
    with pytest.raises(ValueError, match="number"), warehouse.connect() as connection:
        connection.replace(KINDS, pa.table({name: [None] for name in KINDS.columns}))


def test_a_wrong_password_names_host_and_user_and_not_the_password(
    postgresql: PostgreSQLServer,
) -> None:
    with postgresql.databases() as new_database:
        database = dataclasses.replace(new_database(), password="battery staple")
        with pytest.raises(DatabaseUnreachableError) as error, database.connect():
            pass
    message = str(error.value)
    assert f"127.0.0.1:{postgresql.port}" in message
    assert "'grocer'" in message
    assert "password authentication failed" in message
    assert "GROCER_SHOP_HOST, _PORT, _DATABASE, _USER and _PASSWORD" in message
    for secret in ("battery staple", PASSWORD):
        assert secret not in message + repr(database) + repr(error.value.__cause__)


def test_a_file_that_another_process_holds_is_waited_for_and_then_named(tmp_path: Path) -> None:
    database = DuckDB(tmp_path / "warehouse.duckdb", lock_seconds=0.2)
    hold = (
        "import sys, pathlib; from ingestion.databases import DuckDB\n"
        "with DuckDB(pathlib.Path(sys.argv[1])).exclusive(): print(flush=True); input()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", hold, database.path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout
    holder.stdout.readline()
    with pytest.raises(DatabaseBusyError, match=r"warehouse\.duckdb has been in use for 0\.2 s"):
        fill(database, KINDS, ROWS)
    holder.communicate(b"\n")
    fill(database, KINDS, ROWS)
    assert query(database, "SELECT count(*) FROM raw.kinds") == [(3,)]
