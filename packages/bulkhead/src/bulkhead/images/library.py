"""The folder of the layer with bulkhead itself: the package in /opt/venv, not editable."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path, PurePath
from typing import Any, Final
from urllib.parse import unquote, urlparse

from installer.sources import WheelContentElement, WheelFile, WheelSource

from bulkhead.images import build_environment, bytecode, wheel
from bulkhead.images.errors import ImageError

_NAME: Final = "bulkhead"

# What pip and uv add to the metadata of a wheel, and what the build backend wrote.
_METADATA: Final = ("METADATA", "WHEEL", "entry_points.txt", "licenses")

# Not in the wheel. Deeper folders named tests are: the template of a code location has one.
_TESTS: Final = "tests"


def key(source: Path | None) -> str:
    """Return the hash of all that the layer depends on.

    Args:
        source: The folder of its pyproject.toml, or None for the bulkhead that runs.

    Raises:
        ImageError: The files of the bulkhead that runs are not known.
    """
    digest = hashlib.sha256()
    for name, file in sorted(_files(source or installed_source())):
        content = file.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def stage(source: Path | None, root: Path, report: Callable[[str], None]) -> None:
    """Write what the layer contains into a folder, with bytecode.

    Args:
        source: As in `key`. Nothing is written there.
        root: Becomes / in the image.
        report: Called with a line before something that takes long.

    Raises:
        ImageError: The package cannot be built.
    """
    source = source or installed_source()
    if source is None:
        wheel.install(_Installed(distribution(_NAME)), root)
    else:
        with tempfile.TemporaryDirectory(prefix="bulkhead-wheel-") as scratch:
            built = wheel.build(source, "wheel", Path(scratch), report=report)
            with WheelFile.open(built) as opened:
                wheel.install(opened, root)
    complaints = bytecode.compile_folder(build_environment.ensure(()), root)
    if complaints:
        raise ImageError("The package bulkhead does not compile.", complaints)


def installed_source() -> Path | None:
    """Return the source folder of the bulkhead that runs, if it is installed editable."""
    text = distribution(_NAME).read_text("direct_url.json")
    origin: dict[str, Any] = json.loads(text) if text else {}
    if not origin.get("dir_info", {}).get("editable"):
        return None
    url: str = origin["url"]
    return Path(unquote(urlparse(url).path))


def _files(source: Path | None) -> Iterator[tuple[str, Path]]:
    """Yield each file that the layer depends on, with a name that is the same everywhere."""
    if source is None:
        yield from _Installed(distribution(_NAME)).files.items()
        return
    for path in source.rglob("*"):
        relative = path.relative_to(source)
        folders = relative.parts[:-1]
        # Hidden folders are caches of tools.
        is_cache = any(part == "__pycache__" or part.startswith(".") for part in folders)
        if path.is_file() and not is_cache and folders[:1] != (_TESTS,):
            yield relative.as_posix(), path


class _Installed(WheelSource):
    """The wheel that an installed package came from, as far as an installation keeps it."""

    def __init__(self, installed: Distribution) -> None:
        listed = installed.files
        if listed is None:
            raise ImageError(
                f"The files of the installed package {_NAME} are not known, because it has no "
                "RECORD. Install it with pip or uv, or name its source folder."
            )
        info = next(file.parent for file in listed if file.name == "METADATA")
        super().__init__(info.name.split("-")[0], installed.version)
        self._info = info
        self.files = {
            file.as_posix(): Path(str(file.locate())) for file in listed if self._is_of_wheel(file)
        }
        """Path in the wheel → file."""

    @property
    def dist_info_filenames(self) -> list[str]:
        prefix = f"{self.dist_info_dir}/"
        return [name[len(prefix) :] for name in self.files if name.startswith(prefix)]

    def read_dist_info(self, filename: str) -> str:
        return self.files[f"{self.dist_info_dir}/{filename}"].read_text(encoding="utf-8")

    def get_contents(self) -> Iterator[WheelContentElement]:
        for name, file in sorted(self.files.items()):
            with file.open("rb") as stream:
                yield (name, "", ""), stream, False

    def _is_of_wheel(self, file: PurePath) -> bool:
        """Return whether the wheel had a file: not scripts, bytecode, and an installer's notes."""
        if file.is_relative_to(self._info):
            return file.relative_to(self._info).parts[0] in _METADATA
        return ".." not in file.parts and "__pycache__" not in file.parts
