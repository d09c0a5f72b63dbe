"""Manifests and configurations of images, in the format of OCI and in Docker's.

OCI: https://github.com/opencontainers/image-spec; Docker:
https://distribution.github.io/distribution/spec/manifest-v2-2/.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

from bulkhead.registry.errors import RegistryError

DEFAULT_ARCHITECTURE: Final = "amd64"
"""What is chosen from several architectures if none is requested."""


@dataclass(frozen=True)
class Format:
    """The media types of one format of images."""

    manifest: str
    config: str
    layer: str
    """Of a layer as a tar compressed with gzip."""


OCI: Final = Format(
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.oci.image.layer.v1.tar+gzip",
)
DOCKER: Final = Format(
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.container.image.v1+json",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
)


@dataclass(frozen=True)
class Descriptor:
    """A blob as a manifest names it."""

    media_type: str
    digest: str
    size: int
    """Bytes."""

    @classmethod
    def of_json(cls, content: Mapping[str, Any]) -> "Descriptor":
        """Read a descriptor of a manifest."""
        return cls(content["mediaType"], content["digest"], int(content["size"]))

    def as_json(self) -> dict[str, Any]:
        """Return the descriptor as a manifest has it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


@dataclass(frozen=True)
class Image:
    """An image that may be pushed: its configuration, and blobs that the repository has."""

    format: Format
    config: Mapping[str, Any]
    """https://github.com/opencontainers/image-spec/blob/main/config.md"""
    layers: tuple[Descriptor, ...]

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of the image."""
        config = cast("Mapping[str, Any]", self.config.get("config") or {})
        return cast("Mapping[str, str]", config.get("Labels") or {})

    @property
    def created(self) -> float:
        """Seconds since the epoch; 0 if the image does not say when it was created."""
        text = cast("str", self.config.get("created") or "")
        try:
            # Python 3.10 reads neither Z nor the nanoseconds that engines write.
            return datetime.fromisoformat(f"{text[:19]}+00:00").timestamp()
        except ValueError:
            return 0.0

    def config_bytes(self) -> bytes:
        """Return the blob of the configuration; the same configuration gives the same bytes."""
        return _json(self.config)

    def manifest_bytes(self, config: Descriptor) -> bytes:
        """Return the manifest; the same image gives the same bytes."""
        return _json(
            {
                "schemaVersion": 2,
                "mediaType": self.format.manifest,
                "config": config.as_json(),
                "layers": [layer.as_json() for layer in self.layers],
            }
        )


@dataclass(frozen=True)
class StoredImage(Image):
    """An image of a registry."""

    digest: str
    """Of the manifest of one platform, also if the name was that of a list."""


def manifest_format(manifest: Mapping[str, Any]) -> Format:
    """Return the format of the manifest of one image.

    Raises:
        RegistryError: The format is older than OCI's and Docker's second.
    """
    # OCI's manifests may leave their media type out; their configuration has one.
    config = cast("Mapping[str, Any]", manifest.get("config") or {}).get("mediaType")
    for known in (OCI, DOCKER):
        if config == known.config and manifest.get("mediaType", known.manifest) == known.manifest:
            return known
    raise RegistryError(
        f"The manifest has the media type {manifest.get('mediaType')} with a configuration of "
        f"{config}. Only images in the format of OCI or of Docker's schema 2 are supported; build "
        "the image again with a newer engine."
    )


def choose(entries: Sequence[Mapping[str, Any]], architecture: str | None) -> str:
    """Return the digest of the manifest for Linux on an architecture from a list of manifests.

    Args:
        entries: The `manifests` of the list.
        architecture: As in Go, such as `arm64`. None chooses the only one, or amd64 from several.

    Raises:
        RegistryError: The list does not have it.
    """
    found = {
        platform["architecture"]: cast("str", entry["digest"])
        for entry in entries
        # BuildKit adds entries for its attestations; their platform is unknown/unknown.
        if (platform := cast("Mapping[str, str]", entry.get("platform") or {})).get("os") == "linux"
    }
    wanted = architecture or (next(iter(found)) if len(found) == 1 else DEFAULT_ARCHITECTURE)
    if wanted not in found:
        raise RegistryError(
            f"The image has no variant for linux/{wanted}, only for {_platforms(found)}. Build it "
            "for this architecture too."
        )
    return found[wanted]


def _platforms(architectures: Iterable[str]) -> str:
    return ", ".join(f"linux/{each}" for each in sorted(architectures)) or "other systems"


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
