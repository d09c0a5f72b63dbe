"""The flow through three code locations: how it succeeds, and the errors when it does not."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bulkhead_demo import flow
from bulkhead_demo.flow import FlowError, Timeouts

if TYPE_CHECKING:
    import io

    from grocer import Grocer

    from bulkhead.webserver_api.client import GraphQLClient
    from bulkhead_demo.flow import Watch

LOCATIONS = ("ingestion", "analytics", "ml")


def test_one_load_of_orders_reaches_every_asset_that_follows(watch: Watch, grocer: Grocer) -> None:
    flow.run_flow(watch)
    jobs = [params["selector"]["jobName"] for params in grocer.launched]
    assert jobs == ["open_the_shop", "load_orders"]
    assert {run.location for run in grocer.runs} == set(LOCATIONS)
    assert {"store_flyer", "next_week_shoppers", "users_augmented"} <= grocer.materialized.keys()


def test_what_is_launched_gets_the_configuration_of_the_place(watch: Watch, grocer: Grocer) -> None:
    config: dict[str, Any] = {"execution": {"config": {"in_process": {}}}}
    flow.run_flow(replace(watch, config=config))
    assert [params["runConfigData"] for params in grocer.launched] == [config, config]


def test_an_open_shop_stays_open_and_all_assets_follow_the_new_orders(
    watch: Watch, grocer: Grocer
) -> None:
    flow.run_flow(watch)
    before = dict(grocer.materialized)
    flow.run_flow(watch)
    jobs = [params["selector"]["jobName"] for params in grocer.launched]
    assert jobs == ["open_the_shop", "load_orders", "load_orders"]
    renewed = {name for name in before if grocer.materialized[name][0] > before[name][0]}
    assert {"orders", "orders_cleaned", "predicted_orders", "store_flyer"} <= renewed
    assert "shop_database" not in renewed


def test_the_history_of_deleted_data_is_deleted_and_the_flow_starts_from_the_beginning(
    watch: Watch, grocer: Grocer, paper: io.StringIO
) -> None:
    flow.delete_history(watch, LOCATIONS)
    flow.run_flow(watch)
    flow.delete_history(watch, ("ingestion",))
    assert "orders" not in grocer.materialized
    assert "orders_cleaned" in grocer.materialized
    assert paper.getvalue().count("Deleted the history of assets whose data are deleted: ") == 1
    flow.run_flow(watch)
    jobs = [params["selector"]["jobName"] for params in grocer.launched]
    assert jobs == ["open_the_shop", "load_orders"] * 2


def test_a_history_that_cannot_be_deleted_is_named(watch: Watch, grocer: Grocer) -> None:
    flow.run_flow(watch)
    grocer.keeps_history = True
    with pytest.raises(FlowError, match=r"orders.* their history cannot be deleted: read only"):
        flow.delete_history(watch, LOCATIONS)


def test_without_a_terminal_each_run_has_a_line_for_its_start_and_its_end(
    watch: Watch, paper: io.StringIO
) -> None:
    flow.run_flow(watch)
    lines = [re.sub(r"^ *\d+ s +|, \d+ s$", "", line) for line in paper.getvalue().splitlines()]
    assert lines[:4] == [
        "ingestion  … campaigns, shop_database, users, offline_orders",
        "ingestion  ✓ campaigns, shop_database, users, offline_orders",
        "ingestion  … orders",
        "ingestion  ✓ orders",
    ]
    assert [line.split()[0] for line in lines[4:]] == ["analytics"] * 2 + ["ml"] * 2


def test_a_failed_run_is_shown_with_location_step_error_and_link(
    watch: Watch, grocer: Grocer
) -> None:
    grocer.fails = "order_forecast_model"
    with pytest.raises(FlowError) as failure:
        flow.run_flow(replace(watch, url="http://127.0.0.1:3000"))
    text = str(failure.value)
    assert text.startswith("A run of ml failed at step order_forecast_model:\n")
    assert "ValueError: no eggs" in text
    assert "Error in op" not in text
    (failed,) = [run for run in grocer.runs if run.status == "FAILURE"]
    assert f"http://127.0.0.1:3000/runs/{failed.id}" in text


def test_what_fails_in_another_teams_code_location_is_not_our_failure(
    watch: Watch, grocer: Grocer, paper: io.StringIO
) -> None:
    grocer.fails = "stocks"
    neighbour = grocer.begin("hello", "trade")
    flow.run_flow(watch)
    assert neighbour.status == "FAILURE"
    assert "hello" not in paper.getvalue()


def test_a_stopped_automation_sensor_is_started(
    watch: Watch, grocer: Grocer, paper: io.StringIO
) -> None:
    grocer.stopped = {"ml", "hello"}
    flow.run_flow(watch)
    assert "Started sensor follow_ml of ml" in paper.getvalue()
    assert "store_flyer" in grocer.materialized
    assert grocer.stopped == {"hello"}, "what another team has stopped stays so"


def test_when_nothing_follows_the_missing_assets_and_the_sensors_are_named(
    watch: Watch, grocer: Grocer
) -> None:
    grocer.inactive = {"ml"}
    with pytest.raises(FlowError) as failure:
        flow.run_flow(watch)
    text = str(failure.value)
    missing = "next_week_shoppers, order_forecast_model, predicted_orders, store_flyer"
    assert f"Never materialized: {missing}." in text
    assert "Automation sensors of ml: follow_ml is RUNNING." in text


def test_when_nothing_follows_on_old_data_the_old_assets_are_named(
    watch: Watch, grocer: Grocer
) -> None:
    flow.run_flow(watch)
    grocer.inactive = {"analytics"}
    with pytest.raises(FlowError, match=r"Older than an upstream asset: .*orders_cleaned"):
        flow.run_flow(watch)


def test_a_run_without_end_is_named(watch: Watch, grocer: Grocer) -> None:
    grocer.hangs = "orders"
    with pytest.raises(FlowError, match=r"still in progress: load_orders of ingestion \(STARTED, "):
        flow.run_flow(watch)


def test_a_failed_check_of_the_programs_ends_the_wait(watch: Watch, grocer: Grocer) -> None:
    def check() -> None:
        if grocer.launched:
            raise RuntimeError("dagster ended")

    with pytest.raises(RuntimeError, match="dagster ended"):
        flow.run_flow(replace(watch, check=check))


def test_a_load_error_is_shown_and_ends_the_wait(client: GraphQLClient, grocer: Grocer) -> None:
    grocer.load_errors = {"analytics": "ModuleNotFoundError: no dbt\n  more"}
    with pytest.raises(FlowError) as failure:
        flow.wait_until_loaded(client, LOCATIONS, Timeouts())
    assert str(failure.value) == (
        "Code location analytics cannot be loaded:\n    ModuleNotFoundError: no dbt\n      more"
    )


def test_a_code_server_that_does_not_respond_yet_is_waited_for(
    grocer: Grocer, watch: Watch
) -> None:
    grocer.load_errors = {"ml": f"{flow.UNREACHABLE}: gRPC Error code: UNAVAILABLE"}
    queries: list[None] = []

    def third_time() -> None:
        queries.append(None)
        if len(queries) == 3:
            grocer.load_errors = {}

    flow.wait_until_loaded(watch.client, LOCATIONS, watch.timeouts, third_time)
    assert len(queries) == 3


def test_a_code_server_that_never_responds_is_named_after_the_timeout(
    grocer: Grocer, watch: Watch
) -> None:
    grocer.load_errors = {"ml": f"{flow.UNREACHABLE}: gRPC Error code: UNAVAILABLE"}
    with pytest.raises(FlowError, match="Code location ml cannot be loaded"):
        flow.wait_until_loaded(watch.client, LOCATIONS, watch.timeouts)


def test_a_web_server_that_does_not_answer_yet_is_waited_for(grocer: Grocer, watch: Watch) -> None:
    grocer.is_up = False
    queries: list[None] = []

    def third_time() -> None:
        queries.append(None)
        grocer.is_up = len(queries) == 3

    flow.wait_until_loaded(watch.client, LOCATIONS, watch.timeouts, third_time)
    assert len(queries) == 3


def test_a_web_server_that_never_answers_is_named_after_the_timeout(
    grocer: Grocer, watch: Watch
) -> None:
    grocer.is_up = False
    with pytest.raises(FlowError, match=r"not loaded after 0 s: the grocer does not answer"):
        flow.wait_until_loaded(watch.client, LOCATIONS, watch.timeouts)


def test_load_errors_of_other_code_locations_are_ignored(grocer: Grocer, watch: Watch) -> None:
    grocer.load_errors = {"marketing": "ModuleNotFoundError: no such thing"}
    flow.wait_until_loaded(watch.client, LOCATIONS, watch.timeouts)


def test_a_missing_code_location_is_named(watch: Watch) -> None:
    with pytest.raises(FlowError, match="marketing: missing"):
        flow.wait_until_loaded(watch.client, [*LOCATIONS, "marketing"], watch.timeouts)
