"""Which node image is used, and the consistency of its sources."""

import re
from collections.abc import Set as AbstractSet
from pathlib import Path

import pytest
import yaml

from bulkhead_kind import node_components, node_image, node_programs
from bulkhead_kind.engine import Engine
from bulkhead_kind.node_image import NodeImage
from bulkhead_kind.paths import NODE_IMAGE
from bulkhead_kind.progress import Progress


class _Engine(Engine):
    """An engine with `images` in its store, whose registry has `remote`."""

    images: frozenset[str] = frozenset()
    remote: frozenset[str] = frozenset()
    pulled: list[str]

    def has_image(self, reference: str) -> bool:
        return reference in self.images

    def registry_has(self, reference: str) -> str | None:
        return None if reference in self.remote else "no such host"

    def run(self, step: object, *arguments: str | Path) -> None:
        del step
        pulls.append(arguments)


pulls: list[tuple[str | Path, ...]] = []


def _engine(
    *, images: AbstractSet[str] = frozenset(), remote: AbstractSet[str] = frozenset()
) -> _Engine:
    kind = type("_Given", (_Engine,), {"images": frozenset(images), "remote": frozenset(remote)})
    return kind("podman")


@pytest.fixture
def progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Progress:
    pulls.clear()
    monkeypatch.delenv("BULKHEAD_NODE_IMAGE", raising=False)
    return Progress(tmp_path)


def test_the_image_that_the_user_names_wins(
    progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BULKHEAD_NODE_IMAGE", "example.test/node:v1")
    found = node_image.ensure(_engine(images={node_image.STOCK}), progress)
    assert found == NodeImage("example.test/node:v1", built=False)


def test_an_image_in_the_store_is_used_without_a_registry(progress: Progress) -> None:
    reference = node_image.built_reference()
    assert node_image.ensure(_engine(images={reference}), progress) == NodeImage(
        reference, built=True
    )
    assert pulls == []


def test_kinds_own_image_is_pulled_where_a_registry_has_it(progress: Progress) -> None:
    found = node_image.ensure(_engine(remote={node_image.STOCK}), progress)
    assert found == NodeImage(node_image.STOCK, built=False)
    assert pulls == [("pull", node_image.STOCK)]


def test_an_image_is_built_if_no_registry_responds(
    progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []

    def build(_engine: Engine, _progress: Progress, reference: str) -> None:
        built.append(reference)

    monkeypatch.setattr(node_image, "_build", build)
    found = node_image.ensure(_engine(), progress)
    assert built == [found.reference]
    assert found.built


def test_kind_and_stock_node_are_of_the_same_minor_version_as_the_built_one() -> None:
    assert node_programs.kubernetes_version().startswith("v1.34.")
    assert "v1.34." in (Path(node_image.__file__).read_text())


def test_every_staging_module_is_of_the_built_version() -> None:
    version = node_programs.kubernetes_version().replace("v1.", "v0.", 1)
    replaced = re.findall(
        r"^\t(k8s\.io/\S+) => \1 (\S+)$", (NODE_IMAGE / "go.mod").read_text(), re.MULTILINE
    )
    assert len(replaced) > 20
    assert {found for _, found in replaced} == {version}


def test_the_manifests_use_only_images_that_the_node_brings() -> None:
    ours = {node_components.BASE, node_components.NETWORK, node_components.STORAGE}
    manifests = [
        NODE_IMAGE / "rootfs/kind/manifests/default-storage.yaml",
        NODE_IMAGE / "network/daemonset.yaml",
    ]
    used = {
        container["image"]
        for path in manifests
        for document in yaml.safe_load_all(path.read_text())
        if document["kind"] in {"DaemonSet", "Deployment"}
        for container in document["spec"]["template"]["spec"]["containers"]
    }
    assert used == ours - {node_components.BASE}


def test_the_storage_helper_is_an_image_that_the_node_brings() -> None:
    text = (NODE_IMAGE / "rootfs/kind/manifests/default-storage.yaml").read_text()
    assert f"--helper-image={node_components.BASE}" in text


def test_containerd_and_the_preloaded_images_agree_on_the_pause_image() -> None:
    config = (NODE_IMAGE / "rootfs/etc/containerd/config.toml").read_text()
    assert f'sandbox_image = "{node_components.PAUSE}"' in config
