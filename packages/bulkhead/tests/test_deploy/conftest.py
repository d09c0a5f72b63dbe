"""A git repository, and an API server, for tests of deploys."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from packages.bulkhead.tests.clone import Clone
from packages.bulkhead.tests.kube_store import KubeStore
from packages.bulkhead.tests.registry_server import RegistryServer
from packages.bulkhead.tests.test_deploy.environment import Environment

from bulkhead.code_location.summary import Summary
from bulkhead.deploy.load_check import check
from bulkhead.deploy.load_check.errors import LoadCheckError
from bulkhead.deploy.load_check.progress import Stage
from bulkhead.registry.client import Registry


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path / "clone")


@pytest.fixture
def store() -> Iterator[KubeStore]:
    store = KubeStore()
    yield store
    store.stop()


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The images that load checks checked; every one loads. `test_load_check` has real ones."""
    checked: list[str] = []

    def run(_api: object, _namespace: str, pod: Mapping[str, Any], **_others: object) -> Summary:
        checked.append(pod["spec"]["containers"][0]["image"])
        return Summary()

    monkeypatch.setattr(check, "run", run)
    return checked


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch) -> str:
    """Why no load check succeeds."""
    reason = "ModuleNotFoundError: No module named 'shop'"

    def run(*_arguments: object, **_others: object) -> Summary:
        raise LoadCheckError("LoadError", Stage.LOADING, reason, is_of_the_code=True)

    monkeypatch.setattr(check, "run", run)
    return reason


def environment(
    name: str, clone: Clone, server: RegistryServer, request: pytest.FixtureRequest, folder: Path
) -> Iterator[Environment]:
    store = KubeStore()
    test = re.sub("[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
    registry = Registry(server.host, plain_http=True, credentials=None, timeout=10)
    yield Environment(name, store, clone, registry, f"{name}/{test}", folder)
    store.stop()


@pytest.fixture
def staging(
    clone: Clone, image_registry: RegistryServer, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Environment]:
    yield from environment("staging", clone, image_registry, request, tmp_path)


@pytest.fixture(scope="session")
def other_image_registry(
    registry_program: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RegistryServer]:
    server = RegistryServer(registry_program, tmp_path_factory.mktemp("registry"))
    yield server
    server.stop()


@pytest.fixture
def production(
    clone: Clone,
    other_image_registry: RegistryServer,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> Iterator[Environment]:
    yield from environment("production", clone, other_image_registry, request, tmp_path)
