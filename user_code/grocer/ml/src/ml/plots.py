"""Pictures for the Dagster UI: PNG, small enough for metadata."""

import base64
import io

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

INK, ACCENT, PALE = "#334155", "#0d9488", "#94a3b8"

SHOWN_DAYS = 60
"""Days before the forecast that its picture shows."""


def held_out(days: pd.DataFrame) -> bytes:
    """Draw what came on the held-out days, what the model expected and what the naive one did."""
    figure, axes = _picture("Orders per day, hidden from the model")
    axes.plot(days["order_date"], days["naive"], color=PALE, linestyle=":", label="last week again")
    axes.plot(days["order_date"], days["orders"], color=INK, label="came")
    axes.plot(days["order_date"], days["predicted"], color=ACCENT, label="expected")
    return _png(figure, axes)


def ahead(history: pd.Series, forecast: pd.DataFrame) -> bytes:
    """Draw the last days known and the days to come, with how sure they are."""
    figure, axes = _picture("Orders per day, and the 30 days to come")
    known = history[-SHOWN_DAYS:]
    axes.plot(known.index, known, color=INK, label="came")
    days = forecast["order_date"]
    axes.fill_between(
        days, forecast["lower"], forecast["upper"], color=ACCENT, alpha=0.2, label="8 days in 10"
    )
    axes.plot(days, forecast["orders"], color=ACCENT, label="expected")
    return _png(figure, axes)


def as_markdown(png: bytes, title: str) -> str:
    """Return a picture as Markdown that carries it along."""
    return f"![{title}](data:image/png;base64,{base64.b64encode(png).decode()})"


def _picture(title: str) -> tuple[Figure, Axes]:
    # Not pyplot: it keeps every figure in memory and needs a display.
    figure = Figure(figsize=(8, 3), dpi=80, layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, color=INK, loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)
    locator = AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    return figure, axes


def _png(figure: Figure, axes: Axes) -> bytes:
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=9, ncols=3, loc="lower left")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
