"""A name that passes is one that the charts accept and that Python can import."""

import json
from pathlib import Path

import pytest

from bulkhead.scaffold import location_name
from bulkhead.scaffold.location_name import LocationNameError

CHARTS = Path(__file__).parents[4] / "charts"


def test_the_rule_is_that_of_the_charts() -> None:
    platform = json.loads((CHARTS / "bulkhead" / "values.schema.json").read_text())
    assert list(platform["properties"]["codeLocations"]["patternProperties"]) == [
        location_name.PATTERN
    ]
    location = json.loads((CHARTS / "code-location" / "values.schema.json").read_text())
    assert location["properties"]["codeLocation"]["pattern"] == f"^$|{location_name.PATTERN}"


@pytest.mark.parametrize(
    "name", ["a", "forecasts", "sales-eu", "a--b", "x2", "match", f"a{'b' * 48}c"]
)
def test_a_good_name_passes_and_its_module_is_importable(name: str) -> None:
    location_name.check(name)
    assert location_name.module_of(name).isidentifier()


@pytest.mark.parametrize(
    ("name", "suggested"),
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
    name: str, suggested: str
) -> None:
    with pytest.raises(LocationNameError) as error:
        location_name.check(name)
    said = str(error.value)
    assert said.startswith(repr(name))
    assert "1 to 50 lower-case letters, digits and dashes" in said
    assert said.endswith(suggested)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("class", "is a word of Python's own"),
        ("import", "is a word of Python's own"),
        ("json", "would hide the module json of Python itself"),
        ("this", "would hide the module this of Python itself"),
        ("dagster", "is the name of a package that is installed here"),
        ("dagster-k8s", "is the name of a package that is installed here"),
        ("bulkhead", "is the name of a package that is installed here"),
        # Its module is called otherwise, but pip would take one for the other.
        ("python-dateutil", "is the name of a package that is installed here"),
        # Its package is called otherwise.
        ("dateutil", "is the name of a package that is installed here"),
    ],
)
def test_a_name_that_would_hide_another_module_is_refused_with_another_one(
    name: str, why: str
) -> None:
    with pytest.raises(LocationNameError, match=why) as error:
        location_name.check(name)
    another = str(error.value).rsplit(" ", 1)[-1].rstrip(".")
    assert another == f"{name}-data"
    location_name.check(another)
