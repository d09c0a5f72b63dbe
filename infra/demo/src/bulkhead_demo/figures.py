"""Prints the results of the flow, from the metadata of the assets."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from bulkhead_demo.observed import Check, Figures

BAR = 40
"""Width of the longest bar."""

DAYS = 7


def show(console: Console, figures: Figures) -> None:
    """Print the orders, the forecast and its error, and the results of the checks."""
    for part in (_facts(figures), _next_week(figures), _checks(figures.checks)):
        if part is not None:
            console.print()
            console.print(part, soft_wrap=isinstance(part, Text))


def _facts(figures: Figures) -> Table:
    metadata = figures.metadata
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(justify="left", style="dim")
    table.add_column()
    orders = metadata.get("orders", {})
    table.add_row(
        "orders",
        f"{_number(orders.get('dagster/row_count'))}, {_number(orders.get('rows loaded'))} of "
        "them loaded just now",
    )
    days = metadata.get("daily_order_summary", {}).get("dagster/row_count")
    table.add_row("days", f"{_number(days)} with orders")
    model = metadata.get("order_forecast_model", {})
    table.add_row(
        "forecast",
        f"mean error {_decimal(model.get('mape'), 2)} % a day; repeating the last week: "
        f"{_decimal(model.get('naive_mape'), 2)} % (MAPE)",
    )
    shoppers = metadata.get("next_week_shoppers", {})
    naive = [shoppers[name] for name in ("recency_auc", "frequency_auc") if name in shoppers]
    table.add_row(
        "shoppers",
        f"who shops next week: AUC {_decimal(shoppers.get('auc'), 3)}; the better naive ranking: "
        f"{_decimal(max(naive, default=None), 3)}",
    )
    return table


def _next_week(figures: Figures) -> RenderableType | None:
    """Return bars of the expected orders of each day of the next week; None without a forecast."""
    days: Sequence[Mapping[str, Any]] = figures.metadata.get("predicted_orders", {}).get(
        "next_week", []
    )[:DAYS]
    if not days:
        return None
    most = max(float(day["orders"]) for day in days) or 1.0
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    for day in days:
        when = date.fromisoformat(str(day["order_date"])[:10])
        expected = float(day["orders"])
        bar = Text("█" * round(BAR * expected / most), style="cyan")
        table.add_row(f"{when:%a} {when}", f"{expected:.0f}", bar)
    return Group(Text("Expected orders", style="bold"), table)


def _checks(checks: Iterable[Check]) -> Text:
    counted = list(checks)
    passed = [check for check in counted if check.status == "SUCCEEDED"]
    wrong = [check for check in counted if check.status in {"FAILED", "EXECUTION_FAILED"}]
    warnings = [check for check in wrong if check.is_warning]
    rest = len(counted) - len(passed) - len(wrong)
    parts = [f"{len(passed)} passed", f"{len(wrong) - len(warnings)} failed"]
    parts += [f"{len(warnings)} warned"] if warnings else []
    parts += [f"{rest} not run on the latest data"] if rest else []
    text = Text(f"Checks: {', '.join(parts)}")
    for check in wrong:
        style = "yellow" if check.is_warning else "red"
        text.append(f"\n  {check.asset}: {check.name}", style=style)
        text.append("".join(f"\n    {line}" for line in check.description.splitlines()))
    return text


def _number(value: Any) -> str:  # noqa: ANN401 - any metadata value
    return f"{value:,}" if isinstance(value, int) else "?"


def _decimal(value: Any, places: int) -> str:  # noqa: ANN401 - the same
    return f"{value:.{places}f}" if isinstance(value, int | float) else "?"
