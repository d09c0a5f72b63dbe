"""The assets as they run: on DuckDB and a folder, on PostgreSQL and an object store."""

import base64
import datetime as dt
import json
import re
import shutil
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
import duckdb
import numpy as np
import pytest
from conftest import Server
from sklearn.dummy import DummyClassifier

from ml import assets, definitions, environment, forecast, shoppers
from ml.resources import Warehouse

MATERIALIZED = {"order_forecast_model", "predicted_orders", "store_flyer", "next_week_shoppers"}


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture(params=["local", "cluster"])
def defs(request: pytest.FixtureRequest) -> dg.Definitions:
    """The definitions with a warehouse that holds the year."""
    if request.param == "local":
        request.getfixturevalue("data")
    else:
        request.getfixturevalue("object_store")
        server = request.getfixturevalue("server_with_year")
        request.getfixturevalue("on_cluster")(server)
    return definitions.definitions(environment.Environment(request.param))


@pytest.fixture
def local(data: Path) -> dg.Definitions:
    """The definitions with a warehouse on this machine."""
    del data
    return definitions.definitions(environment.Environment.LOCAL)


def run(
    defs: dg.Definitions, instance: dg.DagsterInstance, month: str, **options: Any
) -> dg.ExecuteInProcessResult:
    job = defs.resolve_implicit_global_asset_job_def()
    quickly = dg.RunConfig({"order_forecast_model": assets.Training(resamples=20)})
    return job.execute_in_process(
        partition_key=month, instance=instance, **{"run_config": quickly, **options}
    )


