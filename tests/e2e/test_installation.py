"""Installing, upgrading and removing the platform."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e import pods, team_code
from tests.e2e.cluster import delete_namespace
from tests.e2e.helm import LOCATION_CHART, PLATFORM_CHART, Helm, HelmError
from tests.e2e.installation import HELLO, HELLO_NAMESPACE, bare_values
from tests.e2e.waiting import NotYet, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.cluster import Kube
    from tests.e2e.dagster_client import Dagster
    from tests.e2e.installation import Installation

KEPT, KEPT_NAMESPACE = "kept", "bulkhead-e2e-kept"

# Values of the code-location chart that are right.
RIGHT = {
    "image": {"repository": "team", "tag": "1"},
    "definitions": {"module": "team.definitions"},
}

KEPT_CODE = """
import dagster as dg

@dg.op
def remember():
    print("I was here before")

@dg.job
def before():
    remember()

defs = dg.Definitions(jobs=[before])
"""


@pytest.mark.timeout(420)
def test_the_platform_is_healthy_with_no_code_location_and_no_value_but_its_images(
    kube: Kube, spare_platform: Installation
) -> None:
    spare_platform.answers()
    assert spare_platform.dagster.locations() == {}
    for component in ("webserver", "daemon"):
        (pod,) = pods.of_component(
            kube, spare_platform.namespace, spare_platform.release, component
        )
        assert all(s.ready and not s.restart_count for s in pod.status.container_statuses), (
            pods.describe(pod)
        )


@pytest.fixture
def kept_location(kube: Kube, spare_platform: Installation) -> Iterator[str]:
    """A code location of the spare platform; gone when the test ends."""
    spare_platform.register({KEPT: {"namespace": KEPT_NAMESPACE}})
    spare_platform.deploy(
        KEPT, KEPT_NAMESPACE, "hello", team_code.values(kube, KEPT_NAMESPACE, KEPT_CODE)
    )
    spare_platform.dagster.loaded(KEPT)
    yield KEPT
    spare_platform.apply(bare_values())
    delete_namespace(kube, KEPT_NAMESPACE)


@pytest.mark.timeout(540)
def test_uninstalling_leaves_data_and_code_locations_and_a_reinstall_shows_the_old_runs(
    kube: Kube, spare_platform: Installation, kept_location: str
) -> None:
    platform, dagster = spare_platform, spare_platform.dagster
    run = dagster.launch(kept_location, "before")
    dagster.succeed(run)
    values = platform.values()
    code_servers = pods.long_lived(kube, KEPT_NAMESPACE)
    claims = _claims(kube, platform.namespace)
    assert code_servers
    assert claims

    platform.helm.uninstall(platform.release, platform.namespace)
    until(
        lambda: _no_pods(kube, platform.namespace), 90, "the pods of the uninstalled platform to go"
    )
    assert kube.core.read_namespace(KEPT_NAMESPACE).status.phase == "Active"
    assert pods.long_lived(kube, KEPT_NAMESPACE) == code_servers
    assert _claims(kube, platform.namespace) == claims

    platform.apply(values)
    platform.answers()
    dagster.loaded(kept_location)
    assert pods.long_lived(kube, KEPT_NAMESPACE) == code_servers
    assert dagster.status(run) == "SUCCESS"
    assert "I was here before" in dagster.captured_logs(run, "remember").stdout
    dagster.succeed(dagster.launch(kept_location, "before"))


def _claims(kube: Kube, namespace: str) -> dict[str, str]:
    claims = kube.core.list_namespaced_persistent_volume_claim(namespace).items
    return {claim.metadata.name: claim.metadata.uid for claim in claims}


def _no_pods(kube: Kube, namespace: str) -> bool | NotYet:
    there = kube.core.list_namespaced_pod(namespace).items
    return not there or NotYet([pods.describe(pod) for pod in there])


@pytest.mark.timeout(180)
def test_an_upgrade_without_a_change_restarts_nothing(
    kube: Kube, platform: Installation, dagster: Dagster
) -> None:
    dagster.loaded(HELLO)
    before = pods.long_lived(kube, platform.namespace, HELLO_NAMESPACE)
    platform.apply(platform.values())
    assert pods.long_lived(kube, platform.namespace, HELLO_NAMESPACE) == before


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("chart", "values", "path"),
    [
        pytest.param(
            PLATFORM_CHART,
            {"dagsterDeamon": {}},
            "dagsterDeamon",
            id="platform-misspelt-key",
        ),
        pytest.param(
            PLATFORM_CHART,
            {"codeLocations": {"hello": {"ceeling": {"cpu": "1"}}}},
            "codeLocations.hello.*ceeling",
            id="platform-misspelt-key-of-a-location",
        ),
        pytest.param(
            PLATFORM_CHART,
            {"codeLocations": {"hello": {"ceiling": {"memory": "12 potatoes"}}}},
            "codeLocations.hello.ceiling.memory",
            id="platform-12-potatoes",
        ),
        pytest.param(
            LOCATION_CHART,
            {**RIGHT, "codeServer": {"resources": {"limits": {"memory": "12 potatoes"}}}},
            "codeServer.resources.limits.memory",
            id="location-12-potatoes",
        ),
        pytest.param(LOCATION_CHART, {**RIGHT, "envv": []}, "envv", id="location-misspelt-key"),
    ],
)
def test_a_wrong_value_fails_helm_install_with_its_path(
    helm: Helm, namespace: str, chart: Path, values: dict[str, Any], path: str
) -> None:
    release = "wrong"
    with pytest.raises(HelmError) as error:
        helm.apply(release, chart, namespace, values, wait=False)
    # Helm 3 writes a path with dots, Helm 4 with slashes.
    message = str(error.value).replace("/", ".")
    assert re.search(path, message), message
    with pytest.raises(HelmError, match="not found"):
        helm.run("status", release, "--namespace", namespace)
