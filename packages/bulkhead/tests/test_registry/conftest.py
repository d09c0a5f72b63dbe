"""The registry, and a repository of its own for each test."""

import re

import pytest
from packages.bulkhead.tests.registry_server import RegistryServer

from bulkhead.registry.client import Registry


@pytest.fixture
def repository(request: pytest.FixtureRequest) -> str:
    return f"tests/{re.sub('[^a-z0-9]+', '-', request.node.name.lower()).strip('-')}"


@pytest.fixture
def registry(image_registry: RegistryServer) -> Registry:
    return Registry(image_registry.host, plain_http=True, credentials=None, timeout=10)
