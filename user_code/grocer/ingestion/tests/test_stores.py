from typing import Any

import dagster as dg
import pytest
from support import fill, moment, query, resource_of

from ingestion import bad_day, stores, tables
from ingestion.databases import Database
from ingestion.files import DROPPED, Files, LocalFiles, S3Files
from ingestion.resources import FilesResource, LocalFilesResource, S3FilesResource

HEADER = ",".join(tables.ORDER_COLUMNS)
GOOD = "11,1,7,2017-03-05 12:00:00,2,10.50,0.5"
BROKEN = "12,1,7,2017-03-05 12:00:00,2,,0.5"


def files_resource(files: Files) -> FilesResource:
    if isinstance(files, LocalFiles):
        return LocalFilesResource(folder=str(files.folder))
    assert isinstance(files, S3Files)
    return S3FilesResource(
        bucket=files.bucket, prefix=files.prefix, endpoint=files.endpoint, region=files.region
    )


@pytest.fixture
def resources(files: Files, warehouse: Database) -> dict[str, Any]:
    known = [{"user_id": user, "updated_at": moment(1)} for user in bad_day.USERS]
    fill(warehouse, tables.USERS, known)
    return {"files": files_resource(files), "warehouse": resource_of(warehouse)}


def write(files: Files, name: str, *rows: str) -> str:
    files.write(f"{DROPPED}{name}", "\n".join([HEADER, *rows]).encode())
    return f"{DROPPED}{name}"


def load(resources: dict[str, Any], *names: str) -> dg.AssetCheckEvaluation:
    config = dg.RunConfig(ops={"offline_orders": stores.LoadFiles(files=list(names))})
    result = dg.materialize([stores.offline_orders], resources=resources, run_config=config)
    assert result.success
    (check,) = result.get_asset_check_evaluations()
    return check


def tick(resources: dict[str, Any], cursor: str | None = None) -> dg.SensorResult | dg.SkipReason:
    context = dg.build_sensor_context(cursor=cursor, resources={"files": resources["files"]})
    return stores.dropped_files(context)


def test_a_bad_day_loads_what_is_good_and_names_the_file_the_rows_and_the_reasons(
    files: Files, warehouse: Database, resources: dict[str, Any]
) -> None:
    bad_day.drop(files)
    check = load(resources)
    assert query(warehouse, "SELECT count(*) FROM raw.offline_orders") == [(5,)]
    assert query(warehouse, "SELECT count(*) FROM raw.offline_orders_rejected") == [(4,)]
    assert not check.passed
    assert not check.blocking
    assert check.severity is dg.AssetCheckSeverity.ERROR
    assert (check.description or "").splitlines() == [
        "dropped/bad_day_2017_11_24.csv, row 7: amount is missing",
        "dropped/bad_day_2017_11_24.csv, row 8: user_id 999999 is unknown",
        "dropped/bad_day_2017_11_24.csv, row 9: ordered_at '2017-02-30' is not a valid date",
        "dropped/bad_day_2017_11_24.csv, row 10: items -3 is negative",
    ]


def test_the_check_is_about_the_newest_load_alone(
    files: Files, warehouse: Database, resources: dict[str, Any]
) -> None:
    assert not load(resources, write(files, "a.csv", GOOD, BROKEN)).passed
    assert load(resources, write(files, "b.csv", GOOD.replace("11", "13"))).passed
    assert query(warehouse, "SELECT file, row FROM raw.offline_orders_rejected") == [
        ("dropped/a.csv", 3)
    ]


def test_a_file_that_is_corrected_takes_the_place_of_what_it_brought_before(
    files: Files, warehouse: Database, resources: dict[str, Any]
) -> None:
    load(resources, write(files, "a.csv", GOOD, BROKEN))
    load(resources, write(files, "b.csv", GOOD.replace("11", "13")))
    assert load(resources, write(files, "a.csv", GOOD, BROKEN.replace(",,", ",3,"))).passed
    assert sorted(query(warehouse, "SELECT order_id, file FROM raw.offline_orders")) == [
        (11, "dropped/a.csv"),
        (12, "dropped/a.csv"),
        (13, "dropped/b.csv"),
    ]
    assert query(warehouse, "SELECT * FROM raw.offline_orders_rejected") == []


def test_without_files_there_is_an_empty_table_with_the_agreed_columns(
    warehouse: Database, resources: dict[str, Any]
) -> None:
    assert load(resources).passed
    with warehouse.connect() as connection:
        for table in (tables.OFFLINE_ORDERS, tables.OFFLINE_ORDERS_REJECTED):
            assert connection.count(table) == 0
            assert connection.columns(table) == table.columns


def test_many_broken_rows_are_counted_where_they_are_not_named() -> None:
    rows = [stores.Rejected("a.csv", row, "amount is missing", "") for row in range(2, 30)]
    (*named, rest) = stores.every_row_is_readable(rows).description.splitlines()
    assert len(named) == stores.NAMED_ROWS
    assert rest == "and 18 more"


def test_a_file_that_is_not_there_is_named(files: Files) -> None:
    with pytest.raises(FileNotFoundError, match=r"dropped/none\.csv"):
        files.read("dropped/none.csv")


def test_the_sensor_asks_for_new_files_and_for_those_that_changed(
    files: Files, resources: dict[str, Any]
) -> None:
    assert isinstance(tick(resources), dg.SkipReason)
    first, second = write(files, "a.csv", GOOD), write(files, "b.csv", BROKEN)
    files.write(f"{DROPPED}notes.txt", b"not for us")
    both = tick(resources)
    assert files_asked_for(both) == [first, second]
    assert isinstance(tick(resources, both.cursor), dg.SkipReason)
    write(files, "b.csv", GOOD)
    assert files_asked_for(tick(resources, both.cursor)) == [second]


def files_asked_for(result: dg.SensorResult | dg.SkipReason) -> list[str]:
    assert isinstance(result, dg.SensorResult)
    assert result.run_requests
    (request,) = result.run_requests
    return request.run_config["ops"]["offline_orders"]["config"]["files"]
