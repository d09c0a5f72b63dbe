"""The figures at the end of the demo, and its GraphQL documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from dagster_graphql.schema import create_schema
from graphql import parse, validate

from bulkhead.webserver_api import runs
from bulkhead_demo import figures, flow, observed
from bulkhead_kind import webserver

if TYPE_CHECKING:
    import io

    from grocer import Grocer
    from rich.console import Console

    from bulkhead.webserver_api.client import GraphQLClient
    from bulkhead_demo.flow import Watch

DOCUMENTS = {
    name: getattr(module, name)
    for module, names in (
        (
            observed,
            (
                "CREATED",
                "DELETE_HISTORY",
                "FIGURES",
                "SENSORS",
                "SNAPSHOT",
                "START_SENSOR",
            ),
        ),
        (webserver, ("RUN",)),
    )
    for name in names
}
DOCUMENTS["EVENT_FIELDS"] = runs.events_document(observed.EVENT_FIELDS)


def test_orders_forecast_and_checks_are_printed(
    watch: Watch, console: Console, paper: io.StringIO
) -> None:
    flow.run_flow(watch)
    figures.show(console, observed.figures(watch.client))
    text = paper.getvalue()
    assert "155,848" in text
    assert "365 with orders" in text
    assert "mean error 4.30 % a day; repeating the last week: 5.60 %" in text
    assert "AUC 0.820; the better naive ranking: 0.730" in text
    assert "Mon 2018-01-01  401" in text
    assert "Sun 2018-01-07  407  ████" in text
    assert text.endswith("Checks: 1 passed, 0 failed\n")


def test_a_failed_check_is_shown_with_its_description(
    watch: Watch, grocer: Grocer, console: Console, paper: io.StringIO
) -> None:
    grocer.rejected = "dropped/x.csv, row 7: amount is missing"
    flow.run_flow(watch)
    figures.show(console, observed.figures(watch.client))
    assert "0 passed, 1 failed\n  offline_orders: every_row_is_readable\n" in paper.getvalue()
    assert "    dropped/x.csv, row 7: amount is missing" in paper.getvalue()


def test_missing_figures_are_shown_as_missing(
    client: GraphQLClient, console: Console, paper: io.StringIO
) -> None:
    figures.show(console, observed.figures(client))
    assert "mean error ? % a day" in paper.getvalue()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_document_is_valid_for_dagster(name: str) -> None:
    schema = create_schema()
    assert validate(schema.graphql_schema, parse(DOCUMENTS[name])) == []
