"""Three teams, three code locations, one flow: the grocer on the cluster.

Its tests follow one another: each goes on with what the one before left.
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest
from tests.e2e import cluster, pods, sql
from tests.e2e.waiting import NotYet, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.cluster import Kube
    from tests.e2e.dagster_client import Dagster
    from tests.e2e.helm import Helm
    from tests.e2e.installation import Installation

LOCATIONS = ("ingestion", "analytics", "ml")
GROCER = "grocer"
"""Release and namespace of the grocer's own database and campaign service."""

AUTOMATION = (("analytics", "follow_the_orders"), ("ml", "follow_the_figures"))
"""Code location and sensor: who starts what follows."""

ORDERS = 155_848
MARCH = [f"2017-03-{day:02}" for day in range(1, 32)]

COUNT_AND_SUM = "SELECT count(*), round(cast(sum({}) AS numeric), 2) FROM {}"

ON_A_LAPTOP = {
    ("amount", "raw.orders"): [ORDERS, 4_596_039.58],
    ("amount", "analytics.orders_cleaned"): [155_368, 4_596_039.16],
    ("orders", "analytics.daily_order_summary"): [365, 155_283],
    ("amount", "analytics.daily_order_summary"): [365, 4_594_145.90],
    ("amount", "analytics.user_weeks"): [69_594, 4_596_039.16],
    ("amount", "analytics.users_augmented"): [2_469, 4_596_039.16],
    ("orders", "ml.predicted_orders"): [30, 12_798.80],
    ("probability", "ml.next_week_shoppers"): [2_469, 1_341.96],
}
"""Rows, and the sum of a column, of the tables that `make demo` leaves in its DuckDB."""

EMPTY_THE_FILES = """
from ingestion.files import DROPPED
from ingestion.resources import current_environment, resources
from ingestion.tables import ORDER_COLUMNS
files = resources(current_environment())["files"].files()
for name in files.fingerprints(DROPPED):
    files.write(name, ",".join(ORDER_COLUMNS).encode())
"""
"""Run where ingestion runs: the object store outlives the grocer, and a bad day with it."""


class Ask(Protocol):
    """Runs SQL on the grocer's server."""

    def __call__(self, statement: str, database: str = "warehouse") -> list[list[str]]:
        """Return what a statement selected, each cell as text."""
        ...


