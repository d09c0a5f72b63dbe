import dagster as dg


@dg.op
def nothing() -> None: ...


@dg.graph
def only_graph() -> None:
    nothing()
