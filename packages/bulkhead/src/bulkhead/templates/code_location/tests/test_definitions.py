from pathlib import Path

import dagster as dg
import pytest

from my_location import assets, resources
from my_location.definitions import defs


def refresh(source: resources.OrderSource) -> dg.ExecuteInProcessResult:
    everything = [assets.orders, assets.units_per_day, assets.no_day_is_missing]
    with dg.instance_for_test() as instance:
        return dg.materialize(everything, instance=instance, resources={"source": source})


def test_the_definitions_load() -> None:
    dg.Definitions.validate_loadable(defs)


def test_the_job_makes_both_assets_of_the_sample_and_the_check_passes() -> None:
    result = defs.resolve_job_def("refresh").execute_in_process()
    assert result.success
    assert len(result.output_for_node("units_per_day")) == 14
    assert [check.passed for check in result.get_asset_check_evaluations()] == [True]


def test_a_missing_day_fails_the_check_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("day,product,units\n2024-05-06,lamp,1\n")
    (tmp_path / "b.csv").write_text("day,product,units\n2024-05-08,lamp,1\n")
    result = refresh(resources.FolderOrders(folder=str(tmp_path)))
    (check,) = result.get_asset_check_evaluations()
    assert result.success
    assert not check.passed
    assert check.metadata["missing"].value == ["2024-05-07"]


def test_the_environment_chooses_where_orders_come_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(resources.SOURCE, raising=False)
    assert isinstance(resources.order_source(), resources.SampleOrders)
    monkeypatch.setenv(resources.SOURCE, "folder")
    monkeypatch.setenv(resources.FOLDER, str(tmp_path))
    (tmp_path / "a.csv").write_text("day,product,units\n2024-05-06,lamp,3\n")
    result = refresh(resources.order_source())
    assert list(result.output_for_node("units_per_day").values()) == [3]


def test_a_source_that_does_not_exist_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(resources.SOURCE, "cloud")
    with pytest.raises(ValueError, match="'cloud'; it must be sample or folder"):
        resources.order_source()


def test_a_folder_without_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"contains no \.csv file"):
        resources.FolderOrders(folder=str(tmp_path)).read()
