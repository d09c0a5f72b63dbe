"""One rule for the name of a code location: the same in Python and in the charts."""

import json
from pathlib import Path

import pytest

from bulkhead import location_name
from bulkhead.location_name import LocationNameError

CHARTS = Path(__file__).parents[3] / "charts"


def test_the_rule_is_that_of_the_charts() -> None:
    platform = json.loads((CHARTS / "bulkhead" / "values.schema.json").read_text())
    assert list(platform["properties"]["codeLocations"]["patternProperties"]) == [
        location_name.PATTERN
    ]
    assert platform["properties"]["codeLocations"]["additionalProperties"] is False
    location = json.loads((CHARTS / "code-location" / "values.schema.json").read_text())
    assert location["properties"]["codeLocation"]["pattern"] == f"^$|{location_name.PATTERN}"


@pytest.mark.parametrize(
    "name", ["a", "forecasts", "sales-eu", "a--b", "x2", "class", f"a{'b' * 48}c"]
)
def test_a_name_that_follows_the_rule_passes(name: str) -> None:
    location_name.check(name)


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("Sales_EU", "Try sales-eu."),
        ("2nd", "Try nd."),
        ("sales-", "Try sales."),
        ("-sales", "Try sales."),
        ("sales eu", "Try sales-eu."),
        ("../sales", "Try sales."),
        ("sales/eu", "Try sales-eu."),
        ("sales.eu", "Try sales-eu."),
        ("sales\n", "Try sales."),
        ("säle", "Try s-le."),
        ("a" * 51, f"Try {'a' * 50}."),
        ("", "Try a word such as forecasts."),
        ("42", "Try a word such as forecasts."),
    ],
)
def test_a_name_outside_the_rule_is_refused_with_the_rule_and_the_nearest_good_one(
    name: str, suggestion: str
) -> None:
    with pytest.raises(LocationNameError) as error:
        location_name.check(name)
    message = str(error.value)
    assert message.startswith(f"{name!r} is not a valid name of a code location.")
    assert f"1 to {location_name.LONGEST} lower-case letters, digits and dashes" in message
    assert message.endswith(suggestion)


def test_the_longest_name_has_a_default_namespace_that_kubernetes_accepts() -> None:
    assert location_name.default_namespace("ingestion") == "bulkhead-ingestion"
    assert len(location_name.default_namespace("a" * location_name.LONGEST)) <= 63
