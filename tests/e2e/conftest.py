"""Fixtures: the cluster, the platform, code locations.

`make kind-test` installs the platform (release and namespace `bulkhead`) and the code location
`hello` before the tests. These fixtures create everything else at its first use.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest
import yaml
from tests.e2e import cluster, diagnostics, team_code
from tests.e2e.cluster import Kube
from tests.e2e.dagster_client import Dagster, web_server_of
from tests.e2e.helm import Helm
from tests.e2e.installation import (
    PLATFORM,
    SPARE_PLATFORM,
    Installation,
    bare_values,
    hello_values,
)
from tests.e2e.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

EXTRA = Path(__file__).with_name("platform-extra.yaml")
STEPS_CODE = Path(__file__).with_name("steps_code.py")
LOCATION_FOLDERS = Path(__file__).with_name("locations")

_PLATFORMS = pytest.StashKey[list[Dagster]]()
_KUBE = pytest.StashKey[Kube]()


class MakeNamespace(Protocol):
    """Creates a namespace that exists as long as the test."""

    def __call__(self, labels: dict[str, str] | None = None) -> str:
        """Return the name of a new namespace with these labels and those of PodSecurity."""
        ...


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Collect logs and events when a test fails, before its fixtures clean up."""
    report = yield
    kube = item.config.stash.get(_KUBE, None)
    if report.failed and call.when != "teardown" and kube:
        platforms = item.config.stash.get(_PLATFORMS, list[Dagster]())
        try:
            folder = diagnostics.collect(item.name, kube, platforms, report.longreprtext)
        except Exception as error:  # noqa: BLE001 - the test's own failure must be reported
            report.sections.append(("diagnosis", f"failed: {error!r}"))
        else:
            report.sections.append(("diagnosis", f"collected in {folder}"))
    return report


@pytest.fixture(autouse=True)
def own_runs(request: pytest.FixtureRequest) -> None:
    """Forget the runs of earlier tests, so that a failure shows only its own."""
    for dagster in request.config.stash.get(_PLATFORMS, list[Dagster]()):
        dagster.launched.clear()


@pytest.fixture(scope="session")
def kube(pytestconfig: pytest.Config) -> Kube:
    """The Kubernetes API, as the admin."""
    pytestconfig.stash[_KUBE] = cluster.connect()
    return pytestconfig.stash[_KUBE]


@pytest.fixture(scope="session")
def helm() -> Helm:
    """Helm, as the admin."""
    return Helm()


@pytest.fixture(scope="session")
def tools_image() -> str:
    """An image with a shell and Python, for the pods of tests."""
    return cluster.images()["hello"]


@pytest.fixture
def make_namespace(kube: Kube) -> Iterator[MakeNamespace]:
    """A function that creates namespaces; they are deleted when the test ends."""
    made: list[str] = []

    def make(labels: dict[str, str] | None = None) -> str:
        name = f"bulkhead-e2e-{uuid.uuid4().hex[:8]}"
        made.append(cluster.create_namespace(kube, name, labels))
        return name

    yield make
    for name in made:
        cluster.delete_namespace(kube, name)


@pytest.fixture
def namespace(make_namespace: MakeNamespace) -> str:
    """A new namespace for the test."""
    return make_namespace()


@pytest.fixture(scope="session")
def platform(kube: Kube, helm: Helm, pytestconfig: pytest.Config) -> Installation:
    """The platform that `make up` installed."""
    return _installation(PLATFORM, PLATFORM, kube, helm, pytestconfig)


@pytest.fixture(scope="session")
def dagster(platform: Installation) -> Dagster:
    """GraphQL of the platform that `make up` installed."""
    return platform.dagster


@pytest.fixture(scope="session")
def registered(platform: Installation) -> Iterator[dict[str, Any]]:
    """The code locations of `platform-extra.yaml`, registered; their settings by name."""
    extra = yaml.safe_load(EXTRA.read_text())["codeLocations"]
    platform.register(extra)
    yield extra
    platform.unregister(extra)


@pytest.fixture(scope="session")
def legacy(platform: Installation, registered: dict[str, Any]) -> str:
    """A code location on an older Dagster and pandas; its code does not mention Kubernetes."""
    values = yaml.safe_load((LOCATION_FOLDERS / "legacy" / "values.yaml").read_text())
    platform.deploy("legacy", registered["legacy"]["namespace"], "legacy", values)
    platform.dagster.loaded("legacy")
    return "legacy"


@pytest.fixture(scope="session")
def small(platform: Installation, registered: dict[str, Any]) -> str:
    """The code of `hello` with a low ceiling and a low quota."""
    platform.deploy("small", registered["small"]["namespace"], "hello", hello_values())
    platform.dagster.loaded("small")
    return "small"


@pytest.fixture(scope="session")
def endings(platform: Installation, registered: dict[str, Any]) -> str:
    """A code location with the steps of `steps_code.py` and a large quota."""
    return _with_steps_code(platform, "steps", registered["steps"]["namespace"])


@pytest.fixture(scope="session")
def tight(platform: Installation, registered: dict[str, Any]) -> str:
    """The same steps with a low ceiling and a low quota."""
    return _with_steps_code(platform, "tight", registered["tight"]["namespace"])


@pytest.fixture(scope="session")
def ledger(kube: Kube, platform: Installation) -> Ledger:
    """The table where steps record that they ran."""
    ledger = Ledger(kube, platform)
    ledger.create()
    return ledger


def _with_steps_code(platform: Installation, name: str, namespace: str) -> str:
    values = team_code.values(platform.kube, namespace, STEPS_CODE.read_text())
    platform.deploy(name, namespace, "hello", values)
    platform.dagster.loaded(name)
    return name


@pytest.fixture(scope="session")
def spare_platform(kube: Kube, helm: Helm, pytestconfig: pytest.Config) -> Iterator[Installation]:
    """A second platform, with only its images as values and no code location.

    A test that registers a code location removes it.
    """
    platform = _installation(SPARE_PLATFORM, SPARE_PLATFORM, kube, helm, pytestconfig)
    platform.apply(bare_values(), create_namespace=True)
    yield platform
    helm.uninstall(SPARE_PLATFORM, SPARE_PLATFORM)
    cluster.delete_namespace(kube, SPARE_PLATFORM)


def _installation(
    release: str, namespace: str, kube: Kube, helm: Helm, config: pytest.Config
) -> Installation:
    dagster = Dagster(web_server_of(kube, namespace, release))
    config.stash.setdefault(_PLATFORMS, []).append(dagster)
    return Installation(release, namespace, kube, helm, dagster)
