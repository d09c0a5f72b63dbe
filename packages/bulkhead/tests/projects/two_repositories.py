import dagster as dg


@dg.op
def nothing() -> None: ...


@dg.job
def first_job() -> None:
    nothing()


@dg.job(executor_def=dg.multiprocess_executor)
def second_job() -> None:
    nothing()


@dg.repository
def first() -> list[dg.JobDefinition]:
    return [first_job]


@dg.repository(default_executor_def=dg.in_process_executor)
def second() -> list[dg.JobDefinition]:
    return [first_job, second_job]
