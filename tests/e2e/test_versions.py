"""Each code location has its own libraries and its own version of Dagster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e import hello, pods
from tests.e2e.installation import HELLO, HELLO_NAMESPACE

if TYPE_CHECKING:
    from tests.e2e.cluster import Kube
    from tests.e2e.dagster_client import Dagster

# Asks the interpreter of a code server; what a step runs on is the same image.
VERSIONS = """
from importlib.metadata import version
print(version("dagster"), version("pandas"))
"""

FLOW = "readings"
"""The job of `legacy` that passes data frames through fan-out and collect."""


@pytest.mark.timeout(300)
def test_two_locations_on_different_dagster_minors_and_pandas_run_side_by_side(
    kube: Kube, dagster: Dagster, registered: dict[str, Any], legacy: str
) -> None:
    versions = {
        name: _versions(kube, namespace, name)
        for name, namespace in {
            HELLO: HELLO_NAMESPACE,
            legacy: registered[legacy]["namespace"],
        }.items()
    }
    (new_dagster, new_pandas), (old_dagster, old_pandas) = versions[HELLO], versions[legacy]
    assert _minor(old_dagster) < _minor(new_dagster), versions
    assert _minor(old_pandas) != _minor(new_pandas), versions
    assert dagster.loaded(legacy).dagster == old_dagster
    assert dagster.loaded(HELLO).dagster == new_dagster

    old = dagster.launch(legacy, FLOW)
    dagster.started(old)
    new = dagster.launch(HELLO, hello.GREETING.job)
    dagster.succeed(old)
    dagster.succeed(new)
    times = [dagster.run(run) for run in (old, new)]
    metadata = dagster.metadata(old, "versions")
    assert [metadata["dagster"], metadata["pandas"]] == versions[legacy]
    assert max(t["startTime"] for t in times) < min(t["endTime"] for t in times), "one by one"


def _versions(kube: Kube, namespace: str, location: str) -> list[str]:
    (pod,) = (
        pod
        for pod in pods.of_deployment(kube, namespace, location)
        if not pod.metadata.deletion_timestamp
    )
    return pods.execute(kube, namespace, pod.metadata.name, ["python3", "-c", VERSIONS]).split()


def _minor(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


@pytest.mark.timeout(300)
def test_a_project_without_executor_and_io_manager_passes_data_frames_between_pods_with_retries(
    kube: Kube, dagster: Dagster, registered: dict[str, Any], legacy: str
) -> None:
    """Through fan-out and collect; a step that fails at first is retried."""
    namespace = registered[legacy]["namespace"]
    run = dagster.launch(legacy, FLOW)
    dagster.succeed(run)
    steps = {step["stepKey"] for step in dagster.run(run)["stepStats"]}
    mapped = {key for key in steps if "[" in key}
    assert len(mapped) == 3, steps
    # Every hour of four weeks, of three stations.
    assert dagster.metadata(run, "summarise")["rows"] == 24 * 28 * 3
    there = pods.step_pods(kube, namespace, run)
    assert {pod.metadata.annotations[pods.STEP_KEY] for pod in there} == steps
    assert len(there) > len(steps), "no step was retried in a pod of its own"
    assert "STEP_UP_FOR_RETRY" in [event.kind for event in dagster.events(run)]
