"""Stock prices in Dagster: a job with a step per symbol, and assets with a partition per month."""

import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import dagster as dg
import pandas as pd

from hello import prices as logic

PRICES_WITH_A_GAP = Path(__file__).parent / "data" / "prices_with_a_gap.csv"

DROP_DIRECTORY = "HELLO_DROP_DIRECTORY"
"""Environment variable: the folder that the sensor watches."""


class PricesSource(dg.Config):
    """The source of the prices."""

    path: str | None = None
    """A CSV file with the columns symbol, date and price; absent: the prices of vega-datasets."""


@dg.op
def load_prices(config: PricesSource) -> pd.DataFrame:
    """Read the prices, unvalidated."""
    return logic.read_prices(Path(config.path) if config.path else None)


@dg.op
def validate_prices(loaded: pd.DataFrame) -> pd.DataFrame:
    """Return the prices if all cells are valid; fail with the invalid cells otherwise."""
    return _validated(loaded)


@dg.op(out=dg.DynamicOut(str))
def each_symbol(prices: pd.DataFrame) -> Iterator[dg.DynamicOutput[str]]:
    """Yield an output for each symbol."""
    for symbol in logic.symbols(prices):
        yield dg.DynamicOutput(symbol, mapping_key=symbol)


@dg.op
def describe_symbol(
    context: dg.OpExecutionContext, symbol: str, prices: pd.DataFrame
) -> logic.Description:
    """Compute the statistics of one symbol."""
    description = logic.describe(prices, symbol)
    context.add_output_metadata(description._asdict())
    return description


@dg.op
def summarise(
    context: dg.OpExecutionContext, descriptions: list[logic.Description]
) -> pd.DataFrame:
    """Collect the branches into one table, which the run shows in the Dagster UI."""
    summary = pd.DataFrame(descriptions).sort_values("change", ascending=False)
    context.add_output_metadata({"summary": dg.MetadataValue.md(_markdown(summary))})
    return summary


@dg.graph
def summarise_prices() -> None:
    """Load, validate, describe each symbol in its own step, collect."""
    prices = validate_prices(load_prices())
    summarise(each_symbol(prices).map(lambda symbol: describe_symbol(symbol, prices)).collect())


stocks = summarise_prices.to_job(
    name="stocks", description="Statistics of five technology stocks from 2000 to 2010."
)

stocks_with_a_gap = summarise_prices.to_job(
    name="stocks_with_a_gap",
    description="The same with a file that has an empty price: fails and names the line.",
    config=dg.RunConfig(ops={"load_prices": PricesSource(path=str(PRICES_WITH_A_GAP))}),
)

every_working_day = dg.ScheduleDefinition(
    name="every_working_day", job=stocks, cron_schedule="0 6 * * 1-5"
)


@dg.sensor(
    job=stocks,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def dropped_files() -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Run `stocks` for each file of prices in the folder, and again when it changes."""
    folder = Path(os.environ.get(DROP_DIRECTORY, "drop"))
    if not folder.is_dir():
        yield dg.SkipReason(f"The folder {folder} does not exist; it is set by {DROP_DIRECTORY}.")
        return
    files = sorted(folder.glob("[!.]*.csv"))
    if not files:
        yield dg.SkipReason(f"There is no .csv file in {folder}.")
    for file in files:
        # The content, not the time: a mounted volume may be rewritten without a change.
        content = sha256(file.read_bytes()).hexdigest()
        yield dg.RunRequest(
            run_key=f"{file.name}:{content}",
            run_config=dg.RunConfig(ops={"load_prices": PricesSource(path=str(file))}),
        )


@dg.asset(group_name="stocks", kinds={"pandas"})
def prices() -> dg.MaterializeResult[pd.DataFrame]:
    """Prices of five technology stocks at the start of each month, 2000 to 2010."""
    table = _validated(logic.read_prices(None))
    return dg.MaterializeResult(
        value=table,
        metadata={"dagster/row_count": len(table), "symbols": ", ".join(logic.symbols(table))},
    )


@dg.asset_check(asset=prices)
def no_month_is_missing(prices: pd.DataFrame) -> dg.AssetCheckResult:
    """Each symbol has a price for every month between its first and its last."""
    gaps = logic.missing_months(prices)
    return dg.AssetCheckResult(passed=not gaps, metadata={"missing": gaps})


@dg.asset(
    group_name="stocks",
    kinds={"pandas"},
    # February 2010 is the last month that is followed by another one.
    partitions_def=dg.MonthlyPartitionsDefinition(start_date="2000-01-01", end_date="2010-03-01"),
)
def monthly_returns(
    context: dg.AssetExecutionContext, prices: pd.DataFrame
) -> dg.MaterializeResult[pd.DataFrame]:
    """The return of each stock in one month."""
    returns = logic.returns_in(prices, pd.Timestamp(context.partition_key))
    return dg.MaterializeResult(
        value=returns, metadata={"returns": dg.MetadataValue.md(_markdown(returns))}
    )


def _validated(table: pd.DataFrame) -> pd.DataFrame:
    """Validate; a failure has the invalid cells as a table and is not retried."""
    try:
        return logic.validate(table)
    except logic.InvalidPricesError as error:
        raise dg.Failure(
            description=f"The prices are invalid: {error}. Fix the file and run the job again.",
            metadata={"cells": dg.MetadataValue.md(_markdown(error.cells))},
            allow_retries=False,
        ) from error


def _markdown(table: pd.DataFrame) -> str:
    """Return a table in Markdown, numbers with two decimals."""
    rows = [
        [f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row]
        for row in table.itertuples(index=False)
    ]
    head = [[str(name) for name in table.columns], ["---"] * len(table.columns)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [*head, *rows])
