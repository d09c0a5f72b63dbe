"""Packs a folder into a layer of an image; the same content gives the same bytes.

The format: https://github.com/opencontainers/image-spec/blob/main/layer.md.
"""

import gzip
import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Final

from bulkhead.images.errors import ImageError

if TYPE_CHECKING:
    from typing_extensions import Buffer

EPOCH: Final = 315_532_800
"""Modification time of every entry: 1980-01-01 UTC, the first day that zip files can have.

Not the time of the commit: a layer that did not change keeps its digest, and is not pushed again.
"""

_COMPRESSION: Final = 6  # gzip's default: level 9 takes twice as long for a hundredth less


@dataclass(frozen=True)
class Layer:
    """A packed folder."""

    file: Path
    digest: str
    """Of the compressed file."""
    diff_id: str
    """Digest of the tar in it, as configurations of images name layers."""
    size: int
    """Bytes of the compressed file."""


def pack(root: Path, file: Path, *, epoch: int = EPOCH) -> Layer:
    """Pack the content of `root` into `file`, as a tar compressed with gzip.

    Owner, times, order, and modes other than executable do not depend on this machine.

    Args:
        root: Becomes / in the image.
        file: Is written.
        epoch: Modification time of all entries, in seconds since 1970.

    Raises:
        ImageError: A symbolic link leaves the folder, or an entry is neither a file, a folder, nor
            a symbolic link.
    """
    compressed, plain = hashlib.sha256(), hashlib.sha256()
    with ExitStack() as stack:
        written = stack.enter_context(file.open("wb"))
        zipped = stack.enter_context(
            # Neither a name nor a time in the header.
            gzip.GzipFile("", "wb", _COMPRESSION, _Hashed(written, compressed.update), mtime=0)
        )
        tar = stack.enter_context(
            tarfile.open(
                mode="w|",
                fileobj=_Hashed(zipped, plain.update),
                format=tarfile.PAX_FORMAT,
                encoding="utf-8",
            )
        )
        for path in _paths(root):
            _add(tar, root, path, epoch)
    return Layer(
        file,
        digest=f"sha256:{compressed.hexdigest()}",
        diff_id=f"sha256:{plain.hexdigest()}",
        size=file.stat().st_size,
    )


def check_links(root: Path) -> None:
    """Accept a folder whose symbolic links stay in it.

    Raises:
        ImageError: A link is absolute, or leads out of the folder.
    """
    for path in _paths(root):
        if path.is_symlink():
            _target(root, path)


class _Hashed(io.RawIOBase):
    """A file to write to that passes everything to a hash too."""

    def __init__(self, file: IO[bytes] | gzip.GzipFile, update: Callable[[bytes], object]) -> None:
        self._file = file
        self._update = update

    def writable(self) -> bool:
        return True

    def write(self, data: "Buffer", /) -> int:
        content = bytes(data)
        self._update(content)
        return self._file.write(content)


def _paths(root: Path) -> Iterator[Path]:
    """Yield what is below a folder, each folder before its content, sorted by name."""
    for path in sorted(root.iterdir(), key=lambda path: os.fsencode(path.name)):
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _paths(path)


def _add(tar: tarfile.TarFile, root: Path, path: Path, epoch: int) -> None:
    relative = path.relative_to(root)
    entry = tarfile.TarInfo(relative.as_posix())
    entry.mtime = epoch
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, _target(root, path), 0o777
        tar.addfile(entry)
    elif stat.S_ISDIR(status.st_mode):
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(entry)
    elif stat.S_ISREG(status.st_mode):
        entry.size = status.st_size
        entry.mode = 0o755 if status.st_mode & stat.S_IXUSR else 0o644
        with path.open("rb") as content:
            tar.addfile(entry, content)
    else:
        raise ImageError(
            f"{relative} is neither a file, a folder, nor a symbolic link, so it cannot be in an "
            "image. Remove it."
        )


def _target(root: Path, path: Path) -> str:
    """Return where a link points to; raises ImageError if that is outside of the folder."""
    target = os.readlink(path)  # noqa: PTH115 - Path would change ./a to a
    relative = path.relative_to(root)
    end = os.path.normpath(PurePosixPath(relative.parent, target))
    if PurePosixPath(target).is_absolute() or end == ".." or end.startswith("../"):
        raise ImageError(
            f"The symbolic link {relative} points to {target}, which is outside of its folder and "
            "not in the image. Replace the link with a copy, or let it point into the folder."
        )
    return target
