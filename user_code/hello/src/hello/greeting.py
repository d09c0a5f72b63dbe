"""A job with two steps; the second depends on the first."""

import dagster as dg


@dg.op
def get_name() -> str:
    """Return the name to greet."""
    return "dagster"


@dg.op
def hello(name: str) -> None:
    """Print the greeting to the step's captured log."""
    print(f"Hello, {name}!")


@dg.job
def hello_dagster() -> None:
    """Greet Dagster."""
    hello(get_name())
