"""A bad day: a file with broken rows, and a step with too little memory.

Expected and verified: an asset check names the file and the rows; the step's log has its limit and
its growth; all other runs succeed, and no other check fails.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from rich.console import Console
from rich.text import Text

from bulkhead.webserver_api import runs
from bulkhead_demo import flow, observed
from bulkhead_demo.flow import FlowError, Watch
from bulkhead_demo.observed import Check, Event, Figures, Snapshot

FILES = "offline_orders"
CHECK = "every_row_is_readable"
MODEL = "order_forecast_model"
MODEL_LOCATION = "ml"

RESAMPLES = 20_000
"""With this many the model's step needs about 1 GiB; its first limit is 640Mi."""

GROWTH = re.compile(r"\bgrew from\b|\bran out of memory\b")
"""Messages of a step that had too little memory and got more (docs/limits.md)."""

FIRST_DAY = date(2017, 1, 2)
DAYS = 360

ROW = re.compile(r"^.+\.csv, row \d+: .+$", re.MULTILINE)

AFTER = 0.002
"""Seconds after a run was created, from which on only later runs are followed."""

EVERYTHING = "__ASSET_JOB"
"""Dagster's job of all assets of a code location."""

Drop = Callable[[int], str]
"""Adds the file of a bad day where the sensor finds it; takes its number, returns a message."""


@dataclass(frozen=True)
class Outcome:
    """Messages for the user, and deviations from what is expected."""

    messages: Sequence[str]
    unexpected: Sequence[str]


def run_bad_day(watch: Watch, drop: Drop, *, with_limits: bool) -> Outcome:
    """Add the file, launch the step, follow the runs, and compare with what is expected.

    Args:
        watch: an installation on which the flow has run before.
        drop: adds the file.
        with_limits: whether steps have limits there; if not, only the file is added.

    Raises:
        FlowError: the demo has not run yet, a run failed, or an asset is not materialized in time.
        WebServerError: the web server does not respond, or rejects a run.
    """
    client = watch.client
    flow.start_automation(client, watch.screen)
    first = observed.snapshot(client, 0.0)
    if first.assets.get(FILES) is None or first.assets[FILES].materialized is None:
        raise FlowError(
            f"Asset {FILES} was never materialized. Run `make demo` or `make demo-cluster` first."
        )
    first = _wait_for_earlier_runs(watch, first)
    before = observed.figures(client)
    earlier = [run for run in first.runs if FILES in run.assets]
    since = _newest(first)
    watch.screen.print(drop(len(earlier)))
    model_run: str | None = None
    if with_limits:
        model_run = runs.launch(
            client,
            MODEL_LOCATION,
            EVERYTHING,
            assets=[MODEL],
            config={"ops": {MODEL: {"config": {"resamples": RESAMPLES}}}},
            tags={"dagster/partition": before.partitions[MODEL][-1]},
        )
    # The sensor creates its run some time after the file was added.
    snapshot = flow.follow(watch, since + AFTER, lambda snapshot: _missing(snapshot, since))
    after = observed.figures(client)
    messages, unexpected = _result_of_check(after)
    if model_run:
        grown = _growth(observed.events(client, model_run))
        messages += grown
        if not grown:
            unexpected.append(f"Step {MODEL} had enough memory; it was expected to grow.")
    others = [run for run in snapshot.runs if run.id != model_run]
    messages.append(f"{len(others)} other runs followed; all succeeded.")
    worse = _worse(before, after)
    unexpected += [f"Check {check.name} of {check.asset} is now {check.status}." for check in worse]
    if not worse:
        messages[-1] += " No other check failed that had passed before."
    return Outcome(messages, unexpected)


def program(number: int) -> list[str]:
    """Return the arguments with which `ingestion`'s Python adds the file of a bad day.

    Each number has its own day: a file that was loaded before would start no run.
    """
    day = FIRST_DAY + timedelta(days=number % DAYS)
    return ["-m", "ingestion.bad_day", "--day", day.isoformat()]


def show(console: Console, outcome: Outcome) -> None:
    """Print the messages, and the deviations in red."""
    console.print()
    for text in outcome.messages:
        console.print(Text(text), soft_wrap=True)
    for text in outcome.unexpected:
        console.print(Text(f"Unexpected: {text}", style="red"), soft_wrap=True)


def _wait_for_earlier_runs(watch: Watch, first: Snapshot) -> Snapshot:
    """Wait for the runs of earlier data; returns the snapshot after them.

    A check that still runs has no result to compare with.
    """

    def late(snapshot: Snapshot) -> list[str]:
        return sorted(
            {*flow.behind(snapshot, flow.ORDERS, 0.0), *flow.behind(snapshot, FILES, 0.0)}
        )

    under_way = [run.created for run in first.runs if not run.is_over]
    if not under_way and not late(first):
        return first
    watch.screen.print("What began before is still under way; the bad day starts after it.")
    flow.follow(watch, min(under_way, default=_newest(first) + AFTER), late)
    return observed.snapshot(watch.client, 0.0)


def _newest(snapshot: Snapshot) -> float:
    """Return the creation time of the newest run, in seconds since 1970; 0 if there is none."""
    return max((run.created for run in snapshot.runs), default=0.0)


def _missing(snapshot: Snapshot, since: float) -> list[str]:
    """Return the assets that are not yet made from the file: its load, and all downstream."""
    loaded = snapshot.assets[FILES].materialized or 0.0
    if loaded <= since:
        return [FILES]
    return flow.behind(snapshot, FILES, loaded)


def _result_of_check(after: Figures) -> tuple[list[str], list[str]]:
    """Return messages with the result of the files' check, and deviations from the expected one."""
    missing = Check(FILES, CHECK, "MISSING", is_warning=False, description="")
    ours = (check for check in after.checks if (check.asset, check.name) == (FILES, CHECK))
    check = next(ours, missing)
    messages = [f"Check {CHECK} of {FILES}: {check.status}"]
    messages += [f"    {line}" for line in check.description.splitlines()]
    if check.status == "FAILED" and ROW.search(check.description):
        return messages, []
    return messages, [f"Check {CHECK} of {FILES} was expected to fail and to name file and rows."]


def _worse(before: Figures, after: Figures) -> list[Check]:
    """Return the other checks that failed, and did not before."""
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
    lines = [line for event in events for line in (event.message, *event.error)]
    return list(dict.fromkeys(line for line in lines if GROWTH.search(line)))
