import dagster as dg


@dg.op
def nothing() -> None: ...


@dg.job
def only_job() -> None:
    nothing()
