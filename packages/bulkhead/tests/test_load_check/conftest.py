"""Interpreters with the oldest and the newest supported Dagster."""

import sys
from pathlib import Path

import pytest
from packages.bulkhead.tests.test_location.conftest import oldest_python


@pytest.fixture(scope="module", params=["oldest", "newest"])
def python(request: pytest.FixtureRequest) -> Path:
    """An interpreter with the named Dagster; the newest is the one that runs the tests."""
    return Path(sys.executable) if request.param == "newest" else oldest_python()
