import datetime as dt
import multiprocessing
import threading
import time
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from conftest import PASSWORD, Server

from ml import tables, warehouse
from ml.tables import NEXT_WEEK_SHOPPERS, PREDICTED_ORDERS
from ml.warehouse import DuckDB, PostgreSQL, Warehouse, WarehouseError

JUNE, JULY = dt.date(2017, 6, 30), dt.date(2017, 7, 31)
COUNT = (
    "select as_of, count(*) as rows, sum(probability) as sum from ml.next_week_shoppers group by 1"
)


@pytest.fixture(params=["duckdb", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Warehouse:
    if request.param == "duckdb":
        duckdb.connect(tmp_path / "warehouse.duckdb").close()
        return DuckDB(tmp_path / "warehouse.duckdb")
    return on(request.getfixturevalue("server"))


def on(server: Server) -> PostgreSQL:
    return PostgreSQL("127.0.0.1", server.port, "warehouse", server.user, server.password)


def shoppers(count: int, probability: float = 0.5) -> pd.DataFrame:
    return pd.DataFrame({"user_id": range(count), "probability": probability})


def held(store: Warehouse) -> dict[dt.date, tuple[int, float]]:
    rows = store.select(COUNT)
    return {
        pd.Timestamp(day).date(): (count, total)
        for day, count, total in rows.itertuples(index=False)
    }


def test_rows_take_the_place_of_those_of_their_day_and_of_no_other(empty: Warehouse) -> None:
    empty.replace(NEXT_WEEK_SHOPPERS, JUNE, shoppers(3))
    empty.replace(NEXT_WEEK_SHOPPERS, JULY, shoppers(5))
    empty.replace(NEXT_WEEK_SHOPPERS, JUNE, shoppers(2, probability=1.0))
    assert held(empty) == {JUNE: (2, 2.0), JULY: (5, 2.5)}


def test_a_table_has_the_agreed_columns_and_no_row_may_lack_one(empty: Warehouse) -> None:
    days = pd.DataFrame({"order_date": [JULY], "orders": [2.5], "lower": [1.0], "upper": [4.0]})
    empty.replace(PREDICTED_ORDERS, JUNE, days)
    columns = empty.select(
        "select column_name, data_type from information_schema.columns "
        "where table_schema = 'ml' order by ordinal_position"
    )
    assert [tuple(row) for row in columns.itertuples(index=False)] == [
        ("as_of", columns["data_type"][0]),
        ("order_date", columns["data_type"][0]),
        *((name, columns["data_type"][2]) for name in ("orders", "lower", "upper")),
    ]
    assert columns["data_type"].str.lower()[0] == "date"
    assert columns["data_type"].str.lower()[2] in {"double", "double precision"}
    (row,) = empty.select(tables.PREDICTIONS_OF, as_of=JUNE).itertuples(index=False)
    assert (pd.Timestamp(row.order_date).date(), *row[1:]) == (JULY, 2.5, 1.0, 4.0)


def test_rejected_rows_leave_the_existing_rows(empty: Warehouse) -> None:
    empty.replace(NEXT_WEEK_SHOPPERS, JUNE, shoppers(3))
    broken = shoppers(2).assign(probability=[0.5, None]).astype(object)
    with pytest.raises(Exception, match=r"(?i)null"):
        empty.replace(NEXT_WEEK_SHOPPERS, JUNE, broken)
    assert held(empty) == {JUNE: (3, 1.5)}


def test_a_missing_table_is_named_with_its_asset(empty: Warehouse) -> None:
    with pytest.raises(
        WarehouseError, match=r"no table analytics\.user_weeks\. .* asset user_weeks first"
    ):
        empty.select(tables.USER_WEEKS, last_week=JUNE)


@pytest.mark.parametrize("kind", ["duckdb", "postgresql"])
def test_what_a_month_reads_ends_with_the_month(kind: str, request: pytest.FixtureRequest) -> None:
    if kind == "duckdb":
        store: Warehouse = DuckDB(request.getfixturevalue("data") / "warehouse.duckdb")
    else:
        store = on(request.getfixturevalue("server_with_year"))
    days = store.select(tables.DAILY_ORDERS, as_of=JUNE)["order_date"]
    assert pd.Timestamp(days.max()).date() == JUNE
    assert len(days) == 181
    weeks = store.select(tables.USER_WEEKS, last_week=dt.date(2017, 6, 19))["week_start"]
    assert pd.Timestamp(weeks.max()).date() == dt.date(2017, 6, 19)


def test_a_missing_file_is_named_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match=rf"{tmp_path}.*GROCER_DATA"):
        DuckDB(tmp_path / "warehouse.duckdb").select(tables.USER_WEEKS, last_week=JUNE)


def test_two_months_at_once_make_the_table_once_and_lose_nothing(empty: Warehouse) -> None:
    months = [dt.date(2017, month, 28) for month in range(4, 10)]
    threads = [
        threading.Thread(target=empty.replace, args=(NEXT_WEEK_SHOPPERS, month, shoppers(100)))
        for month in months
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert held(empty) == dict.fromkeys(months, (100, 50.0))


def hold(path: Path, held_: object, release: object) -> None:
    with DuckDB(path).exclusive():
        held_.set()
        release.wait(20)


def test_a_file_that_another_process_uses_is_waited_for_and_then_named(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    duckdb.connect(path).close()
    spawn = multiprocessing.get_context("fork")
    taken, release = spawn.Event(), spawn.Event()
    other = spawn.Process(target=hold, args=(path, taken, release))
    other.start()
    try:
        assert taken.wait(20)
        with pytest.raises(WarehouseError, match=rf"{path} has been in use for 0.2 s.*\.lock"):
            DuckDB(path, timeout_seconds=0.2).select("select 1")
        threading.Timer(0.3, release.set).start()
        start = time.monotonic()
        DuckDB(path).select("select 1")
        assert time.monotonic() - start > 0.2
    finally:
        release.set()
        other.join()


def test_a_wrong_password_is_reported_with_host_and_user_and_without_the_password(
    server: Server,
) -> None:
    store = PostgreSQL("127.0.0.1", server.port, "warehouse", "grocer", "not-the-password")
    with pytest.raises(WarehouseError) as failure:
        store.select(tables.USER_WEEKS, last_week=JUNE)
    text = f"{failure.value} {failure.value.__cause__} {store!r}"
    for part in (f"127.0.0.1:{server.port}", "as user grocer", "database warehouse"):
        assert part in text
    assert "not-the-password" not in text
    assert PASSWORD not in text


def test_an_unreachable_server_is_named(server: Server) -> None:
    store = PostgreSQL("127.0.0.1", 1, "warehouse", server.user, server.password)
    with pytest.raises(WarehouseError, match=r"127\.0\.0\.1:1.*GROCER_WAREHOUSE_HOST"):
        store.select(tables.USER_WEEKS, last_week=JUNE)


def test_a_user_without_the_right_to_create_schemas_writes_to_the_existing_one(
    server: Server,
) -> None:
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("drop role if exists clerk")
        cursor.execute(f"create role clerk login password '{PASSWORD}'")
        cursor.execute("create schema ml authorization clerk")
    clerk = PostgreSQL("127.0.0.1", server.port, "warehouse", "clerk", PASSWORD)
    clerk.replace(NEXT_WEEK_SHOPPERS, JUNE, shoppers(1))
    assert held(clerk) == {JUNE: (1, 0.5)}


def test_every_step_has_the_agreed_timeout() -> None:
    assert DuckDB(Path("x")).timeout_seconds == warehouse.LOCK_TIMEOUT_SECONDS == 600
