"""A project as Dagster's tutorials make them: everything in one Definitions object."""

from collections.abc import Iterator

import dagster as dg

DAYS = dg.DailyPartitionsDefinition("2024-01-01")


@dg.asset
def raw() -> int:
    return 1


@dg.asset(partitions_def=DAYS)
def daily() -> int:
    return 2


@dg.multi_asset(outs={"left": dg.AssetOut(), "right": dg.AssetOut()})
def both(raw: int) -> Iterator[dg.Output[int]]:
    yield dg.Output(raw, "left")
    yield dg.Output(raw, "right")


@dg.asset_check(asset=raw)
def raw_is_positive() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


@dg.op
def emit() -> int:
    return 1


@dg.op
def add_one(value: int) -> int:
    return value + 1


@dg.job(tags={"team": "blue"}, metadata={"owner": "blue"})
def op_job() -> None:
    add_one(emit())


@dg.graph
def counting() -> None:
    add_one(emit())


graph_job = counting.to_job(name="graph_job")

asset_job = dg.define_asset_job("asset_job", selection=["raw", "left", "right"])

daily_job = dg.define_asset_job("daily_job", selection=["daily"], partitions_def=DAYS)


@dg.job
def job_of_schedule() -> None:
    emit()


@dg.job
def job_of_sensor() -> None:
    emit()


@dg.sensor(job=job_of_sensor)
def watch() -> dg.SkipReason:
    return dg.SkipReason("nothing new")


@dg.logger
def plain(_context: dg.InitLoggerContext):  # noqa: ANN201 - Dagster takes any logging.Logger
    import logging

    return logging.getLogger("plain")


defs = dg.Definitions(
    assets=[raw, daily, both],
    asset_checks=[raw_is_positive],
    jobs=[op_job, graph_job, asset_job, daily_job],
    schedules=[
        dg.ScheduleDefinition(job=job_of_schedule, cron_schedule="0 0 * * *"),
        dg.build_schedule_from_partitioned_job(daily_job),
    ],
    sensors=[watch],
    loggers={"plain": plain},
    metadata={"purpose": "test"},
)
