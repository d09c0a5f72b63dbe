"""A bad day: a file with rows that can't be read, and a step with too little memory.

What is shown, and checked: a check names the file and the rows; the step says what its limit was,
and grows; everything else goes on as ever.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from rich.console import Console
from rich.text import Text

from bulkhead_demo import flow, observed
from bulkhead_demo.flow import FlowError, Watch
from bulkhead_demo.observed import Check, Event, Figures, Moment

FILES = "offline_orders"
CHECK = "every_row_is_readable"
MODEL = "order_forecast_model"
MODEL_LOCATION = "ml"

RESAMPLES = 20_000
"""So many make the model's step hold about 1 GiB, where it has 640Mi at first."""

GROWTH = re.compile(r"\bgrew from\b|\bkilled for memory\b")
"""What a step says that had too little memory and got more (docs/limits.md)."""

FIRST_DAY = date(2017, 1, 2)
DAYS = 360

ROW = re.compile(r"^.+\.csv, row \d+: .+$", re.MULTILINE)

AFTER = 0.002
"""Seconds: to follow only what came after a run, one begins that much later."""

EVERYTHING = "__ASSET_JOB"
"""Dagster's job of all assets of a code location."""

Drop = Callable[[int], str]
"""Drops the file of the bad day of that number where the sensor finds it; returns what it said."""


@dataclass(frozen=True)
class Outcome:
    """What came of it: sentences for people, and what went otherwise than promised."""

    shown: Sequence[str]
    wrong: Sequence[str]


def play(watch: Watch, drop: Drop, *, with_limits: bool) -> Outcome:
    """Drop the file, launch the step, follow all that comes of it, and judge it.

    Args:
        watch: the flow has been played there before.
        drop: drops the file.
        with_limits: whether steps have limits there; without, only the file is dropped.

    Returns:
        What came of it.

    Raises:
        FlowError: the demo was not played yet, a run failed, or nothing more happens and something
            is missing.
        PageError: the web server does not answer, or refuses a run.
    """
    server = watch.server
    flow.start_automation(server, watch.screen)
    first = observed.now(server, 0.0)
    if first.assets.get(FILES) is None or first.assets[FILES].materialized is None:
        raise FlowError("the shop is not open yet: play the demo first")
    first = _let_it_end(watch, first)
    before = observed.figures(server)
    earlier = [run for run in first.runs if FILES in run.assets]
    since = _newest(first)
    watch.screen.say(drop(len(earlier)))
    model_run: str | None = None
    if with_limits:
        model_run = server.launch(
            MODEL_LOCATION,
            EVERYTHING,
            assets=[MODEL],
            config={"ops": {MODEL: {"config": {"resamples": RESAMPLES}}}},
            tags={"dagster/partition": before.partitions[MODEL][-1]},
        )
    # A sensor's run is made some time after the file was dropped.
    moment = flow.follow(watch, since + AFTER, lambda moment: _missing(moment, since))
    after = observed.figures(server)
    shown, wrong = _judge_check(after)
    if model_run:
        grown = _growth(observed.events(server, model_run))
        shown += grown
        if not grown:
            wrong.append(f"Step {MODEL} had all the memory that it wanted, and should not have.")
    others = [run for run in moment.runs if run.id != model_run]
    shown.append(f"{len(others)} other runs followed, all of them well.")
    worse = _worse(before, after)
    wrong += [f"Check {check.name} of {check.asset} is {check.status} now." for check in worse]
    if not worse:
        shown[-1] += " Of the other checks none has changed its mind."
    return Outcome(shown, wrong)


def program(number: int) -> list[str]:
    """Arguments of the Python of `ingestion` that drop the file of a bad day.

    Each number has a day of its own: a file that has been loaded before would change nothing.
    """
    day = FIRST_DAY + timedelta(days=number % DAYS)
    return ["-m", "ingestion.bad_day", "--day", day.isoformat()]


def show(console: Console, outcome: Outcome) -> None:
    """Print what came of it."""
    console.print()
    for text in outcome.shown:
        console.print(Text(text), soft_wrap=True)
    for text in outcome.wrong:
        console.print(Text(f"Otherwise than promised: {text}", style="red"), soft_wrap=True)


def _let_it_end(watch: Watch, first: Moment) -> Moment:
    """Wait for all that earlier data have set going; returns how things are then.

    A check that is still under way has no result with which one could compare.
    """

    def late(moment: Moment) -> list[str]:
        return sorted({*flow.behind(moment, flow.ORDERS, 0.0), *flow.behind(moment, FILES, 0.0)})

    under_way = [run.created for run in first.runs if not run.is_over]
    if not under_way and not late(first):
        return first
    watch.screen.say("What began before is still under way: the bad day begins after it.")
    flow.follow(watch, min(under_way, default=_newest(first) + AFTER), late)
    return observed.now(watch.server, 0.0)


def _newest(moment: Moment) -> float:
    """When the newest run was made, in seconds since 1970; 0 where there is none."""
    return max((run.created for run in moment.runs), default=0.0)


def _missing(moment: Moment, since: float) -> list[str]:
    """What has yet to follow the file: the sensor's load of it, and all that is made from it."""
    loaded = moment.assets[FILES].materialized or 0.0
    if loaded <= since:
        return [FILES]
    return flow.behind(moment, FILES, loaded)


def _judge_check(after: Figures) -> tuple[list[str], list[str]]:
    """What the check of the files says, and whether that is what it should say."""
    none = Check(FILES, CHECK, "NOT THERE", is_warning=False, description="")
    ours = (check for check in after.checks if (check.asset, check.name) == (FILES, CHECK))
    check = next(ours, none)
    shown = [f"Check {CHECK} of {FILES}: {check.status}"]
    shown += [f"    {line}" for line in check.description.splitlines()]
    if check.status == "FAILED" and ROW.search(check.description):
        return shown, []
    return shown, [f"Check {CHECK} of {FILES} should have failed, with file and rows."]


def _worse(before: Figures, after: Figures) -> list[Check]:
    """The other checks that have failed, and had not before."""
    was = {(check.asset, check.name): check for check in before.checks}
    return [
        check
        for check in after.checks
        if (check.asset, check.name) != (FILES, CHECK)
        and _is_worse(was.get((check.asset, check.name)), check)
    ]


def _is_worse(before: Check | None, after: Check) -> bool:
    bad = {"FAILED", "EXECUTION_FAILED"}
    return after.status in bad and (before is None or before.status not in bad)


def _growth(events: Sequence[Event]) -> list[str]:
    told = [line for event in events for line in (event.message, *event.error)]
    return list(dict.fromkeys(line for line in told if GROWTH.search(line)))
