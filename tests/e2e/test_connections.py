"""Steps share a database: many at the same time leave room for others."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from tests.e2e import pods
from tests.e2e.dagster_client import ENDED
from tests.e2e.waiting import NotYet, until

if TYPE_CHECKING:
    from tests.e2e.cluster import Kube
    from tests.e2e.dagster_client import Dagster
    from tests.e2e.ledger import Ledger

NAMESPACE = "bulkhead-steps"
MOST_OF_A_STEP, MOST_OF_A_RUN, MOST = 2, 4, 100


@pytest.mark.timeout(600)
def test_fifty_steps_abreast_need_fewer_than_100_connections(
    kube: Kube, dagster: Dagster, endings: str, ledger: Ledger
) -> None:
    """PostgreSQL's own default is 100 for all."""
    run = dagster.launch(endings, "fifty_abreast")
    most: Counter[str] = Counter()
    together = 0

    def ended() -> bool | NotYet:
        nonlocal together
        now = ledger.connections()
        together = max(together, sum(now.values()))
        for address, count in now.items():
            most[address] = max(most[address], count)
        status = dagster.status(run)
        return status in ENDED or NotYet(status)

    until(ended, 480, f"run {run} to end")
    dagster.succeed(run)
    addresses = {
        pod.status.pod_ip: pods.STEP_KEY in pod.metadata.labels
        for pod in pods.of_run(kube, NAMESPACE, run)
    }
    of_steps = [most[address] for address, is_step in addresses.items() if is_step]
    of_run = [most[address] for address, is_step in addresses.items() if not is_step]
    print(f"at most {together} at once; of a step {max(of_steps)}, of the run {max(of_run)}")
    assert len(of_steps) == 50
    assert max(of_steps) <= MOST_OF_A_STEP
    assert max(of_run) <= MOST_OF_A_RUN
    assert together < MOST
