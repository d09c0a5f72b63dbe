"""A bad day is told as it was, and judged by what was promised."""

from __future__ import annotations

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
    """The demo has been played, and dropped files have broken rows from now on.

    A check has failed before, as one does with the real orders: of Christmas.
    """
    grocer.unusual = "1 of 7 days is not as usual"
    flow.play(watch)
    grocer.rejected = ROWS
    grocer.events = {"order_forecast_model": GREW}
    return watch


def drop_into(grocer: Grocer) -> bad_day.Drop:
    def drop(number: int) -> str:
        grocer.begin("ingestion", "load_offline_orders")
        return f"Dropped file {number}"

    return drop


def test_the_check_names_the_rows_and_the_step_its_limit(played: Watch, grocer: Grocer) -> None:
    outcome = bad_day.play(played, drop_into(grocer), with_limits=True)
    assert outcome.wrong == []
    assert "Check every_row_is_readable of offline_orders: FAILED" in outcome.shown
    assert "    dropped/bad_day.csv, row 7: amount is missing" in outcome.shown
    assert GREW in outcome.shown
    assert outcome.shown[-1].endswith("none has changed its mind.")
    launched = grocer.launched[-1]
    assert launched["selector"]["assetSelection"] == [{"path": ["order_forecast_model"]}]
    assert launched["executionMetadata"]["tags"] == [
        {"key": "dagster/partition", "value": "2017-12"}
    ]


@pytest.mark.parametrize("looks", [0, 1, 2, 3, 4])
def test_what_began_before_ends_before_it_begins(played: Watch, grocer: Grocer, looks: int) -> None:
    grocer.begin("ingestion", "load_orders")
    for _ in range(looks):
        observed.now(grocer, 0.0)
    outcome = bad_day.play(played, drop_into(grocer), with_limits=True)
    assert outcome.wrong == []
    dropped = [run.job for run in grocer.runs].index("load_offline_orders")
    assert [run.location for run in grocer.runs[:dropped]][-3:] == ["ingestion", "analytics", "ml"]
    assert max(run.ended for run in grocer.runs[:dropped]) < grocer.runs[dropped].created


def test_a_step_that_had_enough_memory_is_otherwise_than_promised(
    played: Watch, grocer: Grocer
) -> None:
    grocer.events = {}
    outcome = bad_day.play(played, drop_into(grocer), with_limits=True)
    assert outcome.wrong == [
        "Step order_forecast_model had all the memory that it wanted, and should not have."
    ]


def test_a_check_that_passes_is_otherwise_than_promised(played: Watch, grocer: Grocer) -> None:
    grocer.rejected = ""
    outcome = bad_day.play(played, drop_into(grocer), with_limits=True)
    assert outcome.wrong == [
        "Check every_row_is_readable of offline_orders should have failed, with file and rows."
    ]


def test_another_check_that_changes_its_mind_is_otherwise_than_promised(
    played: Watch, grocer: Grocer
) -> None:
    grocer.unusual = ""

    def drop(number: int) -> str:
        grocer.unusual = "1 of 7 days is not as usual"
        return drop_into(grocer)(number)

    outcome = bad_day.play(played, drop, with_limits=True)
    assert outcome.wrong == ["Check daily_orders_look_usual of daily_order_summary is FAILED now."]
    assert not any("none has changed its mind" in text for text in outcome.shown)


def test_a_neighbour_that_fails_ends_the_bad_day(played: Watch, grocer: Grocer) -> None:
    grocer.fails = "users_augmented"
    with pytest.raises(flow.FlowError, match="a run of analytics failed"):
        bad_day.play(played, drop_into(grocer), with_limits=True)


def test_without_limits_no_step_is_starved(played: Watch, grocer: Grocer) -> None:
    before = len(grocer.launched)
    outcome = bad_day.play(played, drop_into(grocer), with_limits=False)
    assert outcome.wrong == []
    assert len(grocer.launched) == before


def test_before_the_demo_there_is_nothing_to_spoil(watch: Watch, grocer: Grocer) -> None:
    with pytest.raises(flow.FlowError, match="play the demo first"):
        bad_day.play(watch, drop_into(grocer), with_limits=True)


def test_each_bad_day_has_a_file_of_its_own() -> None:
    days = [bad_day.program(number)[-1] for number in range(bad_day.DAYS)]
    assert len(set(days)) == len(days)
