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
    """Where the prices come from."""

    path: str | None = None
    """A CSV file with the columns symbol, date and price; absent: those of vega-datasets."""


@dg.op
def load_prices(config: PricesSource) -> pd.DataFrame:
    """Read the prices as they are."""
    return logic.read_prices(Path(config.path) if config.path else None)


@dg.op
def validate_prices(loaded: pd.DataFrame) -> pd.DataFrame:
    """Let the prices pass if each cell is as it must be, else name those that are not."""
    return _validated(loaded)


@dg.op(out=dg.DynamicOut(str))
def each_symbol(prices: pd.DataFrame) -> Iterator[dg.DynamicOutput[str]]:
    """Make a branch for each symbol."""
    for symbol in logic.symbols(prices):
        yield dg.DynamicOutput(symbol, mapping_key=symbol)


@dg.op
def describe_symbol(
    context: dg.OpExecutionContext, symbol: str, prices: pd.DataFrame
) -> logic.Description:
    """Compute what became of one symbol."""
    description = logic.describe(prices, symbol)
    context.add_output_metadata(description._asdict())
    return description


@dg.op
def summarise(
    context: dg.OpExecutionContext, descriptions: list[logic.Description]
) -> pd.DataFrame:
    """Gather the branches into one table, to be seen in the run's page."""
    summary = pd.DataFrame(descriptions).sort_values("change", ascending=False)
    context.add_output_metadata({"summary": dg.MetadataValue.md(_markdown(summary))})
    return summary


@dg.graph
def summarise_prices() -> None:
    """Load, validate, describe each symbol on its own, gather."""
    prices = validate_prices(load_prices())
    summarise(each_symbol(prices).map(lambda symbol: describe_symbol(symbol, prices)).collect())


stocks = summarise_prices.to_job(
    name="stocks", description="What became of five technology stocks from 2000 to 2010."
)

stocks_with_a_gap = summarise_prices.to_job(
    name="stocks_with_a_gap",
    description="The same on a file with an empty price: it fails and names the line.",
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
    """Summarise each file of prices that is put into the folder, and again when it changes."""
    folder = Path(os.environ.get(DROP_DIRECTORY, "drop"))
    if not folder.is_dir():
        yield dg.SkipReason(f"There is no folder {folder}; {DROP_DIRECTORY} names it.")
        return
    files = sorted(folder.glob("[!.]*.csv"))
    if not files:
        yield dg.SkipReason(f"No .csv file is in {folder}.")
    for file in files:
        # The content, not the time: a mounted volume may be written anew with nothing changed.
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
    # The last month with a following one to compare with is February 2010.
    partitions_def=dg.MonthlyPartitionsDefinition(start_date="2000-01-01", end_date="2010-03-01"),
)
def monthly_returns(
    context: dg.AssetExecutionContext, prices: pd.DataFrame
) -> dg.MaterializeResult[pd.DataFrame]:
    """What each stock gained in one month."""
    returns = logic.returns_in(prices, pd.Timestamp(context.partition_key))
    return dg.MaterializeResult(
        value=returns, metadata={"returns": dg.MetadataValue.md(_markdown(returns))}
    )


def _validated(table: pd.DataFrame) -> pd.DataFrame:
    """Validate; a failure shows the wrong cells as a table and is not worth a retry."""
    try:
        return logic.validate(table)
    except logic.InvalidPricesError as error:
        raise dg.Failure(
            description=f"The prices can't be used: {error}. Correct the file and run again.",
            metadata={"cells": dg.MetadataValue.md(_markdown(error.cells))},
            allow_retries=False,
        ) from error


def _markdown(table: pd.DataFrame) -> str:
    """A table in Markdown, numbers with two decimals."""
    rows = [
        [f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row]
        for row in table.itertuples(index=False)
    ]
    head = [[str(name) for name in table.columns], ["---"] * len(table.columns)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [*head, *rows])
