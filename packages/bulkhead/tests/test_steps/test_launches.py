"""How long something has stood in the way of a step, and whether people know."""

from types import SimpleNamespace

import pytest

from bulkhead.steps import launches
from bulkhead.steps.launches import Launch


class Clock:
    """Time that passes when the test says so."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(launches, "time", SimpleNamespace(monotonic=clock.monotonic))
    return clock


def launch() -> Launch:
    return Launch("train", 1, "dagster-step-1a4d")


def test_a_condition_lasts_from_when_it_was_first_seen(clock: Clock) -> None:
    waiting = launch()
    assert waiting.lasting("Unschedulable") == 0
    clock.now += 7
    assert waiting.lasting("Unschedulable") == 7
    assert waiting.lasting("QuotaExceeded") == 0


def test_a_condition_that_went_away_starts_anew_when_it_comes_back(clock: Clock) -> None:
    waiting = launch()
    waiting.lasting("Unschedulable")
    clock.now += 7
    waiting.only(None)
    assert waiting.lasting("Unschedulable") == 0


def test_a_condition_that_still_holds_goes_on_while_others_end(clock: Clock) -> None:
    waiting = launch()
    waiting.lasting("Unschedulable")
    waiting.lasting("ImageCannotBePulled")
    clock.now += 7
    waiting.only("ImageCannotBePulled")
    assert waiting.lasting("ImageCannotBePulled") == 7
    assert waiting.lasting("Unschedulable") == 0


def test_people_are_told_of_each_condition_once_even_if_it_comes_back() -> None:
    waiting = launch()
    assert waiting.is_first("Unschedulable")
    waiting.only(None)
    assert not waiting.is_first("Unschedulable")
    assert waiting.is_first("QuotaExceeded")


def test_no_attempt_knows_of_anothers_troubles() -> None:
    first, second = launch(), launch()
    first.is_first("Unschedulable")
    first.lasting("Unschedulable")
    assert second.is_first("Unschedulable")
    assert second._since == {}