def demo(command: str, timeout: float) -> str:
    """Run `bulkhead-demo`, as `make demo-cluster` and `make demo-bad-day` do; what it printed."""
    program = Path(sys.executable).with_name("bulkhead-demo")
    done = subprocess.run(
        [program, command], capture_output=True, text=True, timeout=timeout, check=False
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def ask(kube: Kube) -> Ask:
    """The shop's and the warehouse's server."""
    return partial(sql.rows, kube, GROCER, f"{GROCER}-warehouse-0")


@pytest.fixture(scope="module")
def played(kube: Kube, helm: Helm, platform: Installation) -> Iterator[str]:
    """What `make demo-cluster` prints on a cluster without a grocer."""

    def remove() -> None:
        platform.unregister(LOCATIONS)
        helm.uninstall(GROCER, GROCER)
        cluster.delete_namespace(kube, GROCER)

    theirs = {GROCER, *map(platform.namespace_of, LOCATIONS)}

    def is_gone() -> bool | NotYet:
        there = {namespace.metadata.name for namespace in kube.core.list_namespace().items}
        return not theirs & there or NotYet(theirs & there)

    remove()
    until(is_gone, 180, "an earlier grocer to be gone")
    yield demo("cluster", timeout=1200)
    namespace = platform.namespace_of("ingestion")
    (server,) = pods.of_deployment(kube, namespace, "ingestion")
    pods.execute(kube, namespace, server.metadata.name, ["python3", "-c", EMPTY_THE_FILES])
    remove()


@pytest.mark.timeout(1500)
def test_one_load_of_orders_runs_through_three_teams_to_the_figures_of_a_laptop(
    played: str, ask: Ask
) -> None:
    assert "155,848 of them loaded just now" in played
    assert "The demo took" in played
    for (column, table), figures in ON_A_LAPTOP.items():
        (row,) = ask(COUNT_AND_SUM.format(column, table))
        assert [float(cell) for cell in row] == pytest.approx(figures, abs=0.05), table


@pytest.mark.usefixtures("played")
def test_two_teams_hold_two_versions_of_one_library_in_their_steps_pods(
    kube: Kube, platform: Installation, dagster: Dagster
) -> None:
    usual = dagster.checks("daily_order_summary")["daily_orders_look_usual"]
    (model,) = dagster.materializations("order_forecast_model", limit=1)
    versions = {"analytics": usual.metadata["pandas"], "ml": model["metadata"]["pandas"]}
    print(f"pandas in the steps' pods: {versions}")
    assert versions["analytics"].split(".")[0] < versions["ml"].split(".")[0]
    for location, run in {"analytics": usual.run_id, "ml": model["runId"]}.items():
        assert pods.step_pods(kube, platform.namespace_of(location), run), location


@pytest.mark.usefixtures("played")
def test_somebody_watches_that_the_orders_stay_fresh(dagster: Dagster) -> None:
    def judged() -> str | NotYet:
        freshness = dagster.freshness("orders")
        return freshness if freshness != "UNKNOWN" else NotYet(freshness)

    assert until(judged, 90, "the daemon to look at the orders' age") == "HEALTHY"


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("played")
def test_a_second_load_brings_only_what_is_new(dagster: Dagster, ask: Ask) -> None:
    ask(
        "INSERT INTO orders SELECT order_id + 1, user_id, store_id, ordered_at + interval '1 hour',"
        " 1, 2.50, 0 FROM orders ORDER BY ordered_at DESC, order_id DESC LIMIT 1",
        "shop",
    )
    run = dagster.launch("ingestion", "load_orders")
    dagster.succeed(run)
    told = dagster.metadata(run, "orders")
    assert (told["rows loaded"], told["dagster/row_count"]) == (1, ORDERS + 1)
    assert dagster.checks("orders")["nothing_was_lost"].status == "SUCCEEDED"


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("played")
def test_a_bad_day_is_told_where_it_happens_and_nowhere_else(dagster: Dagster) -> None:
    """The command itself fails if any other check or run has changed its mind.

    What follows the second load has not ended when it is called.
    """
    said = demo("bad-day", timeout=500)
    assert "What began before is still under way" in said
    assert "row 8: user_id 999999 is unknown" in said
    assert "Step order_forecast_model grew from 640Mi" in said
    assert dagster.checks("offline_orders")["every_row_is_readable"].status == "FAILED"


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("played")
def test_a_month_is_filled_back_by_one_run_and_agrees_with_the_orders(
    kube: Kube, platform: Installation, dagster: Dagster, ask: Ask
) -> None:
    (run,) = dagster.backfilled(dagster.backfill("order_lines", MARCH))
    assert len(pods.step_pods(kube, platform.namespace_of("ingestion"), run["runId"])) == 1
    (last,) = dagster.materializations("order_lines", limit=1)
    told = last["metadata"]
    assert (told["days loaded"], told["rows loaded"]) == (31, 124_768)
    lines = ask("SELECT round(sum(amount)::numeric, 2) FROM raw.order_lines")
    orders = ask(
        "SELECT round(sum(amount)::numeric, 2) FROM raw.orders "
        "WHERE ordered_at >= '2017-03-01' AND ordered_at < '2017-04-01'"
    )
    assert lines == orders


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("played")
def test_what_fails_upstream_stops_what_follows_and_says_so(dagster: Dagster, ask: Ask) -> None:
    ask(
        "INSERT INTO raw.orders SELECT -1, user_id, store_id, ordered_at, 1, 1, -5 "
        "FROM raw.orders LIMIT 1"
    )
    run = dagster.launch("analytics", "__ASSET_JOB")
    assert dagster.finish(run) == "FAILURE"
    events = dagster.events(run)
    failed = [event.step for event in events if event.kind == "STEP_FAILURE"]
    assert failed == ["staging"]
    assert any("marts" in event.step and "Not executing" in event.message for event in events)
    assert "FAILED" in {check.status for check in dagster.checks("orders_cleaned").values()}
    ended = dagster.run(run)["endTime"]

    def looked() -> bool | NotYet:
        ticks = {sensor: dagster.ticks(*sensor) for sensor in AUTOMATION}
        done = [max(t.time for t in ticks[s] if t.status != "STARTED") for s in AUTOMATION]
        return min(done) > ended or NotYet(done)

    until(looked, 120, "the sensors of analytics and ml to look again")
    assert not dagster.runs(createdAfter=ended)
