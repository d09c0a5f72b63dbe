"""The images in the charts' values, and the selection of a cluster."""

from pathlib import Path

import pytest

from bulkhead.deploy.release import image_values
from bulkhead_kind import installation, up
from bulkhead_kind.installation import Cluster
from bulkhead_kind.process import CommandError
from bulkhead_kind.progress import Progress

IMAGES: dict[str, str] = dict.fromkeys(
    ("platform", "postgresql", "seaweedfs"), "registry/name@sha256:abc"
)


def test_an_image_goes_to_the_chart_by_digest() -> None:
    assert image_values("bulkhead-registry:5000/bulkhead/hello@sha256:abc") == {
        "registry": "bulkhead-registry:5000",
        "repository": "bulkhead/hello",
        "digest": "sha256:abc",
    }


def test_every_folder_of_user_code_is_registered_and_keeps_its_settings() -> None:
    values = installation.platform_values(IMAGES, ["hello", "forecasts"], {})
    # Helm merges this into platform.yaml key by key, so an empty entry takes nothing away.
    assert values["codeLocations"] == {"hello": {}, "forecasts": {}}


def test_code_locations_that_were_registered_before_keep_their_settings() -> None:
    before = {"hello": {"ceiling": {"cpu": "9"}}, "ingestion": {"ceiling": {"cpu": "2"}}}
    values = installation.platform_values(IMAGES, ["hello"], before)
    assert values["codeLocations"] == {"hello": {}, "ingestion": {"ceiling": {"cpu": "2"}}}


def helm_that(folder: Path, *, does: str) -> Cluster:
    helm = folder / "helm"
    helm.write_text(f"#!/bin/sh\n{does}\n")
    helm.chmod(0o755)
    return Cluster(helm, Path("kubectl"), None)


@pytest.mark.parametrize(
    ("does", "registered"),
    [
        ("echo 'Error: release: not found' >&2; exit 1", {}),
        ("echo null", {}),
        ("""echo '{"codeLocations": {"ml": {}}}'""", {"ml": {}}),
    ],
)
def test_the_registry_is_read_from_the_release(
    tmp_path: Path, does: str, registered: dict[str, object]
) -> None:
    assert installation.registered(helm_that(tmp_path, does=does)) == registered


def test_a_registry_that_cannot_be_read_is_not_taken_for_empty(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no such host"):
        installation.registered(helm_that(tmp_path, does="echo 'no such host' >&2; exit 1"))


def test_the_users_own_cluster_is_selected_by_its_context() -> None:
    cluster = Cluster(Path("helm"), Path("kubectl"), None, "staging")
    assert cluster.kubectl_command() == ["kubectl", "--context", "staging"]
    assert cluster.helm_command() == ["helm", "--kube-context", "staging"]


def test_the_users_own_cluster_needs_a_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(up.REGISTRY_VARIABLE, raising=False)
    with pytest.raises(up.UpError, match="BULKHEAD_REGISTRY is not set"):
        up.prepare(Progress(tmp_path), tmp_path / "kubeconfig")


def test_a_missing_kubeconfig_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(up.REGISTRY_VARIABLE, "registry.example.com/team")
    with pytest.raises(up.UpError, match="nowhere/kubeconfig does not exist"):
        up.prepare(Progress(tmp_path), Path("nowhere/kubeconfig"))
