"""The figures that the demo ends with, and the documents with which it asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from dagster_graphql.schema import create_schema
from graphql import parse, validate

from bulkhead_demo import figures, flow, observed
from bulkhead_kind import page

if TYPE_CHECKING:
    import io

    from grocer import Grocer
    from rich.console import Console

    from bulkhead_demo.flow import Watch

DOCUMENTS = {
    name: getattr(module, name)
    for module, names in (
        (observed, ("NOW", "CREATED", "FIGURES", "SENSORS", "START_SENSOR", "EVENTS")),
        (page, ("LAUNCH", "LOCATIONS", "RUN")),
    )
    for name in names
}


def test_orders_forecast_and_checks_are_printed(
    watch: Watch, grocer: Grocer, console: Console, paper: io.StringIO
) -> None:
    flow.play(watch)
    figures.show(console, observed.figures(grocer))
    text = paper.getvalue()
    assert "155,848" in text
    assert "365 with orders" in text
    assert "4.30 %, repeating the last week by 5.60 %" in text
    assert "AUC 0.820, the better naive order 0.730" in text
    assert "Mon 2018-01-01  401" in text
    assert "Sun 2018-01-07  407  ████" in text
    assert text.endswith("Checks: 1 passed, 0 failed\n")


def test_a_failed_check_is_named_with_what_it_says(
    watch: Watch, grocer: Grocer, console: Console, paper: io.StringIO
) -> None:
    grocer.rejected = "dropped/x.csv, row 7: amount is missing"
    flow.play(watch)
    figures.show(console, observed.figures(grocer))
    assert "0 passed, 1 failed\n  offline_orders: every_row_is_readable\n" in paper.getvalue()
    assert "    dropped/x.csv, row 7: amount is missing" in paper.getvalue()


def test_figures_that_no_asset_tells_are_not_made_up(
    grocer: Grocer, console: Console, paper: io.StringIO
) -> None:
    figures.show(console, observed.figures(grocer))
    assert "misses a day by ? %" in paper.getvalue()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_dagster_understands_every_document(name: str) -> None:
    schema = create_schema()
    graphql = getattr(schema, "graphql_schema", None)
    assert validate(graphql, parse(DOCUMENTS[name])) == []
