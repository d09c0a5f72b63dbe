"""The figures as Markdown tables, for the README."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.bench.measure import Figures

COLUMNS = {
    "bulkhead": "Bulkhead",
    "stock": "`k8s_job_executor`",
    "one_process": "one process",
}


def tables(
    figures: Mapping[tuple[str, str], Sequence[Figures]],
    memory: Mapping[str, float],
    about: str,
    never_ended: int,
) -> str:
    """Every table.

    Args:
        figures: runs by name of the graph and of the executor.
        memory: MiB by component.
        about: one sentence on where and how it was measured.
        never_ended: how many runs of `k8s_job_executor` never ended.
    """
    hung = f"Runs of `k8s_job_executor` that never ended, and were repeated: {never_ended}."
    lines = [about, "", *_times(figures), "", hung, "", *_memory(memory), ""]
    return "\n".join(lines)


def _times(figures: Mapping[tuple[str, str], Sequence[Figures]]) -> list[str]:
    def row(what: str, graph: str, pick: str, unit: str) -> str:
        values = {
            name: [value for run in figures[graph, name] for value in _flat(getattr(run, pick))]
            for name in COLUMNS
        }
        cells = [_cell(values[name], unit) for name in COLUMNS]
        return f"| {what} | {' | '.join(cells)} | {_ratio(values['bulkhead'], values['stock'])} |"

    five, twenty, fifty = "five_in_a_row", "twenty_at_four", "fifty_at_ten"
    return [
        f"| median [min to max] | {' | '.join(COLUMNS.values())} | Bulkhead ÷ stock |",
        "|---|---|---|---|---|",
        row("launch → run start", five, "launch_to_start", "s"),
        row("run start → first line of user code", five, "start_to_user_code", "s"),
        row("step's end → next step's first line", five, "between_steps", "s"),
        row("CPU of a step's pod", five, "cpu", "s"),
        row("whole run, 5 steps in a row", five, "whole", "s"),
        row("whole run, 20 steps, 4 at a time", twenty, "whole", "s"),
        row("whole run, 50 steps, 10 at a time", fifty, "whole", "s"),
    ]


def _memory(memory: Mapping[str, float]) -> list[str]:
    rows = [f"| {component} | {mebibytes:.0f} Mi |" for component, mebibytes in memory.items()]
    return ["| idle | memory |", "|---|---|", *rows]


def _flat(value: float | tuple[float, ...]) -> list[float]:
    return list(value) if isinstance(value, tuple) else [value]


def _cell(values: Sequence[float], unit: str) -> str:
    if not values:
        return "-"
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.2f} {unit} [{low:.2f} to {high:.2f}]"


def _ratio(ours: Sequence[float], theirs: Sequence[float]) -> str:
    if not ours or not theirs:
        return "-"
    return f"{statistics.median(ours) / statistics.median(theirs):.2f}"
