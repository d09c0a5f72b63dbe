"""The assets of this code location, with a partition per month, from the data up to its end.

scikit-learn, pandas and matplotlib are imported in the steps that need them: code server and run
pods load this module too, and would need 200 MiB more.
"""

import csv
import datetime as dt
from importlib.metadata import version
from typing import IO, TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from bulkhead.steps import step_resources
from ml import environment, tables
from ml.programs import FLYER_VERSION, Program, sidecar_tags
from ml.resources import FileStore, Warehouse

if TYPE_CHECKING:
    import pandas as pd

FORECAST_VERSION = "1"
"""Version of the forecast's features and model; a change marks older results as stale."""

SHOPPERS_VERSION = "1"
"""Version of the shoppers' features and model."""

DAILY_ORDER_SUMMARY = dg.AssetKey("daily_order_summary")
USER_WEEKS = dg.AssetKey("user_weeks")

FITTED_WITH = ("pandas", "scikit-learn")
"""Libraries whose versions are in each model's metadata: with others it may not load."""

LIKELIEST = 10
"""Households in the metadata."""

months = dg.MonthlyPartitionsDefinition(start_date="2017-04", end_date="2018-01", fmt="%Y-%m")
"""The months to forecast from; before April there are too few data."""

follow = (
    # For Dagster's own `eager`, an update is handled after any run, which may have read older data,
    # and after the daemon's first evaluation. Here it is handled only by a request. So assets that
    # are missing when this code location is added are requested at once.
    dg.AutomationCondition.eager().replace("handled", dg.AutomationCondition.newly_requested())
    & ~dg.AutomationCondition.any_deps_match(
        dg.AutomationCondition.any_checks_match(
            dg.AutomationCondition.check_failed(), blocking_only=True
        )
    )
).with_label("eager, unless a blocking check of an upstream asset failed")

common: dict[str, Any] = {
    "partitions_def": months,
    "owners": ["team:ml"],
    "tags": {"demo": "grocer"},
    # It requests only the latest month; earlier months are a backfill.
    "automation_condition": follow,
}


class Training(dg.Config):
    """Configuration of the training."""

    resamples: int = Field(
        default=200,
        ge=20,
        description="Number of bootstrap resamples of the days, for the uncertainty of the model. "
        "All of them are in memory at the same time: 20000 need about 1 GiB.",
    )


def table_metadata(table: tables.Table) -> dict[str, Any]:
    """Return the metadata of a table: its name and its columns."""
    columns = [dg.TableColumn(*column) for column in table.columns]
    return {
        "dagster/table_name": table.full_name,
        "dagster/column_schema": dg.TableSchema(columns=columns),
    }


@dg.asset(
    **common,
    group_name="forecasts",
    deps=[DAILY_ORDER_SUMMARY],
    kinds={"scikitlearn"},
    code_version=FORECAST_VERSION,
    check_specs=[
        dg.AssetCheckSpec(
            "better_than_naive",
            asset="order_forecast_model",
            description="Its error on the last 28 days is below that of repeating the week before.",
        )
    ],
    op_tags=step_resources(memory="640Mi", cpu="1", max_memory="2Gi"),
)
def order_forecast_model(
    context: dg.AssetExecutionContext, config: Training, warehouse: Warehouse, files: FileStore
) -> dg.MaterializeResult:
    """A model of the number of orders a day, fitted to the days before.

    Its features are the last seven days and the day of the week. Every version is kept in the file
    store with its metrics.
    """
    from ml import forecast, models, plots

    as_of = month_end(context)
    summary = warehouse.open().select(tables.DAILY_ORDERS, as_of=as_of)
    history = forecast.as_history(summary, as_of)
    evaluation = forecast.evaluate(history)
    card = models.Card(
        version=context.run.run_id,
        as_of=as_of.isoformat(),
        code_version=FORECAST_VERSION,
        data_version=data_version(context.instance, DAILY_ORDER_SUMMARY),
        mape=evaluation.mape,
        naive_mape=evaluation.naive_mape,
    )
    model = forecast.fit(history, config.resamples)
    where = models.save(files.open(), context.partition_key, model, card)
    picture = plots.as_markdown(plots.held_out(evaluation.days), "The held-out days")
    return dg.MaterializeResult(
        metadata={
            "mape": evaluation.mape,
            "naive_mape": evaluation.naive_mape,
            "held_out_days": dg.MetadataValue.md(picture),
            "days_known": int(history.count()),
            "resamples": config.resamples,
            "model": dg.MetadataValue.path(where),
            "daily_order_summary_version": card.data_version or "not known",
            **{library: version(library) for library in FITTED_WITH},
        },
        check_results=[
            better_than_naive(
                passed=evaluation.mape < evaluation.naive_mape,
                sentence=f"The mean error of the model is {evaluation.mape:.2f} % a day; that of "
                f"repeating the last week is {evaluation.naive_mape:.2f} %.",
                figures={"mape": evaluation.mape, "naive_mape": evaluation.naive_mape},
            )
        ],
    )


