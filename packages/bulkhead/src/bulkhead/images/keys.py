"""The keys of the three tags of a code location: the same inputs give the same tags.

Each key covers the one below it, so a changed lock changes all three.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bulkhead.images import library, packages

LENGTH: Final = 16
"""Hex digits of a key: 64 bits, enough for the images of one repository."""

_FORMAT: Final = "1"
"""Changed when the same inputs give another layer: new paths, other bytecode."""

LOCK_TAG: Final = "lock-"
RUNTIME_TAG: Final = "runtime-"
TREE_TAG: Final = "tree-"


@dataclass(frozen=True)
class Keys:
    """The keys of one code location at one commit."""

    lock: str
    """Of base image, lock, Dockerfile and installer."""
    library: str
    """Of the files of bulkhead alone."""
    runtime: str
    """Of `lock` and `library`."""
    tree: str
    """Of `runtime` and the git tree of the folder."""

    @classmethod
    def of(cls, lock: Path, base_image: str, source: Path | None, tree: str) -> "Keys":
        """Compute the keys.

        Args:
            lock: The requirements.lock of the code location.
            base_image: Its reference; a reference by digest never changes its meaning.
            source: The source folder of bulkhead, or None for the bulkhead that runs.
            tree: The hash of the git tree.

        Raises:
            ImageError: The lock cannot be read, or the files of bulkhead are not known.
        """
        lock_key = _key(packages.inputs(lock, base_image))
        library_key = _key(library.key(source))
        runtime = _key(lock_key, library_key)
        return cls(lock_key, library_key, runtime, _key(runtime, tree))

    @property
    def lock_tag(self) -> str:
        """The tag of the image with the packages."""
        return LOCK_TAG + self.lock

    @property
    def runtime_tag(self) -> str:
        """The tag of the image with the packages and bulkhead."""
        return RUNTIME_TAG + self.runtime

    @property
    def tree_tag(self) -> str:
        """The tag of the whole image."""
        return TREE_TAG + self.tree


def _key(*inputs: str) -> str:
    return hashlib.sha256("\0".join((_FORMAT, *inputs)).encode()).hexdigest()[:LENGTH]
