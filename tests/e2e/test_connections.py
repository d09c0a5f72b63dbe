"""Steps share a database: fifty at the same time leave connections for others."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from tests.e2e import pods
from tests.e2e.dagster_client import ENDED
from tests.e2e.waiting import NotYet, until

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.e2e.cluster import Kube
    from tests.e2e.dagster_client import Dagster
    from tests.e2e.ledger import Ledger

NAMESPACE = "bulkhead-steps"
STEPS = 50
SAMPLES = 10
"""Counts of connections while all steps run."""
MOST_OF_A_STEP, MOST_OF_A_RUN, MOST = 2, 4, 100

GATE_PORT = 8080
OPEN_THE_GATE = ["touch", "/tmp/open"]

# Keeps each connection open until the gate is opened.
GATE = f"""
import pathlib, socket, threading, time

waiting = []
def accept():
    server = socket.create_server(("", {GATE_PORT}), backlog=100)
    while True:
        waiting.append(server.accept()[0])

threading.Thread(target=accept, daemon=True).start()
while not pathlib.Path("/tmp/open").exists():
    time.sleep(0.2)
for connection in waiting:
    connection.close()
"""


@pytest.fixture
def gate(kube: Kube, namespace: str) -> Generator[str]:
    """A pod that keeps steps running; yields its name."""
    pods.create(kube, pods.restricted_pod("gate", namespace, ["python3", "-c", GATE]))
    pods.running(kube, namespace, "gate")
    yield "gate"
    kube.core.delete_namespaced_pod("gate", namespace, grace_period_seconds=0)


@pytest.mark.timeout(900)
def test_fifty_steps_at_the_same_time_need_fewer_than_100_connections(  # noqa: PLR0917 - fixtures
    kube: Kube, dagster: Dagster, endings: str, ledger: Ledger, namespace: str, gate: str
) -> None:
    """PostgreSQL's default is 100 for all clients."""
    samples: list[dict[str, int]] = []
    address = kube.core.read_namespaced_pod(gate, namespace).status.pod_ip
    config = {"host": address, "port": GATE_PORT}
    run = dagster.launch(endings, "fifty_together", config)

    def all_started() -> bool | NotYet:
        samples.append(ledger.connections())
        events = dagster.events(run)
        ended = [e.step for e in events if e.kind in {"STEP_SUCCESS", "STEP_FAILURE"}]
        assert not ended, f"{ended} ended before the gate was opened: {dagster.why(run)}"
        started = {e.step for e in events if e.kind == "STEP_START"}
        return len(started) == STEPS or NotYet(f"{len(started)} steps")

    until(all_started, 420, f"{STEPS} steps of run {run} to run", interval=1)
    together = [ledger.connections() for _ in range(SAMPLES)]
    pods.execute(kube, namespace, gate, OPEN_THE_GATE)

    def ended() -> bool | NotYet:
        samples.append(ledger.connections())
        status = dagster.status(run)
        return status in ENDED or NotYet(status)

    until(ended, 240, f"run {run} to end")
    dagster.succeed(run)

    is_step = {
        pod.status.pod_ip: pods.STEP_KEY in pod.metadata.labels
        for pod in pods.of_run(kube, NAMESPACE, run)
    }
    steps = {address for address in is_step if is_step[address]}
    assert len(steps) == STEPS
    connected = [len(steps & sample.keys()) for sample in together]
    assert connected == [STEPS] * SAMPLES, "not every step was counted in every sample"
    most: Counter[str] = Counter()
    for sample in [*samples, *together]:
        most |= Counter(sample)
    total = max(sum(sample.values()) for sample in [*samples, *together])
    of_steps = max(most[address] for address in steps)
    of_run = max(most[address] for address in is_step.keys() - steps)
    print(f"at most {total} connections at once; of a step {of_steps}, of the run {of_run}")
    assert 1 <= of_steps <= MOST_OF_A_STEP
    assert 1 <= of_run <= MOST_OF_A_RUN
    assert STEPS < total < MOST
