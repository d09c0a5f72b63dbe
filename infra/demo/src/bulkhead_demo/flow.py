"""The flow: load the orders once, and follow the runs that automation starts downstream."""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from bulkhead.webserver_api import runs, workspace
from bulkhead.webserver_api.client import GraphQLClient
from bulkhead.webserver_api.errors import WebServerError
from bulkhead.webserver_api.workspace import LoadStatus
from bulkhead_demo import observed
from bulkhead_demo.observed import Asset, Run, Snapshot
from bulkhead_demo.screen import Screen
from bulkhead_kind import webserver

OPEN = ("ingestion", "open_the_shop")
LOAD = ("ingestion", "load_orders")
"""Code location and job of the runs that the demo launches; automation starts the others."""

ORDERS = "orders"
"""The first asset of the flow."""

LOAD_ERROR_LINES = 30

UNREACHABLE = "DagsterUserCodeUnreachableError"
"""Part of the load error of a code location whose server does not respond, or starts."""


class FlowError(Exception):
    """The flow did not finish; `str()` has the run or asset, the reason, and a link."""


@dataclass(frozen=True)
class Timeouts:
    """Timeouts, in seconds.

    Attributes:
        load: for the code locations to be loaded.
        idle: for a change while no run is in progress.
        run: for a change while a run is in progress.
        poll: interval between two queries.
    """

    load: float = 180.0
    idle: float = 150.0
    run: float = 900.0
    poll: float = 2.0


def _no_check() -> None:
    """Check nothing."""


@dataclass(frozen=True)
class Watch:
    """How the flow is followed.

    Attributes:
        client: sends queries to the web server.
        screen: shows the runs.
        timeouts: how long to wait.
        check: called at each query; raises when the flow cannot continue.
        config: run configuration of the launched runs.
        url: address of the Dagster UI, for links; empty: links are paths.
    """

    client: GraphQLClient
    screen: Screen
    timeouts: Timeouts = Timeouts()
    check: Callable[[], None] = _no_check
    config: Mapping[str, Any] = field(default_factory=dict[str, Any])
    url: str = ""

    def link(self, run: Run) -> str:
        """Return the address of a run in the Dagster UI."""
        return f"{self.url}/runs/{run.id}"


def wait_until_loaded(
    client: GraphQLClient,
    locations: Collection[str],
    timeouts: Timeouts,
    check: Callable[[], None] = _no_check,
) -> None:
    """Wait until the code locations are loaded; `check` is called at each query.

    Raises:
        FlowError: one has a load error, which is shown, or is not loaded in time. A code server
            that does not respond is waited for: it may be starting.
    """
    deadline = time.monotonic() + timeouts.load
    while True:
        check()
        try:
            statuses = workspace.load_statuses(client)
        except WebServerError as error:
            # The web server is not up yet.
            statuses, detail = dict[str, LoadStatus](), str(error)
        else:
            detail = "; ".join(f"{name}: {_state(statuses.get(name))}" for name in locations)
        errors = {
            name: status.error
            for name, status in statuses.items()
            if name in locations and status.error is not None
        }
        is_late = time.monotonic() > deadline
        if errors and (is_late or not all(UNREACHABLE in text for text in errors.values())):
            raise FlowError("\n".join(_load_error(*each) for each in errors.items()))
        if all(name in statuses and statuses[name].is_loaded for name in locations):
            return
        if is_late:
            raise FlowError(
                f"The code locations are not loaded after {timeouts.load:.0f} s: {detail}"
            )
        time.sleep(timeouts.poll / 2)


def run_flow(watch: Watch) -> Snapshot:
    """Run `open_the_shop` unless it has run, load the orders, and follow the flow to its end.

    Returns:
        The snapshot at the end.

    Raises:
        FlowError: a run failed, or an asset is not materialized in time.
        WebServerError: the web server does not respond, or rejects a job.
    """
    client = watch.client
    start_automation(client, watch.screen)
    _, job = OPEN
    assets = observed.snapshot(client, time.time()).assets
    opened: float | None = None
    if _missing_of(assets, job):
        opened = _launch(watch, OPEN)
        follow(watch, opened, lambda snapshot: _missing_of(snapshot.assets, job))
    else:
        watch.screen.print("The shop is already open; loading new orders.")
    loaded = _launch(watch, LOAD)
    return follow(watch, opened or loaded, lambda snapshot: behind(snapshot, ORDERS, loaded))


def follow(watch: Watch, since: float, missing: Callable[[Snapshot], list[str]]) -> Snapshot:
    """Show the runs until no asset is missing and no run is in progress.

    Args:
        watch: the web server, and how long to wait.
        since: only runs created from then on count; seconds since 1970.
        missing: returns the assets that are not materialized yet.

    Returns:
        The snapshot at the end.

    Raises:
        FlowError: a run failed, or an asset is not materialized in time.
        WebServerError: the web server does not respond.
    """
    seen: object = None
    changed = time.monotonic()
    while True:
        watch.check()
        # A little earlier: the filter excludes the time itself.
        snapshot = observed.snapshot(watch.client, since - 0.001)
        watch.screen.show(snapshot)
        for run in snapshot.runs:
            if run.has_failed:
                raise FlowError(_failed(watch, run))
        late = missing(snapshot)
        in_progress = [run for run in snapshot.runs if not run.is_over]
        if not late and not in_progress:
            return snapshot
        state = ([(run.id, run.status) for run in snapshot.runs], _times(snapshot.assets.values()))
        if state != seen:
            seen, changed = state, time.monotonic()
        still = time.monotonic() - changed
        if in_progress and still > watch.timeouts.run:
            raise FlowError(_stuck(watch, in_progress, still))
        if not in_progress and still > watch.timeouts.idle:
            raise FlowError(_no_progress(watch.client, snapshot, late, still))
        time.sleep(watch.timeouts.poll)


