"""Summaries of a code location, and small changes of them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bulkhead.code_location.summary import (
    Asset,
    Check,
    Job,
    Partitions,
    Resource,
    Schedule,
    Sensor,
    Step,
    Summary,
)


def daily(start: str = "2024-01-01", end: str | None = None, zone: str = "UTC") -> Partitions:
    span = f"from {start}" + (f" to {end}" if end else "")
    return Partitions(
        "time",
        f"daily {span} ({zone})",
        start=f"{start}T00:00:00+00:00",
        end=end and f"{end}T00:00:00+00:00",
        schedule=f"daily, {zone}",
    )


def static(*keys: str) -> Partitions:
    return Partitions("static", f"static {', '.join(keys)}", keys=keys)


def multi(**dimensions: Partitions) -> Partitions:
    return Partitions("multi", f"multi of {' and '.join(dimensions)}", dimensions=dimensions)


BEFORE = Summary(
    location="shop",
    jobs={"nightly": Job(ops=("load",)), "refresh": Job(assets=("orders",))},
    assets={
        "elsewhere": Asset(execution="external"),
        "orders": Asset(deps=("elsewhere",), group="raw"),
        "totals": Asset(deps=("orders",), partitions="days"),
    },
    checks={"orders:is_fresh": Check("orders")},
    schedules={"at_night": Schedule(("0 0 * * *",), target="nightly")},
    sensors={"watch": Sensor(("nightly",), interval=30)},
    resources={"database": Resource("shop.Database")},
    partitions={"days": daily()},
    steps={"load": Step(memory="1Gi")},
)
COUNTS = "2 jobs, 3 assets, 1 check, 1 schedule, 1 sensor"
"""Of BEFORE."""


def changed(**fields: Mapping[str, Any]) -> Summary:
    """BEFORE with other items; None removes one."""
    return replace(
        BEFORE,
        **{
            kind: {
                name: item
                for name, item in {**getattr(BEFORE, kind), **items}.items()
                if item is not None
            }
            for kind, items in fields.items()
        },
    )
