"""Jobs of a given shape, whose steps do next to nothing: what a step costs, and what fails once."""

import time
from collections.abc import Iterator
from typing import Any

import dagster as dg

LONGEST_SEQUENCE = 20
"""Steps that the job `sequence` has; a run may take fewer."""


class Steps(dg.Config):
    """How many steps, and how long each takes."""

    steps: int = 5
    seconds: float = 0.0


class Place(dg.Config):
    """One step's place among them."""

    number: int
    steps: int
    seconds: float


@dg.op(ins={"previous": dg.In(dg.Nothing)}, out=dg.Out(dg.Nothing, is_required=False))
def take_a_turn(config: Place) -> Iterator[dg.Output[None]]:
    """Take this step's time; the last of them yields nothing, so that the rest is skipped."""
    time.sleep(config.seconds)
    print(f"step {config.number} of {config.steps}")
    if config.number < config.steps:
        yield dg.Output(None)


@dg.config_mapping
def places(config: Steps) -> dict[str, Any]:
    """Give each step its place."""
    return {
        f"step_{number}": {
            "config": {"number": number, "steps": config.steps, "seconds": config.seconds}
        }
        for number in range(1, LONGEST_SEQUENCE + 1)
    }


@dg.graph(name="sequence", config=places)
def one_after_the_other() -> None:
    """Take turns."""
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
    """Make branches."""
    for number in range(1, config.steps + 1):
        yield dg.DynamicOutput(config.seconds, mapping_key=str(number))


@dg.op
def branch(seconds: float) -> float:
    """Take this branch's time."""
    time.sleep(seconds)
    return seconds


@dg.op
def fan_in(branches: list[float]) -> int:
    """Count the branches."""
    print(f"{len(branches)} branches")
    return len(branches)


@dg.graph
def side_by_side() -> None:
    """Run steps side by side, and one that waits for all of them."""
    fan_in(fan_out().map(branch).collect())


class Failures(dg.Config):
    """How often to fail."""

    failures: int = 1


@dg.op(retry_policy=dg.RetryPolicy(max_retries=3, delay=1))
def retry_then_succeed(context: dg.OpExecutionContext, config: Failures) -> int:
    """Fail at first, and succeed when that was often enough."""
    if context.retry_number < config.failures:
        raise RuntimeError(f"attempt {context.retry_number + 1} fails because it was told to")
    return context.retry_number


@dg.graph
def with_retries() -> None:
    """Run a step that fails at first."""
    retry_then_succeed()


# A graph's name must not be that of an op or a graph inside it; a job's may.
jobs = [
    in_a_row.to_job(name="sequence"),
    side_by_side.to_job(name="fan_out"),
    with_retries.to_job(name="retry_then_succeed"),
]
