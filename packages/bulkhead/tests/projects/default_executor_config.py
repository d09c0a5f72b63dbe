"""Jobs that set up Dagster's default executor without naming it."""

import dagster as dg


@dg.op
def emit() -> int:
    return 20


@dg.op
def add_one(value: int) -> int:
    return value + 1


@dg.job(config={"execution": {"config": {"multiprocess": {"max_concurrent": 2}}}})
def with_processes() -> None:
    add_one(emit())


@dg.job(config={"execution": {"config": {"in_process": {}}}})
def in_one_process() -> None:
    add_one(emit())


defs = dg.Definitions(jobs=[with_processes, in_one_process])
