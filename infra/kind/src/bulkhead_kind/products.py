"""Things that take long to make, kept under the hash of what they are made from."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

KEY_LENGTH = 12
"""Hex digits of a key: 48 bits, ample for the few products of one machine."""

UNUSED = {"__pycache__", "tests"}
"""Folders that change nothing in what is made; neither do hidden ones, which are tools' caches."""


def key(*inputs: str | Path) -> str:
    """Hash `inputs`: texts as they are, files and folders by names, modes and contents.

    Byte code, tests and prose are left out: they change nothing in what is made.
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
    """Return the folder of the product `name` made from the inputs of `key`, making it if needed.

    `make` fills an empty folder that takes its final name only when all of it is there; what it
    raises is passed on. Older products of that name are removed.
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
