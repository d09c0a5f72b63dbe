"""How the charts are given their images, and how a cluster is picked."""

from pathlib import Path

import pytest

from bulkhead_kind import installation, up
from bulkhead_kind.installation import Cluster
from bulkhead_kind.progress import Progress


def test_an_image_goes_to_the_chart_by_digest() -> None:
    assert installation.image("bulkhead-registry:5000/bulkhead/hello@sha256:abc") == {
        "registry": "bulkhead-registry:5000",
        "repository": "bulkhead/hello",
        "digest": "sha256:abc",
    }


def test_every_folder_of_user_code_may_join_and_keeps_the_walls_it_was_given() -> None:
    images = dict.fromkeys(("platform", "postgresql", "seaweedfs"), "registry/name@sha256:abc")
    values = installation.platform_values(images, ["hello", "forecasts"])
    # Helm merges this into platform.yaml key by key, so an empty entry takes nothing away.
    assert values["codeLocations"] == {"hello": {}, "forecasts": {}}


def test_a_cluster_of_the_users_own_is_picked_by_its_context() -> None:
    cluster = Cluster(Path("helm"), Path("kubectl"), None, "staging")
    assert cluster.kubectl_command() == ["kubectl", "--context", "staging"]
    assert cluster.helm_command() == ["helm", "--kube-context", "staging"]


def test_a_cluster_of_the_users_own_needs_a_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(up.REGISTRY_VARIABLE, raising=False)
    with pytest.raises(up.UpError, match="BULKHEAD_REGISTRY"):
        up.prepare(Progress(tmp_path), tmp_path / "kubeconfig")


def test_a_kubeconfig_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(up.REGISTRY_VARIABLE, "registry.example.com/team")
    with pytest.raises(up.UpError, match="nowhere/kubeconfig"):
        up.prepare(Progress(tmp_path), Path("nowhere/kubeconfig"))
