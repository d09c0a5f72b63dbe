"""Names neither executor nor IO manager; values pass between steps, some only known at run time."""

import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg


@dg.op(out=dg.DynamicOut(int))
def numbers() -> Iterator[dg.DynamicOutput[int]]:
    for number in (1, 2):
        yield dg.DynamicOutput(number, mapping_key=str(number))


@dg.op
def square(number: int) -> int:
    return number * number


@dg.op(
    retry_policy=dg.RetryPolicy(max_retries=1),
    config_schema={"attempts_file": str},
    tags={"dagster-k8s/config": {"container_config": {"resources": {"limits": {"cpu": "1"}}}}},
)
def add_at_second_attempt(context: dg.OpExecutionContext, squares: list[int]) -> int:
    with Path(context.op_config["attempts_file"]).open("a") as file:
        file.write("attempt\n")
    if context.retry_number == 0:
        raise RuntimeError("not yet")
    return sum(squares)


@dg.op
def report(context: dg.OpExecutionContext, total: int) -> None:
    costly = {"boto3", "dagster_aws", "dagster_k8s", "kubernetes"}
    context.add_output_metadata({"total": total, "costly imports": sorted(costly & {*sys.modules})})


@dg.job
def fan_out() -> None:
    report(add_at_second_attempt(numbers().map(square).collect()))


@dg.op(config_schema={"started_file": str, "go_file": str})
def wait(context: dg.OpExecutionContext) -> int:
    """Tell that it started, then work until told to end."""
    import time

    with Path(context.op_config["started_file"]).open("a") as file:
        file.write("started\n")
    while not Path(context.op_config["go_file"]).exists():
        time.sleep(0.05)
    return 7


@dg.job
def long_step() -> None:
    report(wait())


@dg.op
def look_into_dagster_home(context: dg.OpExecutionContext) -> None:
    if not dg.DagsterInstance.get().has_run(context.run_id):
        raise LookupError(f"run {context.run_id} is not in the instance at DAGSTER_HOME")


@dg.job
def own_instance() -> None:
    look_into_dagster_home()


@dg.asset
def upstream() -> int:
    return 1


@dg.asset
def downstream(upstream: int) -> int:
    return upstream + 1


defs = dg.Definitions(assets=[upstream, downstream], jobs=[fan_out, long_step, own_instance])