def metadata(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    (event,) = (
        event
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey(asset)
    )
    return dict(event.materialization.metadata)


def checks(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {
        check.asset_key.to_user_string(): check for check in result.get_asset_check_evaluations()
    }


def counts(defs: dg.Definitions, table: str) -> dict[str, int]:
    resource = (defs.resources or {})["warehouse"]
    assert isinstance(resource, Warehouse)
    rows = (
        resource.process_config_and_initialize()
        .open()
        .select(f"select cast(as_of as text), count(*) from {table} group by 1")  # noqa: S608 - a table of this file
    )
    return {str(day): int(count) for day, count in rows.itertuples(index=False)}


def test_a_month_is_made_and_made_again_without_a_row_too_many(
    defs: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    for month in ("2017-06", "2017-07", "2017-06"):
        result = run(defs, instance, month)
        events = result.get_asset_materialization_events()
        assert {event.asset_key.to_user_string() for event in events} == MATERIALIZED
        assert all(check.passed for check in checks(result).values())
    assert counts(defs, "ml.predicted_orders") == {"2017-06-30": 30, "2017-07-31": 30}
    households = counts(defs, "ml.next_week_shoppers")
    assert set(households) == {"2017-06-30", "2017-07-31"}
    assert 2300 < households["2017-06-30"] <= households["2017-07-31"] <= 2500
    rows = metadata(result, "next_week_shoppers")["dagster/row_count"]
    assert rows.value == households["2017-06-30"]


class December(NamedTuple):
    """A finished run of December, on DuckDB, and the folder that it worked in."""

    result: dg.ExecuteInProcessResult
    data: Path


@pytest.fixture(scope="module")
def december(
    filled: Path, instance: dg.DagsterInstance, tmp_path_factory: pytest.TempPathFactory
) -> December:
    data = tmp_path_factory.mktemp("december")
    shutil.copy(filled, data / "warehouse.duckdb")
    instance.report_runless_asset_event(
        dg.AssetMaterialization(
            assets.DAILY_ORDER_SUMMARY, tags={"dagster/data_version": "version-of-the-figures"}
        )
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GROCER_DATA", str(data))
        local = definitions.definitions(environment.Environment.LOCAL)
    return December(run(local, instance, "2017-12"), data)


def test_the_flyer_lists_the_busiest_days_of_the_forecast_and_is_kept(december: December) -> None:
    flyer = (december.data / "files" / "ml" / "flyers" / "2017-12.md").read_text()
    assert metadata(december.result, "store_flyer")["flyer"] == dg.MetadataValue.md(flyer)
    with duckdb.connect(december.data / "warehouse.duckdb") as connection:
        busiest = connection.execute(
            "select order_date from ml.predicted_orders order by orders desc limit 5"
        ).fetchall()
    assert sorted(str(day) for (day,) in busiest) == [
        line.split()[2].strip("*:") for line in flyer.splitlines() if line.startswith("- ")
    ]


def test_the_model_is_kept_with_its_versions_and_figures(december: December) -> None:
    folder = december.data / "files" / "ml" / "models" / "2017-12"
    version = december.result.run_id
    card = json.loads((folder / f"{version}.json").read_text())
    recorded = metadata(december.result, "order_forecast_model")
    assert recorded["model"].value == str(folder / f"{version}.joblib")
    assert (folder / f"{version}.joblib").exists()
    assert card["code_version"] == assets.FORECAST_VERSION
    assert card["data_version"] == "version-of-the-figures"
    assert (card["mape"], card["naive_mape"]) == (
        recorded["mape"].value,
        recorded["naive_mape"].value,
    )
    assert metadata(december.result, "predicted_orders")["model_version"].value == version


@pytest.mark.parametrize(
    ("asset", "name"),
    [("order_forecast_model", "held_out_days"), ("predicted_orders", "days_to_come")],
)
def test_a_picture_is_a_small_png(december: December, asset: str, name: str) -> None:
    head, _, text = metadata(december.result, asset)[name].value.partition(";base64,")
    assert re.fullmatch(r"!\[[\w -]+\]\(data:image/png", head)
    picture = base64.b64decode(text.removesuffix(")"), validate=True)
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", picture[16:24]) == (640, 240)
    assert 10_000 < len(picture) < 80_000


def test_the_ten_likeliest_are_shown_the_likeliest_first(december: December) -> None:
    records = metadata(december.result, "next_week_shoppers")["likeliest"].records
    probabilities = [record.data["probability"] for record in records]
    assert len(records) == 10
    assert probabilities == sorted(probabilities, reverse=True)


def test_the_next_week_is_shown_day_by_day(december: December) -> None:
    records = metadata(december.result, "predicted_orders")["next_week"].records
    assert [record.data["order_date"] for record in records] == [
        f"2018-01-0{day}" for day in range(1, 8)
    ]
    assert set(records[0].data) == {"order_date", "orders", "lower", "upper"}


def test_a_bad_model_fails_its_check_which_has_both_metrics(
    local: dg.Definitions, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forecast, "SHRINKAGE", 1e12)  # so that every day is like every other
    monkeypatch.setattr(shoppers, "make_classifier", DummyClassifier)
    result = run(local, instance, "2017-10")
    assert result.success
    for asset, figures in (
        ("order_forecast_model", ("mape", "naive_mape")),
        ("next_week_shoppers", ("auc", "frequency_auc")),
    ):
        check = checks(result)[asset]
        assert not check.passed
        for figure in figures:
            value = metadata(result, asset)[figure].value
            assert check.metadata[figure].value == value
            assert f"{value:.2f}" in str(check.description)


def test_a_run_can_use_more_resamples_and_records_their_number(
    local: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    result = run(
        local,
        instance,
        "2017-06",
        asset_selection=[dg.AssetKey("order_forecast_model")],
        run_config=dg.RunConfig({"order_forecast_model": assets.Training(resamples=30)}),
    )
    assert metadata(result, "order_forecast_model")["resamples"].value == 30


def test_all_resamples_are_in_memory_at_once(year: dict[str, Any]) -> None:
    """The bad day of the demo needs this: 20000 of them need about 1 GiB."""
    history = forecast.as_history(year["daily_order_summary"], dt.date(2017, 12, 31))
    peaks = []
    for resamples in (20, 70):
        tracemalloc.start()
        forecast.fit(history, resamples)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    per_resample = np.diff(peaks)[0] / 50
    print(f"{per_resample / 1024:.0f} KiB per resample")
    assert 30_000 < per_resample < 80_000


def test_a_month_without_a_model_names_the_missing_file(
    data: Path, local: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    result = run(
        local,
        instance,
        "2017-06",
        asset_selection=[dg.AssetKey("predicted_orders")],
        run_config={},
        raise_on_error=False,
    )
    (failure,) = result.get_step_failure_events()
    text = failure.step_failure_data.error_display_string
    assert str(data / "files" / "ml" / "models" / "2017-06" / "latest.json") in text


@pytest.mark.usefixtures("object_store")
def test_a_wrong_password_names_host_and_user_in_the_run_and_not_the_password(
    server: Server,
    on_cluster: Callable[[Server], None],
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    on_cluster(server)
    monkeypatch.setenv("GROCER_WAREHOUSE_PASSWORD", "not-the-password")
    cluster = definitions.definitions(environment.Environment.CLUSTER)
    result = run(cluster, instance, "2017-06", raise_on_error=False)
    errors = [
        event.step_failure_data.error.to_string() for event in result.get_step_failure_events()
    ]
    assert len(errors) == 2  # the model and the shoppers; the others wait for the model
    for text in errors:
        assert f"127.0.0.1:{server.port}" in text
        assert "as user grocer" in text
    printed = capfd.readouterr()
    assert "not-the-password" not in f"{errors} {printed.out} {printed.err}"
