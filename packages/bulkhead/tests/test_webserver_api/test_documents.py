"""Dagster's own schema knows every document that is sent to it."""

import pytest
from dagster_graphql.schema import create_schema
from graphql import parse, validate

from bulkhead.webserver_api import daemons, definitions, runs, workspace

DOCUMENTS = {
    f"{module.__name__}.{name}": value
    for module in (daemons, definitions, runs, workspace)
    for name, value in vars(module).items()
    if isinstance(value, str) and value.startswith(("query ", "mutation "))
} | {
    "newest": runs.newest_document("jobName status repositoryOrigin { repositoryLocationName }"),
    "events": runs.events_document(
        "... on MessageEvent { message stepKey } ... on EngineEvent { ...entries }",
        "fragment entries on DisplayableEvent { metadataEntries { label } }",
    ),
}


def test_the_documents_of_all_modules_are_found() -> None:
    assert {name.rpartition(".")[2] for name in DOCUMENTS} == {
        *("DAEMONS", "STATUSES", "LAUNCH", "LOCATIONS", "RELOAD", "RELOAD_LOCATION"),
        *("LOAD_STATUSES", "ASSETS", "RUNNING", "newest", "events"),
        *("RUN", "JOB_TAGS", "REEXECUTE"),
    }


@pytest.mark.parametrize("name", DOCUMENTS)
def test_dagster_understands_every_document(name: str) -> None:
    assert validate(create_schema().graphql_schema, parse(DOCUMENTS[name])) == []
