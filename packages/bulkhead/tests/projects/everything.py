"""A project with definitions of every kind that a summary has."""

import dagster as dg

from bulkhead.steps import step_resources

DAYS = dg.DailyPartitionsDefinition("2024-01-01", timezone="Europe/Berlin")
HOURS = dg.HourlyPartitionsDefinition("2024-01-01-06:00", end_date="2025-01-01-00:00", end_offset=1)
COUNTRIES = dg.StaticPartitionsDefinition(["de", "fr", "it", "es", "pt", "nl"])
MANY = dg.StaticPartitionsDefinition([f"shop_{number}" for number in range(1001)])


@dg.asset(
    key_prefix="shop",
    group_name="raw",
    deps=["elsewhere"],
    partitions_def=DAYS,
    automation_condition=dg.AutomationCondition.eager(),
    op_tags=step_resources(memory="512Mi", cpu=0.5, max_memory="2Gi", timeout="30m"),
)
def orders() -> None: ...


@dg.asset(
    deps=[orders],
    partitions_def=dg.MultiPartitionsDefinition({"day": DAYS, "country": COUNTRIES}),
    automation_condition=~dg.AutomationCondition.in_progress() & dg.AutomationCondition.missing(),
)
def cube() -> None: ...


@dg.asset(
    partitions_def=dg.DynamicPartitionsDefinition(name="files"),
    op_tags={
        "dagster-k8s/config": {"container_config": {"resources": {"limits": {"memory": "16Gi"}}}}
    },
)
def files() -> None: ...


@dg.asset(partitions_def=HOURS)
def clicks() -> None: ...


@dg.asset(partitions_def=MANY)
def stock() -> None: ...


@dg.asset
def plain() -> None: ...


@dg.observable_source_asset
def seen() -> dg.DataVersion:
    return dg.DataVersion("1")


declared = dg.AssetSpec("declared", group_name="others")


@dg.asset_check(asset=cube, blocking=True)
def is_cubic() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


@dg.op(tags=step_resources(memory="1Gi"))
def emit() -> int:
    return 1


@dg.op(tags=step_resources(memory="256Mi"))
def add_one(value: int) -> int:
    return value + 1


@dg.graph
def inner(value: int) -> int:
    return add_one.alias("once")(value)


@dg.job
def graph_job() -> None:
    inner(emit())


@dg.job(partitions_def=COUNTRIES)
def greedy_job() -> None:
    emit.tag(step_resources(memory="4Gi"))()


asset_job = dg.define_asset_job("asset_job", selection=["plain", "shop/orders"])


@dg.sensor(
    jobs=[graph_job, greedy_job],
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def watch() -> dg.SkipReason:
    return dg.SkipReason("nothing new")


class Database(dg.ConfigurableResource):
    host: str


defs = dg.Definitions(
    assets=[orders, cube, files, clicks, stock, plain, seen, declared],
    asset_checks=[is_cubic],
    jobs=[graph_job, greedy_job, asset_job],
    schedules=[
        dg.ScheduleDefinition(
            name="nightly",
            job=asset_job,
            cron_schedule=["0 0 * * *", "0 5 * * *"],
            execution_timezone="Europe/Berlin",
            default_status=dg.DefaultScheduleStatus.RUNNING,
        ),
        dg.ScheduleDefinition(
            name="of_assets", target=dg.AssetSelection.assets("files"), cron_schedule="@daily"
        ),
    ],
    sensors=[watch],
    resources={"database": Database(host="localhost")},
)
