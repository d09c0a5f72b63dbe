"""The smallest job with two steps that depend on each other."""

import dagster as dg


@dg.op
def get_name() -> str:
    """Say whom to greet."""
    return "dagster"


@dg.op
def hello(name: str) -> None:
    """Greet, where the step's captured log shows it."""
    print(f"Hello, {name}!")


@dg.job
def hello_dagster() -> None:
    """Greet Dagster."""
    hello(get_name())
