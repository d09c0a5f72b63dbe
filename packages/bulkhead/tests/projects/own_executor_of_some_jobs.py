import dagster as dg


@dg.op
def nothing() -> None: ...


@dg.job
def job_without() -> None:
    nothing()


@dg.job(executor_def=dg.in_process_executor)
def job_with() -> None:
    nothing()


defs = dg.Definitions(jobs=[job_without, job_with])
