"""Measure the platform: `python -m tests.bench`.

Runs steps that do nothing under the platform's executor, under Dagster's own `k8s_job_executor`
and in one process, in turns, so that other load of the machine affects all three alike.
Needs the platform and `hello`, as `make up` leaves them; writes `build/bench.md`.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import yaml
from tests.bench import measure, pushes, report
from tests.e2e import cluster
from tests.e2e.dagster_client import Dagster, web_server_of
from tests.e2e.helm import Helm
from tests.e2e.installation import HELLO_NAMESPACE, PLATFORM, Installation

# Code locations by the name of the executor that is measured there; see locations/bench.
LOCATIONS = {"bulkhead": "bench", "one_process": "bench", "stock": "bench-stock"}


FOLDER = Path(__file__).parent / "locations" / "bench"


class Graph(NamedTuple):
    """A graph of its definitions, how it is run, and how often."""

    name: str
    concurrency: int
    """Steps that have a pod at the same time."""
    every: int
    """In each turn, in every third."""


FEWEST_PUSHES = 5

GRAPHS = (
    Graph("five_in_a_row", 1, 1),
    Graph("twenty_at_four", 4, 3),
    Graph("fifty_at_ten", 10, 3),
)
QUOTA = {
    "requests.cpu": "8",
    "requests.memory": "16Gi",
    "limits.cpu": "40",
    "limits.memory": "24Gi",
}


def main() -> None:
    """Measure, and print and write the tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("-n", "--repeat", type=int, default=10, help="runs of each kind (10)")
    repeat = parser.parse_args().repeat

    kube = cluster.connect()
    dagster = Dagster(web_server_of(kube, PLATFORM, PLATFORM))
    platform = Installation(PLATFORM, PLATFORM, kube, Helm(), dagster)
    platform.answers()
    memory = measure.idle_memory(kube, {PLATFORM: "", HELLO_NAMESPACE: "hello: "})
    locations = {
        **{name: {"namespace": _namespace(name), "quota": QUOTA} for name in LOCATIONS.values()},
        **pushes.LOCATIONS,
    }
    platform.register(locations)
    try:
        _deploy(platform)
        version = dagster.loaded(LOCATIONS["bulkhead"]).dagster
        figures, never_ended = _figures(dagster, repeat)
    finally:
        for location in set(LOCATIONS.values()):
            platform.helm.uninstall(location, _namespace(location))
        platform.unregister(locations)

    nodes = kube.core.list_node().items
    about = (
        f"Steps that do nothing; {repeat} runs of each kind in a row and a third as many in "
        f"parallel, in turns; Dagster {version}, "
        f"{len(nodes)} nodes with {nodes[0].status.capacity['cpu']} CPUs, "
        f"Kubernetes {nodes[0].status.node_info.kubelet_version}."
    )
    text = report.tables(figures, memory, about, never_ended)
    path = cluster.BUILD / "bench.md"
    path.write_text(text)
    print(f"\n{text}\nwritten to {path}")


def _namespace(location: str) -> str:
    return f"bulkhead-{location}"


def _deploy(platform: Installation) -> None:
    values = yaml.safe_load((FOLDER / "values.yaml").read_text())
    stock = [{"name": "BENCH_EXECUTOR", "value": "stock"}]
    for location, environment in ((LOCATIONS["bulkhead"], []), (LOCATIONS["stock"], stock)):
        platform.deploy(location, _namespace(location), FOLDER.name, {**values, "env": environment})
        platform.dagster.loaded(location)


def _figures(
    dagster: Dagster, repeat: int
) -> tuple[dict[tuple[str, str], list[measure.Figures]], int]:
    """All runs in turns, after one that pulls the image to the nodes and is not counted.

    Returns:
        The figures, and how many runs of `k8s_job_executor` never ended. Dagster's executor misses
        the end of a step whose event PostgreSQL shows late; such a run is made once more.
    """
    _one(dagster, GRAPHS[-1], "bulkhead")
    figures: dict[tuple[str, str], list[measure.Figures]] = defaultdict(list)
    never_ended = 0
    for turn, graph, executor in itertools.product(range(repeat), GRAPHS, report.COLUMNS):
        if turn % graph.every:
            continue
        started = time.monotonic()
        try:
            found = _one(dagster, graph, executor)
        except measure.NeverEndedError as error:
            if executor != "stock":
                raise
            print(error)
            never_ended += 1
            found = _one(dagster, graph, executor)
        figures[graph.name, executor].append(found)
        print(f"{turn + 1}/{repeat} {graph.name} {executor}: {time.monotonic() - started:.1f} s")
    return figures, never_ended


def _one(dagster: Dagster, graph: Graph, executor: str) -> measure.Figures:
    return measure.run(
        dagster,
        LOCATIONS[executor],
        f"{graph.name}_{executor}",
        concurrency=graph.concurrency,
        pods=executor != "one_process",
    )


if __name__ == "__main__":
    main()
