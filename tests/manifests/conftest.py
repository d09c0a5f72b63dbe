"""Fixtures of the tests that render the charts. None of them needs a cluster."""

from __future__ import annotations

import pytest
from tests.manifests import render


@pytest.fixture(params=render.cases(), ids=str)
def case(request: pytest.FixtureRequest) -> render.Case:
    """Every values file of the project with its chart."""
    return request.param


@pytest.fixture(params=render.cases(render.PLATFORM), ids=str)
def platform_case(request: pytest.FixtureRequest) -> render.Case:
    """Every values file of the platform's chart."""
    return request.param


@pytest.fixture(params=render.cases(render.LOCATION), ids=str)
def location_case(request: pytest.FixtureRequest) -> render.Case:
    """Every values file of the code location's chart."""
    return request.param


@pytest.fixture
def minimal() -> render.Case:
    """The platform with nothing but its images."""
    return render.Case(
        render.PLATFORM, render.PLATFORM / "ci" / "minimal.yaml", "bulkhead", "bulkhead"
    )


@pytest.fixture
def many_locations() -> render.Case:
    """The platform with code locations that use every setting."""
    return render.Case(
        render.PLATFORM, render.PLATFORM / "ci" / "many-locations.yaml", "bulkhead", "bulkhead"
    )


@pytest.fixture
def location() -> render.Case:
    """A code location with every setting."""
    return render.Case(
        render.LOCATION,
        render.LOCATION / "ci" / "everything.yaml",
        "forecasts",
        "bulkhead-forecasts",
    )
