"""Builds a Python package, and installs it into a folder that becomes / of an image."""

import io
import json
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

import installer
from build import BuildBackendException, BuildException, ProjectBuilder
from installer.destinations import SchemeDictionaryDestination
from installer.sources import WheelContentElement, WheelFile, WheelSource
from pyproject_hooks import BuildBackendWarning, HookMissing

from bulkhead.images import build_environment, process
from bulkhead.images.errors import ImageError
from bulkhead.images.paths import CODE, SITE_PACKAGES, VENV

_PYTHON: Final = str(VENV / "bin" / "python3")

_SCHEME: Final = {
    "purelib": str(SITE_PACKAGES),
    "platlib": str(SITE_PACKAGES),
    "scripts": str(VENV / "bin"),
    "data": str(VENV),
    "headers": str(VENV / "include" / "site"),
}


def build(
    project: Path,
    kind: Literal["wheel", "editable"],
    folder: Path,
    *,
    lock: Path | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> Path:
    """Build a wheel of a project with its own build backend; return the file.

    Args:
        project: The folder of its pyproject.toml. A backend may write files into it.
        kind: `editable` gives a wheel that refers to the folder, as PEP 660 describes it.
        folder: Where to write the wheel.
        lock: A requirements.lock whose packages the build needs.
        report: Called with a line before something that takes long.

    Raises:
        ImageError: The project is not valid, or its build failed.
    """
    with tempfile.TemporaryDirectory(prefix="bulkhead-home-") as home, warnings.catch_warnings():
        # Such as setuptools' advice on editable installs, which does not fit an image.
        warnings.simplefilter("ignore", BuildBackendWarning)
        try:
            declared = ProjectBuilder(project).build_system_requires
            # Hatchling may require `editables`, and setuptools what setup.py names. The packages of
            # the lock are not needed to find that out.
            first = _builder(project, declared, None, Path(home), report)
            requested = first.get_requires_for_build(kind)
            builder = (
                first
                if requested <= declared and lock is None
                else _builder(project, declared | requested, lock, Path(home), report)
            )
            return Path(builder.build(kind, folder))
        except (BuildException, BuildBackendException) as error:
            raise _explained(error) from error


def install_editable(wheel: Path, folder: Path, root: Path) -> None:
    """Install an editable wheel into /opt/venv of an image, with the code in /opt/code.

    Build backends write the path of the folder into .pth files and import hooks. PEP 660 has no
    setting for another path, so it is replaced in the files of the wheel.

    Args:
        wheel: Built from `folder`.
        folder: Becomes /opt/code.
        root: Becomes / in the image.

    Raises:
        ImageError: The wheel is not pure Python.
    """
    origin = {"url": f"file://{CODE}", "dir_info": {"editable": True}}
    with zipfile.ZipFile(wheel) as file:
        source = _Relocated(file, str(folder).encode())
        install(source, root, {"direct_url.json": json.dumps(origin).encode()})


def install(source: WheelSource, root: Path, metadata: Mapping[str, bytes] | None = None) -> None:
    """Install a wheel into /opt/venv of an image.

    Args:
        source: The wheel.
        root: Becomes / in the image.
        metadata: More files for its dist-info.

    Raises:
        ImageError: The wheel is not pure Python.
    """
    if "root-is-purelib: true" not in source.read_dist_info("WHEEL").lower():
        raise ImageError(
            f"The package {source.distribution} has compiled modules. Its image layer is made "
            "without a container engine, so it must be pure Python. Move the compiled modules to a "
            "package of their own, and add it to requirements.lock."
        )
    destination = SchemeDictionaryDestination(
        _SCHEME, interpreter=_PYTHON, script_kind="posix", destdir=str(root)
    )
    installer.install(source, destination, {"INSTALLER": b"bulkhead\n", **(metadata or {})})


class _Relocated(WheelFile):
    """An editable wheel that refers to /opt/code instead of the folder that it was built in."""

    def __init__(self, file: zipfile.ZipFile, folder: bytes) -> None:
        super().__init__(file)
        self._folder = folder

    def get_contents(self) -> Iterator[WheelContentElement]:
        for record, stream, is_executable in super().get_contents():
            content = stream.read().replace(self._folder, str(CODE).encode())
            yield record, io.BytesIO(content), is_executable


def _builder(
    project: Path,
    requirements: set[str],
    lock: Path | None,
    home: Path,
    report: Callable[[str], None],
) -> ProjectBuilder:
    """Return a builder whose backend runs in an environment with the requirements."""
    python = build_environment.ensure(requirements, lock, report)
    environment = process.clean_environment(python, home)

    def run(
        cmd: Sequence[str], cwd: str | None = None, extra_environ: Mapping[str, str] | None = None
    ) -> None:
        process.run(
            cmd,
            "The build of the package failed.",
            environment={**environment, **(extra_environ or {})},
            folder=Path(cwd) if cwd else None,
        )

    return ProjectBuilder(project, python_executable=str(python), runner=run)


def _explained(error: BuildException | BuildBackendException) -> ImageError:
    cause = error.exception if isinstance(error, BuildBackendException) else None
    if isinstance(cause, ImageError):
        return cause
    if isinstance(cause, HookMissing):
        return ImageError(
            f"The build backend of the code location has no hook {cause.hook_name}, so it cannot "
            "install code editable (PEP 660). Use a newer version of it in build-system.requires."
        )
    return ImageError(
        f"The package cannot be built: {error}. Check the table build-system in its pyproject.toml."
    )