@dg.asset(
    **common,
    group_name="forecasts",
    deps=[order_forecast_model, DAILY_ORDER_SUMMARY],
    kinds={"python", "table"},
    code_version=FORECAST_VERSION,
    metadata=table_metadata(tables.PREDICTED_ORDERS),
)
def predicted_orders(
    context: dg.AssetExecutionContext, warehouse: Warehouse, files: FileStore
) -> dg.MaterializeResult:
    """The expected orders of each of the 30 days after the month, with an interval."""
    from ml import forecast, models, plots

    as_of = month_end(context)
    model, card = models.load_latest(files.open(), context.partition_key)
    predicted = forecast.predict(model)
    store = warehouse.open()
    store.replace(tables.PREDICTED_ORDERS, as_of, predicted)
    summary = store.select(tables.DAILY_ORDERS, as_of=as_of)
    picture = plots.ahead(forecast.as_history(summary, as_of), predicted)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(predicted),
            "days_to_come": dg.MetadataValue.md(plots.as_markdown(picture, "The days to come")),
            # The demo's command shows it as bars.
            "next_week": as_table(predicted.head(forecast.WEEK).astype({"order_date": str})),
            "orders": float(predicted["orders"].sum()),
            "model_version": card.version,
        }
    )


@dg.asset(
    **common,
    group_name="forecasts",
    deps=[predicted_orders],
    kinds={"shell"},
    code_version=FLYER_VERSION,
    op_tags=sidecar_tags(environment.flyer_image()),
)
def store_flyer(
    context: dg.AssetExecutionContext, warehouse: Warehouse, files: FileStore, program: Program
) -> dg.MaterializeResult:
    """A note for the stores: the five busiest of the forecast days.

    A shell script writes it, and reports to Dagster through Dagster Pipes.
    """
    predicted = warehouse.open().select(tables.PREDICTIONS_OF, as_of=month_end(context))
    with program.folder() as folder:
        with (folder / "predicted_orders.csv").open("w", newline="") as file:
            write_csv(file, predicted)
        result = program.run(context, folder).get_materialize_result()
        where = files.open().write(
            f"flyers/{context.partition_key}.md", (folder / "flyer.md").read_bytes()
        )
    return result._replace(metadata={**result.metadata, "file": dg.MetadataValue.path(where)})


@dg.asset(
    **common,
    group_name="shoppers",
    deps=[USER_WEEKS],
    kinds={"scikitlearn", "table"},
    code_version=SHOPPERS_VERSION,
    metadata=table_metadata(tables.NEXT_WEEK_SHOPPERS),
    check_specs=[
        dg.AssetCheckSpec(
            "better_than_naive",
            asset="next_week_shoppers",
            description="It ranks the households better than by last visit or by frequency.",
        )
    ],
    op_tags=step_resources(memory="640Mi", cpu="1", max_memory="1Gi"),
)
def next_week_shoppers(
    context: dg.AssetExecutionContext, warehouse: Warehouse
) -> dg.MaterializeResult:
    """The probability that each household shops in the first whole week after the month."""
    from ml import shoppers

    as_of = month_end(context)
    store = warehouse.open()
    rows = store.select(tables.USER_WEEKS, last_week=shoppers.last_known_week(as_of))
    weeks = shoppers.as_weeks(rows, as_of)
    evaluation = shoppers.evaluate(weeks)
    likely = shoppers.predict(weeks)
    store.replace(tables.NEXT_WEEK_SHOPPERS, as_of, likely)
    figures = {
        "auc": evaluation.auc,
        "recency_auc": evaluation.recency_auc,
        "frequency_auc": evaluation.frequency_auc,
    }
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(likely),
            "week": weeks.next_week.isoformat(),
            "shoppers_expected": float(likely["probability"].sum()),
            "likeliest": as_table(likely.head(LIKELIEST)),
            **figures,
        },
        check_results=[
            better_than_naive(
                passed=evaluation.auc > evaluation.naive_auc,
                sentence=f"The AUC of the model is {evaluation.auc:.3f}; that of the better naive "
                f"ranking is {evaluation.naive_auc:.3f} (last visit "
                f"{evaluation.recency_auc:.3f}, frequency {evaluation.frequency_auc:.3f}).",
                figures=figures,
            )
        ],
    )


def month_end(context: dg.AssetExecutionContext) -> dt.date:
    """Return the last day of a partition."""
    return context.partition_time_window.end.date() - dt.timedelta(days=1)


def data_version(instance: dg.DagsterInstance, key: dg.AssetKey) -> str | None:
    """Return the data version of an asset's latest materialization, if there is one."""
    event = instance.get_latest_materialization_event(key)
    if event is None or event.asset_materialization is None:
        return None
    return (event.asset_materialization.tags or {}).get("dagster/data_version")


def better_than_naive(
    *, passed: bool, sentence: str, figures: dict[str, float]
) -> dg.AssetCheckResult:
    """Return a check's result with both metrics."""
    return dg.AssetCheckResult(
        check_name="better_than_naive", passed=passed, description=sentence, metadata=figures
    )


def as_table(rows: "pd.DataFrame") -> dg.TableMetadataValue:
    """Return rows as table metadata."""
    records = rows.round(4).to_dict(orient="records")
    return dg.MetadataValue.table([dg.TableRecord(record) for record in records])


def write_csv(file: IO[str], predicted: "pd.DataFrame") -> None:
    """Write predicted orders and days of the week in the format of the flyer's program."""
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(["order_date", "weekday", "orders", "lower", "upper"])
    for day, *figures in predicted.itertuples(index=False):
        rows.writerow([f"{day:%Y-%m-%d}", f"{day:%A}", *(f"{figure:.1f}" for figure in figures)])
