"""Copies an image into another repository, byte by byte, so that it keeps its digest."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from dxf.exceptions import DXFMountFailed

from bulkhead.registry.client import Registry
from bulkhead.registry.errors import RegistryError
from bulkhead.registry.manifests import OCI, Descriptor
from bulkhead.registry.repository import Repository

_CHUNK_BYTES: Final = 2**20


@dataclass(frozen=True)
class Place:
    """A repository of a registry."""

    registry: Registry
    repository: str

    def __str__(self) -> str:
        """Return its name as people read it."""
        return f"{self.registry.host}/{self.repository}"


def copy(
    source: Place, target: Place, digest: str, tag: str, on_blob: Callable[[int], None]
) -> int:
    """Copy an image, or a list of images with all that it names; return the bytes that were sent.

    Blobs that the target has are skipped. A registry moves blobs between its own repositories
    without sending them, if it can.

    Args:
        source: Has the image.
        target: Gets it.
        digest: Of the manifest.
        tag: The image gets it in the target; a registry may remove an image without a tag.
        on_blob: Called with the size in bytes of each blob before it is sent.

    Raises:
        RegistryError: A registry does not answer, or refuses; or the source lacks the image.
    """
    content, media_type = _manifest(source, digest)
    manifest = cast("Mapping[str, Any]", json.loads(content))
    sent = sum(
        copy(source, target, entry["digest"], entry["digest"], on_blob)
        for entry in cast("list[Mapping[str, Any]]", manifest.get("manifests") or [])
    )
    config = cast("Mapping[str, Any] | None", manifest.get("config"))
    layers = cast("list[Mapping[str, Any]]", manifest.get("layers") or [])
    for blob in [*([config] if config else []), *layers]:
        sent += _copy_blob(source, target, Descriptor.of_json(blob), on_blob)
    target.registry.request(
        target.repository, lambda opened: opened.push_manifest(tag, content, media_type)
    )
    return sent


def _manifest(place: Place, digest: str) -> tuple[bytes, str]:
    """Return the bytes of a manifest, and its media type."""
    answer = place.registry.request(
        place.repository, lambda opened: opened.get_manifest_and_response(digest)[1]
    )
    found = f"sha256:{hashlib.sha256(answer.content).hexdigest()}"
    if found != digest:
        raise RegistryError(
            f"{place} answered with manifest {found} where {digest} was requested. A proxy before "
            "the registry may have changed it; use the registry's own address."
        )
    return answer.content, answer.headers.get("Content-Type") or OCI.manifest


def _copy_blob(
    source: Place, target: Place, blob: Descriptor, on_blob: Callable[[int], None]
) -> int:
    """Copy a blob that the target lacks; return the bytes that were sent."""
    if target.registry.has_blob(target.repository, blob.digest):
        return 0
    if source.registry.host == target.registry.host and _mounted(source, target, blob.digest):
        return 0
    on_blob(blob.size)
    with tempfile.TemporaryDirectory(prefix="bulkhead-blob-") as scratch:
        file = Path(scratch) / "blob"

        def pull(opened: Repository) -> None:
            chunks = opened.pull_blob(blob.digest, chunk_size=_CHUNK_BYTES)
            with file.open("wb") as stream:
                stream.writelines(cast("Iterable[bytes]", chunks))

        source.registry.request(source.repository, pull)
        target.registry.push_blob(target.repository, file)
    return blob.size


def _mounted(source: Place, target: Place, digest: str) -> bool:
    """Let the registry move a blob between two of its repositories; return whether it did."""

    def mount(opened: Repository) -> bool:
        try:
            opened.mount_blob(source.repository, digest)
        except DXFMountFailed:
            return False
        return True

    return target.registry.request(target.repository, mount)