def start_automation(client: GraphQLClient, screen: Screen) -> None:
    """Start the sensors that evaluate automation conditions, if they are stopped.

    Raises:
        FlowError: one cannot be started.
    """
    for sensor in observed.sensors(client):
        if sensor.is_automatic and not sensor.is_running:
            refusal = observed.start(client, sensor)
            if refusal:
                raise FlowError(
                    f"Sensor {sensor.name} of code location {sensor.location} is stopped and "
                    f"cannot be started: {refusal}"
                )
            screen.print(f"Started sensor {sensor.name} of {sensor.location}, which was stopped.")


def delete_history(watch: Watch, locations: Collection[str]) -> None:
    """Delete the history of all assets of some code locations, because their data are deleted.

    Raises:
        FlowError: it cannot be deleted.
    """
    assets = observed.snapshot(watch.client, time.time()).assets.values()
    known = sorted(each.name for each in assets if each.location in locations and each.materialized)
    if not known:
        return
    refusal = observed.delete_history(watch.client, known)
    if refusal:
        raise FlowError(
            f"The data of {', '.join(known)} are deleted, but their history cannot be deleted: "
            f"{refusal}"
        )
    watch.screen.print(f"Deleted the history of assets whose data are deleted: {', '.join(known)}.")


def behind(snapshot: Snapshot, first: str, since: float) -> list[str]:
    """Return the assets of the flow that are out of date; sorted.

    The first asset is out of date if it is older than `since`, another one if it is older than an
    asset of the flow that it depends on.

    Args:
        snapshot: the assets.
        first: the first asset of the flow.
        since: seconds since 1970.
    """
    followers = followers_of(first, snapshot)
    times = {name: snapshot.assets[name].materialized or 0.0 for name in {first, *followers}}
    late = [] if times[first] >= since else [first]
    for name in followers:
        newest = max(times[up] for up in snapshot.assets[name].upstream if up in times)
        if times[name] < max(newest, since):
            late.append(name)
    return sorted(late)


def followers_of(name: str, snapshot: Snapshot) -> set[str]:
    """Return all assets downstream of one that automation materializes."""
    found: set[str] = set()
    more = {name}
    while more:
        found |= more
        more = {
            asset.name
            for asset in snapshot.assets.values()
            if asset.is_automatic and asset.upstream & found and asset.name not in found
        }
    return found - {name}


def _launch(watch: Watch, which: tuple[str, str]) -> float:
    """Launch a job of a code location; returns the run's creation time, in seconds since 1970."""
    run_id = runs.launch(watch.client, *which, config=watch.config)
    return observed.created(watch.client, run_id)


def _missing_of(assets: Mapping[str, Asset], job: str) -> list[str]:
    """Return the assets of a job that were never materialized; sorted."""
    return sorted(
        asset.name for asset in assets.values() if job in asset.jobs and asset.materialized is None
    )


def _times(assets: Collection[Asset]) -> list[tuple[str, float | None]]:
    return [(asset.name, asset.materialized) for asset in assets]


def _state(status: LoadStatus | None) -> str:
    return webserver.state(status) if status else "missing"


def _load_error(location: str, text: str) -> str:
    lines = text.strip().splitlines()[:LOAD_ERROR_LINES]
    shown = "\n".join(f"    {line}" for line in lines)
    return f"Code location {location} cannot be loaded:\n{shown}"


def _failed(watch: Watch, run: Run) -> str:
    if run.status == "CANCELED":
        return f"A run of {run.location} was canceled: {run.job}, {watch.link(run)}"
    failure = observed.failure(watch.client, run.id)
    at = f" at step {failure.step}" if failure.step else ""
    shown = "\n".join(f"    {line}" for line in failure.lines)
    return f"A run of {run.location} failed{at}:\n{shown}\nSee {watch.link(run)}"


def _stuck(watch: Watch, runs: Collection[Run], seconds: float) -> str:
    shown = ", ".join(
        f"{run.job} of {run.location} ({run.status}, {watch.link(run)})" for run in runs
    )
    return f"Nothing has changed for {seconds:.0f} s, and these runs are still in progress: {shown}"


def _no_progress(
    client: GraphQLClient, snapshot: Snapshot, late: Collection[str], seconds: float
) -> str:
    lines = [f"Nothing has changed for {seconds:.0f} s, and no run is in progress."]
    never = [name for name in late if snapshot.assets[name].materialized is None]
    old = [name for name in late if name not in never]
    if never:
        lines.append(f"Never materialized: {', '.join(never)}.")
    if old:
        lines.append(f"Older than an upstream asset: {', '.join(old)}.")
    sensors = [sensor for sensor in observed.sensors(client) if sensor.is_automatic]
    for location in sorted({snapshot.assets[name].location for name in late}):
        here = [sensor for sensor in sensors if sensor.location == location]
        states = ", ".join(
            f"{sensor.name} is {'RUNNING' if sensor.is_running else 'STOPPED'}" for sensor in here
        )
        shown = states or "none, so its automation conditions are never evaluated"
        lines.append(f"Automation sensors of {location}: {shown}.")
    return "\n".join(lines)
