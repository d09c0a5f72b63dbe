"""Jobs of a given shape with very short steps, and a job whose step is retried."""

import time
from collections.abc import Iterator
from typing import Any

import dagster as dg

LONGEST_SEQUENCE = 20
"""Number of steps of the job `sequence`; a run can use fewer."""


class Steps(dg.Config):
    """Number of steps, and duration of each."""

    steps: int = 5
    seconds: float = 0.0


class Position(dg.Config):
    """The position of a step."""

    number: int
    steps: int
    seconds: float


@dg.op(ins={"previous": dg.In(dg.Nothing)}, out=dg.Out(dg.Nothing, is_required=False))
def take_a_turn(config: Position) -> Iterator[dg.Output[None]]:
    """Sleep; the last used step yields no output, which skips the rest."""
    time.sleep(config.seconds)
    print(f"step {config.number} of {config.steps}")
    if config.number < config.steps:
        yield dg.Output(None)


@dg.config_mapping
def positions(config: Steps) -> dict[str, Any]:
    """Return the configuration of each step."""
    return {
        f"step_{number}": {
            "config": {"number": number, "steps": config.steps, "seconds": config.seconds}
        }
        for number in range(1, LONGEST_SEQUENCE + 1)
    }


@dg.graph(name="sequence", config=positions)
def one_after_the_other() -> None:
    """Run steps one after the other."""
    previous = None
    for number in range(1, LONGEST_SEQUENCE + 1):
        turn = take_a_turn.alias(f"step_{number}")
        previous = turn(previous) if previous else turn()


@dg.graph
def in_a_row() -> None:
    """Run steps in a row."""
    one_after_the_other()


@dg.op(out=dg.DynamicOut(float))
def fan_out(config: Steps) -> Iterator[dg.DynamicOutput[float]]:
    """Yield an output for each branch."""
    for number in range(1, config.steps + 1):
        yield dg.DynamicOutput(config.seconds, mapping_key=str(number))


@dg.op
def branch(seconds: float) -> float:
    """Sleep."""
    time.sleep(seconds)
    return seconds


@dg.op
def fan_in(branches: list[float]) -> int:
    """Count the branches."""
    print(f"{len(branches)} branches")
    return len(branches)


@dg.graph
def side_by_side() -> None:
    """Run steps in parallel, and a step that waits for all of them."""
    fan_in(fan_out().map(branch).collect())


class Failures(dg.Config):
    """Number of failed attempts."""

    failures: int = 1


@dg.op(retry_policy=dg.RetryPolicy(max_retries=3, delay=1))
def retry_then_succeed(context: dg.OpExecutionContext, config: Failures) -> int:
    """Fail a number of times, then succeed."""
    if context.retry_number < config.failures:
        raise RuntimeError(
            f"Attempt {context.retry_number + 1} fails: failures is {config.failures}."
        )
    return context.retry_number


@dg.graph
def with_retries() -> None:
    """Run a step that fails at first."""
    retry_then_succeed()


# A graph cannot have the name of an op or a graph inside it; a job can.
jobs = [
    in_a_row.to_job(name="sequence"),
    side_by_side.to_job(name="fan_out"),
    with_retries.to_job(name="retry_then_succeed"),
]
