"""Readings of weather stations, corrected station by station.

Nothing here says where a step runs or where its output goes.
"""

from collections.abc import Iterator

import dagster as dg
import numpy as np
import pandas as pd

STATIONS = ["harbour", "hill", "mill"]
HOURS = 24 * 28


@dg.op
def versions(context: dg.OpExecutionContext) -> None:
    """Say which libraries this code runs on."""
    print(f"dagster {dg.__version__}, pandas {pd.__version__}")
    context.add_output_metadata({"dagster": dg.__version__, "pandas": pd.__version__})


@dg.op
def read_stations() -> pd.DataFrame:
    """Read the temperatures of all stations, in degrees Celsius, for four weeks."""
    generator = np.random.default_rng(seed=7)
    hours = pd.date_range("2021-02-01", periods=HOURS, freq="H")
    daily = 4 * np.sin(np.arange(HOURS) * 2 * np.pi / 24)
    return pd.concat(
        pd.DataFrame(
            {
                "station": station,
                "hour": hours,
                "temperature": 5 + offset + daily + generator.normal(0, 1, HOURS),
            }
        )
        for offset, station in enumerate(STATIONS)
    )


@dg.op(retry_policy=dg.RetryPolicy(max_retries=2, delay=1))
def read_corrections(context: dg.OpExecutionContext) -> pd.DataFrame:
    """Read how far each station is off; the first attempt of each run finds nobody at home."""
    if context.retry_number == 0:
        raise ConnectionError("the server with the corrections does not answer")
    return pd.DataFrame({"station": STATIONS, "correction": [0.5, -0.5, 1.0]})


@dg.op(out=dg.DynamicOut(pd.DataFrame))
def each_station(readings: pd.DataFrame) -> Iterator[dg.DynamicOutput[pd.DataFrame]]:
    """Make a branch for each station."""
    for station, rows in readings.groupby("station"):
        yield dg.DynamicOutput(rows, mapping_key=str(station))


@dg.op
def correct(readings: pd.DataFrame, corrections: pd.DataFrame) -> pd.DataFrame:
    """Correct one station's temperatures."""
    both = readings.merge(corrections, on="station", validate="many_to_one")
    both["temperature"] += both.pop("correction")
    return both


@dg.op
def summarise(context: dg.OpExecutionContext, corrected: list[pd.DataFrame]) -> pd.DataFrame:
    """Gather the stations."""
    summary = pd.concat(corrected).groupby("station")["temperature"].describe()
    print(summary)
    context.add_output_metadata({"rows": int(summary["count"].sum())})
    return summary


@dg.job
def readings() -> None:
    """Read, correct each station on its own, gather."""
    versions()
    corrections = read_corrections()
    stations = each_station(read_stations())
    summarise(stations.map(lambda rows: correct(rows, corrections)).collect())


defs = dg.Definitions(jobs=[readings])
