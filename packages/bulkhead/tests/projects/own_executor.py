import dagster as dg


@dg.op
def nothing() -> None: ...


@dg.job
def job_without() -> None:
    nothing()


@dg.job(executor_def=dg.multiprocess_executor)
def job_with() -> None:
    nothing()


@dg.asset
def thing() -> int:
    return 1


asset_job_with = dg.define_asset_job(
    "asset_job_with", selection=[thing], executor_def=dg.multiprocess_executor
)

defs = dg.Definitions(
    assets=[thing], jobs=[job_without, job_with, asset_job_with], executor=dg.in_process_executor
)
