"""What is measured: steps that do nothing, under three executors.

Two code locations load it: one for the jobs of Dagster's own executor and one for the rest, because
naming that executor imports the Kubernetes client into every step of the location.

Every step reports when its first line ran and, where it has a pod of its own, what that pod had
cost by then; the times of Dagster's own events come from the run's log.
"""

import os
import pathlib
import time

import dagster as dg


def _cpu_seconds() -> float:
    """CPU time of this container since it started: cgroup v2, else v1."""
    v2 = pathlib.Path("/sys/fs/cgroup/cpu.stat")
    if v2.exists():
        return int(v2.read_text().split()[1]) / 1e6
    return int(pathlib.Path("/sys/fs/cgroup/cpuacct/cpuacct.usage").read_text()) / 1e9


def _report(context: dg.OpExecutionContext, first_line: float) -> None:
    context.add_output_metadata({"first_line": first_line, "cpu_seconds": _cpu_seconds()})


@dg.op
def begin(context: dg.OpExecutionContext) -> int:
    first_line = time.time()
    _report(context, first_line)
    return 1


@dg.op
def go_on(context: dg.OpExecutionContext, count: int) -> int:
    first_line = time.time()
    _report(context, first_line)
    return count + 1


@dg.graph
def five_in_a_row() -> None:
    count = begin()
    for number in range(2, 6):
        count = go_on.alias(f"step_{number}")(count)


@dg.graph
def twenty_at_four() -> None:
    for number in range(1, 21):
        begin.alias(f"step_{number}")()


@dg.graph
def fifty_at_ten() -> None:
    for number in range(1, 51):
        begin.alias(f"step_{number}")()


GRAPHS = (five_in_a_row, twenty_at_four, fifty_at_ten)

if os.environ.get("BENCH_EXECUTOR") == "stock":
    from dagster_k8s import k8s_job_executor

    EXECUTORS = {"stock": k8s_job_executor}
else:
    # No executor is named for the first: it gets the platform's.
    EXECUTORS = {"bulkhead": None, "one_process": dg.in_process_executor}

defs = dg.Definitions(
    jobs=[
        graph.to_job(name=f"{graph.name}_{name}", executor_def=executor)
        for graph in GRAPHS
        for name, executor in EXECUTORS.items()
    ]
)
