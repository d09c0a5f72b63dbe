import dagster as dg


@dg.op
def hello() -> str:
    return "hello"


@dg.graph
def say() -> None:
    hello()
