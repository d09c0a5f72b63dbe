"""What the figures of analytics set going, evaluated as Dagster's daemon does it."""

from collections.abc import Iterator

import dagster as dg
import pytest

from ml.assets import DAILY_ORDER_SUMMARY, USER_WEEKS
from ml.definitions import defs

FORECASTS = {"order_forecast_model", "predicted_orders", "store_flyer"}
SHOPPERS = {"next_week_shoppers"}


@dg.asset_check(asset=DAILY_ORDER_SUMMARY, blocking=True)
def no_day_is_missing() -> dg.AssetCheckResult:
    """Stand for a test of dbt, which another code location has."""
    return dg.AssetCheckResult(passed=True)


class Daemon:
    """One tick after the other."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.defs = dg.Definitions.merge(defs, dg.Definitions(asset_checks=[no_day_is_missing]))
        self.instance = instance
        self.cursor = None

    def update(self, *keys: dg.AssetKey) -> None:
        for key in keys:
            self.instance.report_runless_asset_event(dg.AssetMaterialization(key))

    def check(self, *, passed: bool) -> None:
        self.instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=DAILY_ORDER_SUMMARY, check_name="no_day_is_missing", passed=passed
            )
        )

    def tick(self) -> dict[str, set[str]]:
        """Return the requested months, by asset."""
        result = dg.evaluate_automation_conditions(self.defs, self.instance, cursor=self.cursor)
        self.cursor = result.cursor
        requested = {
            key.to_user_string(): set(result.get_requested_partitions(key))
            for key in defs.resolve_asset_graph().materializable_asset_keys
        }
        return {name: months for name, months in requested.items() if months}

    def materialize(self, names: set[str], month: str = "2017-12") -> None:
        for name in names:
            self.instance.report_runless_asset_event(dg.AssetMaterialization(name, partition=month))


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Daemon(instance)


def december(names: set[str]) -> dict[str, set[str]]:
    return {name: {"2017-12"} for name in names}


def test_nothing_is_requested_before_there_are_figures(daemon: Daemon) -> None:
    assert daemon.tick() == {}
    assert daemon.tick() == {}


def test_new_figures_set_december_going_and_no_earlier_month_and_only_once(
    daemon: Daemon,
) -> None:
    assert daemon.tick() == {}
    daemon.update(DAILY_ORDER_SUMMARY, USER_WEEKS)
    assert daemon.tick() == december(FORECASTS | SHOPPERS)
    daemon.materialize(FORECASTS | SHOPPERS)
    assert daemon.tick() == {}
    assert daemon.tick() == {}


def test_each_table_sets_only_what_follows_from_it_going(daemon: Daemon) -> None:
    daemon.tick()
    daemon.update(USER_WEEKS)
    assert daemon.tick() == december(SHOPPERS)
    daemon.materialize(SHOPPERS)
    daemon.update(DAILY_ORDER_SUMMARY)
    assert daemon.tick() == december(FORECASTS)
    daemon.materialize(FORECASTS)
    daemon.update(USER_WEEKS)
    assert daemon.tick() == december(SHOPPERS)


def test_figures_that_come_while_a_model_is_trained_train_it_once_more(daemon: Daemon) -> None:
    daemon.tick()
    daemon.update(DAILY_ORDER_SUMMARY)
    daemon.materialize({"order_forecast_model"})  # by a run that has read what was there before
    assert daemon.tick() == december(FORECASTS)
    daemon.materialize(FORECASTS)
    assert daemon.tick() == {}


def test_what_is_missing_at_the_first_look_is_made_from_the_figures_that_are_there(
    daemon: Daemon,
) -> None:
    daemon.update(DAILY_ORDER_SUMMARY, USER_WEEKS)
    assert daemon.tick() == december(FORECASTS | SHOPPERS)
    daemon.materialize(FORECASTS | SHOPPERS)
    assert daemon.tick() == {}


def test_what_is_there_at_the_first_look_is_not_made_again(daemon: Daemon) -> None:
    daemon.update(DAILY_ORDER_SUMMARY, USER_WEEKS)
    daemon.materialize(FORECASTS | SHOPPERS)
    assert daemon.tick() == {}
    assert daemon.tick() == {}


def test_figures_that_are_wrong_set_nothing_going_until_they_are_right(daemon: Daemon) -> None:
    daemon.tick()
    daemon.update(DAILY_ORDER_SUMMARY, USER_WEEKS)
    daemon.check(passed=False)
    assert daemon.tick() == december(SHOPPERS)
    daemon.materialize(SHOPPERS)
    assert daemon.tick() == {}
    daemon.update(DAILY_ORDER_SUMMARY)
    daemon.check(passed=True)
    assert daemon.tick() == december(FORECASTS)


def test_a_backfill_of_an_earlier_month_sets_nothing_else_going(daemon: Daemon) -> None:
    daemon.tick()
    daemon.update(DAILY_ORDER_SUMMARY, USER_WEEKS)
    daemon.tick()
    daemon.materialize(FORECASTS | SHOPPERS)
    daemon.tick()
    daemon.materialize({"order_forecast_model"}, month="2017-05")
    assert daemon.tick() == {}


def test_the_sensor_that_does_this_runs_from_the_start() -> None:
    (sensor,) = defs.sensors or ()
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
