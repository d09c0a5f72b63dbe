"""A name that passes gives a module that Python can import and that hides no other."""

import pytest

from bulkhead import location_name
from bulkhead.location_name import LocationNameError
from bulkhead.scaffold import module_name


@pytest.mark.parametrize(
    "name", ["a", "forecasts", "sales-eu", "a--b", "x2", "match", f"a{'b' * 48}c"]
)
def test_a_good_name_passes_and_its_module_is_importable(name: str) -> None:
    module_name.check(name)
    assert module_name.module_of(name).isidentifier()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("class", "is a keyword of Python"),
        ("import", "is a keyword of Python"),
        ("json", "would hide the module json of Python's standard library"),
        ("this", "would hide the module this of Python's standard library"),
        ("dagster", "is the name of an installed package"),
        ("dagster-k8s", "is the name of an installed package"),
        ("bulkhead", "is the name of an installed package"),
        # Its module is called otherwise, but pip would take one for the other.
        ("python-dateutil", "is the name of an installed package"),
        # Its package is called otherwise.
        ("dateutil", "is the name of an installed package"),
    ],
)
def test_a_name_that_would_hide_another_module_is_refused_with_another_one(
    name: str, why: str
) -> None:
    with pytest.raises(LocationNameError, match=why) as error:
        module_name.check(name)
    another = str(error.value).rsplit(" ", 1)[-1].rstrip(".")
    assert another == f"{name}-data"
    location_name.check(another)
    module_name.check(another)


def test_another_name_in_place_of_the_longest_follows_the_rule() -> None:
    another = module_name.another("a" * location_name.LONGEST)
    location_name.check(another)
    assert len(another) == location_name.LONGEST
