from pathlib import Path

import dagster as dg
import pytest

from hello import stocks
from hello.definitions import defs


def test_the_definitions_load() -> None:
    dg.Definitions.validate_loadable(defs)


def test_the_job_describes_each_symbol_in_a_step_of_its_own_and_gathers_them() -> None:
    result = stocks.stocks.execute_in_process()
    steps = [event.step_key for event in result.all_node_events if event.is_step_success]
    described = {step for step in steps if step.startswith("describe_symbol[")}
    assert len(described) == 5
    summary = result.output_for_node("summarise")
    assert summary["symbol"].iloc[0] == "AAPL"


def test_a_file_with_an_empty_price_fails_and_its_line_and_column_are_named() -> None:
    result = stocks.stocks_with_a_gap.execute_in_process(raise_on_error=False)
    (failure,) = result.get_step_failure_events()
    assert failure.step_key == "validate_prices"
    assert "line 6, column price" in failure.step_failure_data.error_display_string


def test_the_returns_of_one_month_are_materialized_from_the_validated_prices() -> None:
    with dg.instance_for_test() as instance:
        result = dg.materialize(
            [stocks.prices, stocks.monthly_returns, stocks.no_month_is_missing],
            partition_key="2004-08-01",
            instance=instance,
        )
    assert set(result.output_for_node("monthly_returns")["symbol"]) == {
        *("AAPL", "AMZN", "GOOG", "IBM", "MSFT")
    }
    assert [check.passed for check in result.get_asset_check_evaluations()] == [True]


def test_every_partition_has_returns() -> None:
    table = stocks.logic.read_prices(None)
    months = stocks.monthly_returns.partitions_def.get_partition_keys()
    assert (months[0], months[-1]) == ("2000-01-01", "2010-02-01")
    for month in (months[0], months[-1]):
        returned = stocks.monthly_returns(dg.build_asset_context(partition_key=month), table)
        assert len(returned.value) >= 4


def test_the_schedule_requests_a_run() -> None:
    context = dg.build_schedule_context()
    assert stocks.every_working_day.evaluate_tick(context).run_requests


@pytest.fixture
def drop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "drop"
    monkeypatch.setenv(stocks.DROP_DIRECTORY, str(folder))
    return folder


def tick(instance: dg.DagsterInstance) -> list[dg.RunRequest]:
    context = dg.build_sensor_context(instance=instance)
    return stocks.dropped_files.evaluate_tick(context).run_requests


def test_the_sensor_requests_a_run_per_file_and_another_when_the_content_changes(
    drop: Path,
) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert tick(instance) == []
        drop.mkdir()
        assert tick(instance) == []
        (drop / "..data.csv").write_text("a mounted volume's own")
        file = drop / "prices.csv"
        file.write_text(stocks.PRICES_WITH_A_GAP.read_text())
        (first,) = tick(instance)
        (same,) = tick(instance)
        assert same.run_key == first.run_key
        file.write_text("symbol,date,price\nA,2000-01-01,1\nA,2000-02-01,2\n")
        (changed,) = tick(instance)
        assert changed.run_key != first.run_key
        result = stocks.stocks.execute_in_process(run_config=changed.run_config)
    assert list(result.output_for_node("summarise")["change"]) == [1.0]
