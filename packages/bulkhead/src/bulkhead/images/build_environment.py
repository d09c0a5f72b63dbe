"""Virtual environments to build Python packages in; uv makes them, a cache keeps them."""

import contextlib
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import platformdirs
from uv import find_uv_bin

from bulkhead.images import process
from bulkhead.images.errors import ImageError
from bulkhead.images.paths import PYTHON

_UNUSED_SECONDS: Final = 30 * 24 * 3600.0
"""An environment that was not used for 30 days is removed."""


def ensure(
    requirements: Iterable[str],
    lock: Path | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> Path:
    """Return the Python of an environment with packages; make the environment if it is missing.

    Args:
        requirements: What a build needs, as in `build-system.requires`.
        lock: A requirements.lock with hashes; its packages are installed first.
        report: Called with a line if the environment is made.

    Raises:
        ImageError: uv found no Python of the images' version, or could not install a package.
    """
    wanted = sorted(set(requirements))
    cache = _cache()
    folder = cache / _key(wanted, lock)
    python = folder / "bin" / "python3"
    if folder.exists():
        os.utime(folder)
        return python
    if wanted:
        locked = ", and the packages of the lock," if lock else ""
        report(f"Installing {', '.join(wanted)}{locked} for the build …")
    cache.mkdir(parents=True, exist_ok=True)
    _remove_unused(cache)
    partial = Path(tempfile.mkdtemp(prefix="partial-", dir=cache))
    try:
        _make(partial, wanted, lock)
        # Another process may have been faster; then its folder is not empty.
        with contextlib.suppress(OSError):
            partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return python


def _key(requirements: list[str], lock: Path | None) -> str:
    digest = hashlib.sha256(repr((PYTHON, requirements)).encode())
    digest.update(lock.read_bytes() if lock else b"")
    return digest.hexdigest()[:16]


def _make(folder: Path, requirements: list[str], lock: Path | None) -> None:
    # Relocatable: it gets its final name when it is complete.
    _uv(
        ["venv", "--relocatable", "--allow-existing", f"--python={_python()}", str(folder)],
        f"An environment with Python {PYTHON} could not be made.",
    )
    # With bytecode: builds do not write any, and dbt takes five times as long without.
    install = ["pip", "install", "--compile-bytecode", f"--python={folder / 'bin' / 'python3'}"]
    if lock is not None:
        _uv(
            [*install, "--no-deps", "--require-hashes", f"--requirement={lock.resolve()}"],
            "The packages of requirements.lock, which the build needs, could not be installed.",
        )
    if requirements:
        _uv(
            [*install, *requirements],
            f"The packages {', '.join(requirements)}, which the build needs, could not be "
            "installed.",
        )


def _python() -> str:
    """Return a Python for uv: this one if it has the right version, else one that uv provides."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return sys.executable if version == PYTHON else PYTHON


def _uv(arguments: list[str], failure: str) -> None:
    try:
        program = find_uv_bin()
    except FileNotFoundError as error:
        raise ImageError(
            "uv is not installed. Install the extra of bulkhead that deploys: "
            "`pip install 'bulkhead[deploy]'`."
        ) from error
    # uv also reads [tool.uv] of a pyproject.toml in the current folder.
    process.run([program, "--quiet", "--no-progress", *arguments], failure, folder=_cache())


def _cache() -> Path:
    return platformdirs.user_cache_path("bulkhead") / "build"


def _remove_unused(cache: Path) -> None:
    oldest = time.time() - _UNUSED_SECONDS
    for folder in list(cache.iterdir()):
        if folder.stat().st_mtime < oldest:
            shutil.rmtree(folder, ignore_errors=True)
