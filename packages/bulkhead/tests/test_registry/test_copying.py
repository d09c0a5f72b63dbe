"""Copies of images between repositories of two real registries, and within one."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from packages.bulkhead.tests.registry_server import RegistryServer
from packages.bulkhead.tests.small_image import blob, pushed

from bulkhead.registry.client import Registry
from bulkhead.registry.copying import Place, copy
from bulkhead.registry.errors import RegistryError
from bulkhead.registry.manifests import DOCKER, OCI, Format


@pytest.fixture(scope="module")
def other_server(
    registry_program: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RegistryServer]:
    server = RegistryServer(registry_program, tmp_path_factory.mktemp("other-registry"))
    yield server
    server.stop()


@pytest.fixture
def other(other_server: RegistryServer) -> Registry:
    return Registry(other_server.host, plain_http=True, credentials=None, timeout=10)


def _put(server: RegistryServer, repository: str, name: str, body: bytes, kind: str) -> None:
    request = urllib.request.Request(
        f"http://{server.host}/v2/{repository}/manifests/{name}",
        data=body,
        headers={"Content-Type": kind},
        method="PUT",
    )
    with urllib.request.urlopen(request):
        pass


@pytest.mark.parametrize("format", [OCI, DOCKER], ids=["oci", "docker"])
def test_a_copy_has_the_digest_and_the_content_of_the_image(
    registry: Registry,
    other: Registry,
    repository: str,
    tmp_path: Path,
    format: Format,  # noqa: A002
) -> None:
    digest = pushed(registry, repository, tmp_path, "a", format=format)
    sizes: list[int] = []
    sent = copy(Place(registry, repository), Place(other, repository), digest, "tag", sizes.append)
    assert other.digest(repository, "tag") == digest
    assert other.image(repository, digest) == registry.image(repository, digest)
    assert len(sizes) == 2  # the layer and the configuration
    assert sent == sum(sizes)


def test_blobs_that_the_target_has_are_not_sent(
    registry: Registry, other: Registry, repository: str, tmp_path: Path
) -> None:
    first = pushed(registry, repository, tmp_path, "a", name="one")
    copy(Place(registry, repository), Place(other, repository), first, "a", lambda _: None)
    sizes: list[int] = []
    places = Place(registry, repository), Place(other, repository)
    assert copy(*places, first, "b", sizes.append) == 0
    assert sizes == []
    assert other.tags(repository) == ["a", "b"]


def test_one_registry_moves_blobs_by_itself(
    registry: Registry, repository: str, tmp_path: Path
) -> None:
    digest = pushed(registry, repository, tmp_path, "a")
    places = Place(registry, repository), Place(registry, f"{repository}/production")
    assert copy(*places, digest, "a", lambda size: pytest.fail(f"{size} bytes sent")) == 0
    assert registry.image(f"{repository}/production", "a") == registry.image(repository, "a")


def test_a_manifest_keeps_bytes_that_this_package_would_write_otherwise(
    registry: Registry,
    other: Registry,
    repository: str,
    tmp_path: Path,
    image_registry: RegistryServer,
) -> None:
    """OCI's manifests may lack their media type, and have spaces."""
    pushed(registry, repository, tmp_path, "a")
    image = registry.image(repository, "a")
    assert image is not None
    content = image.config_bytes()
    file, digest = blob(tmp_path, content)
    registry.push_blob(repository, file)
    body = json.dumps(
        {
            "schemaVersion": 2,
            "config": {"mediaType": OCI.config, "digest": digest, "size": len(content)},
            "layers": [image.layers[0].as_json()],
        },
        indent=3,
    )
    _put(image_registry, repository, "odd", body.encode(), OCI.manifest)
    odd = registry.digest(repository, "odd")
    assert odd is not None
    copy(Place(registry, repository), Place(other, repository), odd, "odd", lambda _: None)
    assert other.digest(repository, "odd") == odd


def test_a_list_is_copied_with_all_its_images(
    registry: Registry,
    other: Registry,
    repository: str,
    tmp_path: Path,
    image_registry: RegistryServer,
) -> None:
    digests = {
        each: pushed(registry, repository, tmp_path, each, name=each, architecture=each)
        for each in ("amd64", "arm64")
    }
    kind = "application/vnd.oci.image.index.v1+json"
    entries = [
        {
            "mediaType": OCI.manifest,
            "digest": digest,
            "size": 1,
            "platform": {"os": "linux", "architecture": each},
        }
        for each, digest in digests.items()
    ]
    body = {"schemaVersion": 2, "mediaType": kind, "manifests": entries}
    _put(image_registry, repository, "list", json.dumps(body).encode(), kind)
    digest = registry.digest(repository, "list")
    assert digest is not None
    copy(Place(registry, repository), Place(other, repository), digest, "list", lambda _: None)
    assert other.digest(repository, "list") == digest
    for architecture, expected in digests.items():
        image = other.image(repository, "list", architecture)
        assert image is not None
        assert image.digest == expected


def test_an_image_that_is_not_there_is_an_error(
    registry: Registry, other: Registry, repository: str
) -> None:
    places = Place(registry, repository), Place(other, repository)
    with pytest.raises(RegistryError, match="404"):
        copy(*places, f"sha256:{'0' * 64}", "a", lambda _: None)
