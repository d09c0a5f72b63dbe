"""The image with the packages of a lock, which a container engine builds.

Its Dockerfile, the program that installs a lock, and the lock of that program are in the folder
`dependencies` of this package.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from bulkhead.images import engine
from bulkhead.images.errors import ImageError
from bulkhead.registry.reference import Reference

DEPENDENCIES: Final = Path(__file__).with_name("dependencies")

_INSTALLER: Final = ("install.py", "requirements.lock")


def inputs(lock: Path, base_image: str) -> str:
    """Return the hash of all that the image depends on.

    Raises:
        ImageError: The lock cannot be read.
    """
    digest = hashlib.sha256(base_image.encode())
    for content in (
        _read(lock),
        *((DEPENDENCIES / name).read_bytes() for name in ("Dockerfile", *_INSTALLER)),
    ):
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()


def build_and_push(
    lock: Path,
    base_image: str,
    image: Reference,
    *,
    plain_http: bool,
    named: str | None = None,
    options: Sequence[str] = (),
    report: Callable[[str], None] = lambda _: None,
) -> None:
    """Build the image and push it.

    Args:
        lock: A requirements.lock with hashes.
        base_image: Debian 12 with Python 3.11, as the engine names it.
        image: With the tag.
        plain_http: Push without TLS.
        named: The engine; None for the first that works.
        options: More options for the engine's build, such as secrets with the settings of a
            package index: `--secret=id=uv.toml,src=…`, `id=pip.conf` and `id=ca.crt`.
        report: Called with a line before the build.

    Raises:
        ImageError: No engine works, or the lock cannot be installed; `output` has the last lines.
        RegistryError: The credentials cannot be read.
    """
    chosen = engine.find(named)
    report(f"Installing the packages of {lock.name} with {chosen} …")
    with tempfile.TemporaryDirectory(prefix="bulkhead-packages-") as scratch:
        # Nothing but these files: a large context takes long to send.
        context = Path(scratch)
        installer = context / "installer"
        installer.mkdir()
        shutil.copy(DEPENDENCIES / "Dockerfile", context)
        for name in _INSTALLER:
            shutil.copy(DEPENDENCIES / name, installer)
        (context / "requirements.lock").write_bytes(_read(lock))
        engine.build_and_push(
            chosen, engine.Build(context, {"BASE_IMAGE": base_image}, image, plain_http, options)
        )


def _read(lock: Path) -> bytes:
    try:
        return lock.read_bytes()
    except OSError as error:
        raise ImageError(
            f"{lock.name} of the code location cannot be read: {error.strerror}. It lists the "
            "exact packages of the image; write it with `uv pip compile --generate-hashes`."
        ) from error
