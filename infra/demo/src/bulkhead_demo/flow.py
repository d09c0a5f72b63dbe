"""One flow through three code locations: load the orders once, and watch what follows by itself."""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from bulkhead_demo import observed
from bulkhead_demo.observed import Asset, Moment, Run
from bulkhead_demo.screen import Screen
from bulkhead_kind.page import PageError, WebServer

OPEN = ("ingestion", "open_the_shop")
LOAD = ("ingestion", "load_orders")
"""Code location and job: what a person starts. All else follows."""

ORDERS = "orders"
"""The asset that the flow begins with."""

LOAD_ERROR_LINES = 30

UNREACHABLE = "DagsterUserCodeUnreachableError"
"""What the page says of a code location whose server does not answer, as while it starts."""


class FlowError(Exception):
    """The flow did not come to its end; `str()` says where it stopped, why, and where to look."""


@dataclass(frozen=True)
class Patience:
    """How long to wait, in seconds.

    Attributes:
        load: for the code locations to be loaded.
        idle: for something to happen while no run is under way.
        run: for something to happen while one is.
        poll: between two looks.
    """

    load: float = 180.0
    idle: float = 150.0
    run: float = 900.0
    poll: float = 2.0


def _nothing() -> None:
    """All is well as far as this process knows."""


@dataclass(frozen=True)
class Watch:
    """Whom to ask, where to show it, how long to wait.

    Attributes:
        server: answers.
        screen: shows runs as they come and go.
        patience: how long to wait.
        check: called at each look; raises when there is no point in going on.
        config: of the runs that are launched.
        url: of the page, for links; empty: links begin with the page's path.
    """

    server: WebServer
    screen: Screen
    patience: Patience = Patience()
    check: Callable[[], None] = _nothing
    config: Mapping[str, Any] = field(default_factory=dict[str, Any])
    url: str = ""

    def link(self, run: Run) -> str:
        """Where the page shows a run."""
        return f"{self.url}/runs/{run.id}"


def wait_until_loaded(
    server: WebServer,
    locations: Collection[str],
    patience: Patience,
    check: Callable[[], None] = _nothing,
) -> None:
    """Wait until the code locations are loaded; `check` may raise meanwhile.

    Raises:
        FlowError: one has a load error, which is shown, or is not loaded in time. A code server
            that does not answer may be about to.
    """
    deadline = time.monotonic() + patience.load
    while True:
        check()
        try:
            shown = server.locations()
        except PageError as error:
            # The web server is not up yet.
            shown, said = {}, str(error)
        else:
            said = "; ".join(f"{name}: {shown.get(name, 'not there')}" for name in locations)
        errors = {
            name: text
            for name, text in shown.items()
            if name in locations and text not in {"loaded", "loading"}
        }
        is_late = time.monotonic() > deadline
        if errors and (is_late or not all(UNREACHABLE in text for text in errors.values())):
            raise FlowError("\n".join(_load_error(*each) for each in errors.items()))
        if all(shown.get(name) == "loaded" for name in locations):
            return
        if is_late:
            raise FlowError(
                f"the code locations are not loaded after {patience.load:.0f} s: {said}"
            )
        time.sleep(patience.poll / 2)


def play(watch: Watch) -> Moment:
    """Open the shop unless it is open, load the orders, and follow them to the end of the flow.

    Returns:
        How things are at the end.

    Raises:
        FlowError: a run failed, or nothing more happens and something is missing.
        PageError: the web server does not answer, or refuses a job.
    """
    server = watch.server
    start_automation(server, watch.screen)
    location, job = OPEN
    assets = observed.now(server, time.time()).assets
    opened: float | None = None
    if _missing_of(assets, job):
        opened = observed.created(server, server.launch(location, job, config=watch.config))
        follow(watch, opened, lambda moment: _missing_of(moment.assets, job))
    else:
        watch.screen.say("The shop is open already.")
    loaded = observed.created(server, server.launch(*LOAD, config=watch.config))
    return follow(watch, opened or loaded, lambda moment: behind(moment, ORDERS, loaded))


def follow(watch: Watch, since: float, missing: Callable[[Moment], list[str]]) -> Moment:
    """Show what happens until nothing is missing and no run is under way.

    Args:
        watch: whom to ask, and how long.
        since: only runs from then on count, in seconds since 1970.
        missing: tells which assets have yet to be materialized.

    Returns:
        How things are at the end.

    Raises:
        FlowError: a run failed, or nothing more happens and something is missing.
        PageError: the web server does not answer.
    """
    seen: object = None
    changed = time.monotonic()
    while True:
        watch.check()
        # A little earlier: the filter leaves out the very moment.
        moment = observed.now(watch.server, since - 0.001)
        watch.screen.show(moment)
        for run in moment.runs:
            if run.has_failed:
                raise FlowError(_failed(watch, run))
        late = missing(moment)
        under_way = [run for run in moment.runs if not run.is_over]
        if not late and not under_way:
            return moment
        state = ([(run.id, run.status) for run in moment.runs], _times(moment.assets.values()))
        if state != seen:
            seen, changed = state, time.monotonic()
        still = time.monotonic() - changed
        if under_way and still > watch.patience.run:
            raise FlowError(_stuck(watch, under_way, still))
        if not under_way and still > watch.patience.idle:
            raise FlowError(_silence(watch.server, moment, late, still))
        time.sleep(watch.patience.poll)


