"""The folder of the layer with the team's code: /opt/code, installed editable into /opt/venv.

Editable: the code stays in one folder, so a path relative to a module's file is the same as in the
checkout. The build of the package runs on this machine, with the rights of the person who deploys.
"""

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

from bulkhead.images import build_environment, bytecode, layer, wheel
from bulkhead.images.errors import ImageError
from bulkhead.images.paths import CODE

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LOCK: Final = "requirements.lock"

# Tests of the code location; a deeper folder of this name can be part of the code, such as dbt's.
_TESTS: Final = "tests"

_WITH_DEPENDENCIES: Final = "with-dependencies"


def stage(folder: Path, root: Path, report: Callable[[str], None]) -> None:
    """Write what the layer contains into a folder, with bytecode.

    The table `tool.bulkhead.build` of pyproject.toml may have `with-dependencies = true`: then the
    packages of requirements.lock are in the environment of the build, for example for a build that
    runs dbt.

    Args:
        folder: The folder of the code location, without files that are not its code.
        root: Becomes / in the image.
        report: Called with a line before something that takes long, and for code without bytecode.

    Raises:
        ImageError: The code location cannot be built, or has a link out of its folder.
    """
    layer.check_links(folder)
    lock = folder / LOCK if _needs_dependencies(folder) else None
    # Resolved: a build backend may resolve it too, and the path is replaced in what it writes.
    code = root.resolve() / CODE.relative_to("/")
    shutil.copytree(folder, code, symlinks=True, ignore=_ignored(folder))
    with tempfile.TemporaryDirectory(prefix="bulkhead-wheel-") as scratch:
        built = wheel.build(code, "editable", Path(scratch), lock=lock, report=report)
        wheel.install_editable(built, code, root)
    _remove_caches(code, folder)
    complaints = bytecode.compile_folder(build_environment.ensure(()), root)
    if complaints:
        # Not an error: Dagster loads the code next, and reports what it cannot import.
        report(f"Some files have no bytecode, because they do not compile:\n{complaints}")


def _ignored(folder: Path) -> Callable[[str, list[str]], list[str]]:
    """Return a function that tells `shutil.copytree` what to leave out."""

    def ignored(copied: str, names: list[str]) -> list[str]:
        return [_TESTS] if Path(copied) == folder and _TESTS in names else []

    return ignored


def _remove_caches(code: Path, folder: Path) -> None:
    """Remove hidden folders that the build made, such as pdm's: they have paths of this machine."""
    for path in list(code.glob(".*")):
        if path.is_dir() and not (folder / path.name).exists():
            shutil.rmtree(path)


def _needs_dependencies(folder: Path) -> bool:
    """Return whether the build needs the packages of the lock; raises ImageError."""
    file = folder / "pyproject.toml"
    try:
        project: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ImageError(
            f"The code location has no {file.name}, so it cannot be installed. `bulkhead new` "
            "writes one."
        ) from error
    except ValueError as error:
        raise ImageError(f"{file.name} of the code location is not valid: {error}.") from error
    settings = cast("dict[str, Any]", project.get("tool", {}).get("bulkhead", {}).get("build", {}))
    unknown = sorted(settings.keys() - {_WITH_DEPENDENCIES})
    if unknown:
        raise ImageError(
            f"The table tool.bulkhead.build in pyproject.toml has the unknown key {unknown[0]!r}. "
            f"The only key is {_WITH_DEPENDENCIES}."
        )
    needed: Any = settings.get(_WITH_DEPENDENCIES, False)
    if not isinstance(needed, bool):
        raise ImageError(
            f"tool.bulkhead.build.{_WITH_DEPENDENCIES} in pyproject.toml is {needed!r}. It must be "
            "true or false."
        )
    return needed
