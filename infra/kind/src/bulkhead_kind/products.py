"""A cache of build products, keyed by the hash of their inputs."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

KEY_LENGTH = 12
"""Hex digits of a key: 48 bits, enough for the few products of one machine."""

UNUSED = {"__pycache__", "tests"}
"""Folders that do not affect a product; hidden ones, tools' caches, do not either."""


def key(*inputs: str | Path) -> str:
    """Return the hash of `inputs`: texts, and files and folders by names, modes and contents.

    Byte code, tests and prose are left out: they do not affect a product.
    """
    digest = hashlib.sha256()
    for given in inputs:
        if isinstance(given, str):
            digest.update(_entry("text", given.encode()))
            continue
        for path in sorted(given.rglob("*")) if given.is_dir() else [given]:
            relative = path.relative_to(given)
            if path.is_file() and path.suffix != ".md" and not _unused(relative):
                executable = path.stat().st_mode & 0o100
                name = f"{given.name}/{relative}:{executable}"
                digest.update(_entry(name, path.read_bytes()))
    return digest.hexdigest()[:KEY_LENGTH]


def ensure(folder: Path, name: str, key: str, make: Callable[[Path], None]) -> Path:
    """Return the folder of the product `name` with the key `key`, made if it is missing.

    `make` fills an empty folder, which gets its final name when `make` returns. Errors of `make`
    are passed on. Older products of that name are removed.
    """
    product = folder / f"{name}-{key}"
    if product.exists():
        return product
    partial = folder / f"{name}-{key}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    make(partial)
    for old in folder.glob(f"{name}-*"):
        if old != partial:
            shutil.rmtree(old)
    return partial.rename(product)


def _unused(path: Path) -> bool:
    return any(part in UNUSED or part.startswith(".") for part in path.parts)


def _entry(name: str, content: bytes) -> bytes:
    return f"{name}\0{len(content)}\0".encode() + content
