"""Images with one small layer."""

import gzip
import hashlib
from collections.abc import Mapping
from pathlib import Path

from bulkhead.registry.client import Registry
from bulkhead.registry.manifests import OCI, Descriptor, Format, Image


def blob(folder: Path, content: bytes) -> tuple[Path, str]:
    """A file and its digest."""
    digest = hashlib.sha256(content).hexdigest()
    file = folder / digest
    file.write_bytes(content)
    return file, f"sha256:{digest}"


def pushed(
    registry: Registry,
    repository: str,
    folder: Path,
    *tags: str,
    name: str = "one",
    format: Format = OCI,  # noqa: A002
    architecture: str = "amd64",
    created: str = "2025-11-28T11:02:31Z",
    labels: Mapping[str, str] | None = None,
) -> str:
    """Push an image with one layer; return its digest."""
    content = gzip.compress(name.encode(), mtime=0)
    file, digest = blob(folder, content)
    registry.push_blob(repository, file)
    diff_id = f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"
    config = {
        "architecture": architecture,
        "os": "linux",
        "created": created,
        "config": {"Labels": {"name": name, **(labels or {})}},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    }
    layers = (Descriptor(format.layer, digest, len(content)),)
    return registry.push_image(repository, Image(format, config, layers), *tags)