def start_automation(server: WebServer, screen: Screen) -> None:
    """Start the sensors that evaluate automation conditions where they are stopped.

    Raises:
        FlowError: one can't be started.
    """
    for sensor in observed.sensors(server):
        if sensor.is_automatic and not sensor.is_running:
            refusal = observed.start(server, sensor)
            if refusal:
                raise FlowError(
                    f"sensor {sensor.name} of code location {sensor.location} is stopped and "
                    f"can't be started: {refusal}"
                )
            screen.say(f"Started sensor {sensor.name} of {sensor.location}: it was stopped.")


def forget(watch: Watch, locations: Collection[str]) -> None:
    """Delete the history of all assets of some code locations, because their data are gone.

    Raises:
        FlowError: it can't be deleted.
    """
    assets = observed.now(watch.server, time.time()).assets.values()
    known = sorted(each.name for each in assets if each.location in locations and each.materialized)
    if not known:
        return
    refusal = observed.forget(watch.server, known)
    if refusal:
        raise FlowError(
            f"the data of {', '.join(known)} are gone, but their history stays: {refusal}"
        )
    watch.screen.say(f"The data are gone of {', '.join(known)}: their history is, too.")


def behind(moment: Moment, first: str, since: float) -> list[str]:
    """The assets that have yet to follow one that is to be made after a time; sorted.

    An asset is behind while it is older than one that it is made from, where that one follows, too.

    Args:
        moment: how things are.
        first: the asset that all others follow.
        since: seconds since 1970.
    """
    followers = followers_of(first, moment)
    times = {name: moment.assets[name].materialized or 0.0 for name in {first, *followers}}
    late = [] if times[first] >= since else [first]
    for name in followers:
        newest = max(times[up] for up in moment.assets[name].upstream if up in times)
        if times[name] < max(newest, since):
            late.append(name)
    return sorted(late)


def followers_of(name: str, moment: Moment) -> set[str]:
    """The assets that are made from one, and from those in turn, by automation."""
    found: set[str] = set()
    more = {name}
    while more:
        found |= more
        more = {
            asset.name
            for asset in moment.assets.values()
            if asset.is_automatic and asset.upstream & found and asset.name not in found
        }
    return found - {name}


def _missing_of(assets: Mapping[str, Asset], job: str) -> list[str]:
    """The assets of a job that were never materialized; sorted."""
    return sorted(
        asset.name for asset in assets.values() if job in asset.jobs and asset.materialized is None
    )


def _times(assets: Collection[Asset]) -> list[tuple[str, float | None]]:
    return [(asset.name, asset.materialized) for asset in assets]


def _load_error(location: str, text: str) -> str:
    lines = text.strip().splitlines()[:LOAD_ERROR_LINES]
    shown = "\n".join(f"    {line}" for line in lines)
    return f"code location {location} can't be loaded:\n{shown}"


def _failed(watch: Watch, run: Run) -> str:
    if run.status == "CANCELED":
        return f"a run of {run.location} was canceled: {run.job}, {watch.link(run)}"
    failure = observed.failure(watch.server, run.id)
    at = f" at step {failure.step}" if failure.step else ""
    shown = "\n".join(f"    {line}" for line in failure.lines)
    return f"a run of {run.location} failed{at}:\n{shown}\nAll of it: {watch.link(run)}"


def _stuck(watch: Watch, runs: Collection[Run], seconds: float) -> str:
    shown = ", ".join(
        f"{run.job} of {run.location} ({run.status}, {watch.link(run)})" for run in runs
    )
    return f"nothing has happened for {seconds:.0f} s, and this is still under way: {shown}"


def _silence(server: WebServer, moment: Moment, late: Collection[str], seconds: float) -> str:
    lines = [f"nothing has happened for {seconds:.0f} s, and no run is under way."]
    never = [name for name in late if moment.assets[name].materialized is None]
    old = [name for name in late if name not in never]
    if never:
        lines.append(f"Never materialized: {', '.join(never)}.")
    if old:
        lines.append(f"Older than what they are made from: {', '.join(old)}.")
    sensors = [sensor for sensor in observed.sensors(server) if sensor.is_automatic]
    for location in sorted({moment.assets[name].location for name in late}):
        here = [sensor for sensor in sensors if sensor.location == location]
        states = ", ".join(
            f"{sensor.name} is {'RUNNING' if sensor.is_running else 'STOPPED'}" for sensor in here
        )
        said = states or "it has none, so its automation conditions are never evaluated"
        lines.append(f"Automation sensors of {location}: {said}.")
    return "\n".join(lines)
