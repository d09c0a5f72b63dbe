"""Image archives written without an engine, for containerd to import.

An archive is a tar of gzipped layers, one JSON of settings per image, and a `manifest.json` that
names them (the format of `docker save`). Images that share a layer share its file.
"""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

FAST = 1
"""gzip's level: a third of the size of the programs, in a few seconds each."""


@dataclass(frozen=True)
class Layer:
    """A gzipped layer: its file, and the hash of the tar inside, by which images name it."""

    file: Path
    diff_id: str


@dataclass(frozen=True)
class Image:
    """An image to write: its name with tag, layers from the bottom up, and first process."""

    reference: str
    layers: tuple[Layer, ...]
    entrypoint: tuple[str, ...] = ()


def layer_of_tar(tarball: Path, file: Path) -> Layer:
    """Gzip `tarball` into `file` as a layer."""
    with tarball.open("rb") as source:
        return _gzip(source, file)


def layer_of_paths(paths: Iterable[tuple[Path, str]], file: Path) -> Layer:
    """Make a layer in `file` from files and folders, each with its path in the image.

    Root owns all of them. Times are left out, so that equal contents make equal layers.
    """
    tarball = file.with_suffix(".tar")
    with tarfile.open(tarball, "w") as tar:
        for path, place in paths:
            tar.add(path, place, filter=_anonymous)
    layer = layer_of_tar(tarball, file)
    tarball.unlink()
    return layer


def write(archive: Path, images: Iterable[Image], architecture: str) -> None:
    """Write `images` for processors of `architecture` (as in `amd64`) into the tar `archive`."""
    manifest: list[dict[str, object]] = []
    written: set[Path] = set()
    with tarfile.open(archive, "w") as tar:
        for image in images:
            config = _config(image, architecture)
            name = f"{hashlib.sha256(config).hexdigest()}.json"
            _add_bytes(tar, name, config)
            for layer in image.layers:
                if layer.file not in written:
                    written.add(layer.file)
                    tar.add(layer.file, layer.file.name)
            manifest.append(
                {
                    "Config": name,
                    "RepoTags": [image.reference],
                    "Layers": [layer.file.name for layer in image.layers],
                }
            )
        _add_bytes(tar, "manifest.json", json.dumps(manifest).encode())


def _gzip(source: io.BufferedReader, file: Path) -> Layer:
    digest = hashlib.sha256()
    with file.open("wb") as raw, gzip.GzipFile("", "wb", FAST, raw, mtime=0) as packed:
        while chunk := source.read(1 << 20):
            digest.update(chunk)
            packed.write(chunk)
    return Layer(file, f"sha256:{digest.hexdigest()}")


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if entry.name.endswith("__pycache__"):
        return None
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = "root"
    return entry


def _config(image: Image, architecture: str) -> bytes:
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Env": [f"PATH={PATH}"], "Entrypoint": list(image.entrypoint)},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in image.layers]},
    }
    return json.dumps(config, sort_keys=True).encode()


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))
