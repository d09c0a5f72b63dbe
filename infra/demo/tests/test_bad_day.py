"""The bad day: its messages, and its deviations from what is expected."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from bulkhead_demo import bad_day, flow, observed

if TYPE_CHECKING:
    from grocer import Grocer

    from bulkhead_demo.flow import Watch

ROWS = "dropped/bad_day.csv, row 7: amount is missing\ndropped/bad_day.csv, row 8: user unknown"
GREW = "Step order_forecast_model grew from 640Mi to 1280Mi after 1 s, while it ran."


@pytest.fixture
def played(watch: Watch, grocer: Grocer) -> Watch:
    """The demo has run, and dropped files have broken rows from now on.

    A check failed before, as with the real orders, because of Christmas.
    """
    grocer.unusual = "1 of 7 days is not as usual"
    flow.run_flow(watch)
    grocer.rejected = ROWS
    grocer.events = {"order_forecast_model": GREW}
    return watch


def drop_into(grocer: Grocer) -> bad_day.Drop:
    def drop(number: int) -> str:
        grocer.begin("ingestion", "load_offline_orders")
        return f"Dropped file {number}"

    return drop


def test_the_check_names_the_rows_and_the_step_its_limit(played: Watch, grocer: Grocer) -> None:
    outcome = bad_day.run_bad_day(played, drop_into(grocer), with_limits=True)
    assert outcome.unexpected == []
    assert "Check every_row_is_readable of offline_orders: FAILED" in outcome.messages
    assert "    dropped/bad_day.csv, row 7: amount is missing" in outcome.messages
    assert GREW in outcome.messages
    assert outcome.messages[-1].endswith("No other check failed that had passed before.")
    launched = grocer.launched[-1]
    assert launched["selector"]["assetSelection"] == [{"path": ["order_forecast_model"]}]
    assert launched["executionMetadata"]["tags"] == [
        {"key": "dagster/partition", "value": "2017-12"}
    ]


@pytest.mark.parametrize("queries", [0, 1, 2, 3, 4])
def test_earlier_runs_end_before_the_bad_day_starts(
    played: Watch, grocer: Grocer, queries: int
) -> None:
    grocer.begin("ingestion", "load_orders")
    for _ in range(queries):
        observed.snapshot(played.client, 0.0)
    outcome = bad_day.run_bad_day(played, drop_into(grocer), with_limits=True)
    assert outcome.unexpected == []
    dropped = [run.job for run in grocer.runs].index("load_offline_orders")
    assert [run.location for run in grocer.runs[:dropped]][-3:] == ["ingestion", "analytics", "ml"]
    assert (
        max(run.ended or math.inf for run in grocer.runs[:dropped]) < grocer.runs[dropped].created
    )


def test_a_step_that_had_enough_memory_is_unexpected(played: Watch, grocer: Grocer) -> None:
    grocer.events = {}
    outcome = bad_day.run_bad_day(played, drop_into(grocer), with_limits=True)
    assert outcome.unexpected == [
        "Step order_forecast_model had enough memory; it was expected to grow."
    ]


def test_a_check_that_passes_is_unexpected(played: Watch, grocer: Grocer) -> None:
    grocer.rejected = ""
    outcome = bad_day.run_bad_day(played, drop_into(grocer), with_limits=True)
    (text,) = outcome.unexpected
    assert text.startswith("Check every_row_is_readable of offline_orders was expected to fail")
    assert text.endswith(" and to name file and rows.")


def test_another_check_that_now_fails_is_unexpected(played: Watch, grocer: Grocer) -> None:
    grocer.unusual = ""

    def drop(number: int) -> str:
        grocer.unusual = "1 of 7 days is not as usual"
        return drop_into(grocer)(number)

    outcome = bad_day.run_bad_day(played, drop, with_limits=True)
    assert outcome.unexpected == [
        "Check daily_orders_look_usual of daily_order_summary is now FAILED."
    ]
    assert not any("No other check failed" in text for text in outcome.messages)


def test_a_neighbour_that_fails_ends_the_bad_day(played: Watch, grocer: Grocer) -> None:
    grocer.fails = "users_augmented"
    with pytest.raises(flow.FlowError, match="A run of analytics failed"):
        bad_day.run_bad_day(played, drop_into(grocer), with_limits=True)


def test_without_limits_no_step_is_launched(played: Watch, grocer: Grocer) -> None:
    before = len(grocer.launched)
    outcome = bad_day.run_bad_day(played, drop_into(grocer), with_limits=False)
    assert outcome.unexpected == []
    assert len(grocer.launched) == before


def test_a_bad_day_before_the_demo_says_what_to_run_first(watch: Watch, grocer: Grocer) -> None:
    with pytest.raises(flow.FlowError, match="Run `make demo` or `make demo-cluster` first"):
        bad_day.run_bad_day(watch, drop_into(grocer), with_limits=True)


def test_each_bad_day_has_a_file_of_its_own() -> None:
    days = [bad_day.program(number)[-1] for number in range(bad_day.DAYS)]
    assert len(set(days)) == len(days)
