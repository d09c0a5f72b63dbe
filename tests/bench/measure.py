"""Figures of one run, and of the idle platform."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.e2e.cluster import listed
from tests.e2e.waiting import NotInTimeError

if TYPE_CHECKING:
    from tests.e2e.cluster import Kube
    from tests.e2e.dagster_client import Dagster


LONGEST_RUN_SECONDS = 300.0
"""More than twice what the longest run takes under `k8s_job_executor`."""


class NeverEndedError(Exception):
    """A run did not end within LONGEST_RUN_SECONDS; it was terminated."""


@dataclass(frozen=True)
class Figures:
    """One run, in seconds."""

    launch_to_start: float
    """From the click to the run's own start."""
    start_to_user_code: float
    """From the run's start to the first line of its first step."""
    between_steps: tuple[float, ...]
    """From each step's end to the first line of the next: of steps in a row only."""
    whole: float
    """From the click to the end of the run."""
    cpu: tuple[float, ...]
    """CPU-seconds of each step's pod by the end of its code; none where steps share a pod."""


def run(dagster: Dagster, location: str, job: str, *, concurrency: int, pods: bool) -> Figures:
    """Run a job of `definitions.py` to its end and measure it.

    Args:
        dagster: the platform.
        location: the code location that has the job.
        job: its name.
        concurrency: how many of its steps have a pod at the same time; with 1 they run one by one.
        pods: each step has a pod of its own, so that the pod's CPU time is the step's.

    Raises:
        NeverEndedError: it did not end in time.
    """
    in_a_row = concurrency == 1
    limit = {"execution": {"config": {"max_concurrent": concurrency}}}
    config = {} if in_a_row or not pods else limit
    run_id = dagster.launch(location, job, config)
    try:
        dagster.succeed(run_id, timeout=LONGEST_RUN_SECONDS)
    except NotInTimeError as error:
        dagster.terminate(run_id)
        raise NeverEndedError(f"Run {run_id} of {job} did not end: {error}") from error
    shown = dagster.run(run_id)
    events = dagster.events(run_id)
    reported = [e for e in events if e.kind == "STEP_OUTPUT"]
    first_lines = {e.step: e.metadata["first_line"] for e in reported}
    ends = {e.step: e.time for e in events if e.kind == "STEP_SUCCESS"}
    order = sorted(first_lines, key=first_lines.__getitem__)
    return Figures(
        launch_to_start=shown["startTime"] - shown["creationTime"],
        start_to_user_code=first_lines[order[0]] - shown["startTime"],
        between_steps=tuple(
            first_lines[later] - ends[earlier]
            for earlier, later in itertools.pairwise(order)
            if in_a_row
        ),
        whole=shown["endTime"] - shown["creationTime"],
        cpu=tuple(e.metadata["cpu_seconds"] for e in reported) if pods else (),
    )


def idle_memory(kube: Kube, namespaces: dict[str, str]) -> dict[str, float]:
    """Working set in MiB of each container of long-lived pods, as the kubelet reports it.

    Args:
        kube: the cluster.
        namespaces: prefix of the container's name, by namespace.

    Returns:
        MiB by `<prefix><component>/<container>`.
    """
    components = {
        (namespace, pod.metadata.name): f"{prefix}{_component(pod)}"
        for namespace, prefix in namespaces.items()
        for pod in kube.core.list_namespaced_pod(namespace).items
        if pod.status.phase == "Running"
        and not any(o.kind == "Job" for o in listed(pod.metadata.owner_references))
    }
    found: dict[str, float] = {}
    for node in kube.core.list_node().items:
        path = f"/api/v1/nodes/{node.metadata.name}/proxy/stats/summary"
        for pod in kube.request("GET", path)["pods"]:
            at = (pod["podRef"]["namespace"], pod["podRef"]["name"])
            for container in listed(pod.get("containers")) if at in components else []:
                memory: dict[str, int] = container.get("memory", {})
                used = memory.get("workingSetBytes", 0)
                found[f"{components[at]}/{container['name']}"] = used / 2**20
    return dict(sorted(found.items()))


def _component(pod: Any) -> str:
    labels: dict[str, str] = pod.metadata.labels or {}
    name: str = pod.metadata.name
    return labels.get("app.kubernetes.io/component", name)
