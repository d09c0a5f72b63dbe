"""The code locations of a repository: which folders they are, and their content."""

import fnmatch
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from bulkhead import location_name
from bulkhead.deploy.repository import Repository, Snapshot
from bulkhead.deploy.settings import Settings, SettingsError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_MARKER: Final = "pyproject.toml"


@dataclass(frozen=True, slots=True)
class CodeFolder:
    """The folder of a code location in a repository, and its name."""

    name: str
    folder: str
    namespace: str


def find(repository: Repository, snapshot: Snapshot, settings: Settings) -> list[CodeFolder]:
    """Return the code locations of a snapshot, in the order of their names.

    A location has the name of its folder. If the root folder is the location, it has the name of
    its project.

    Raises:
        RepositoryError: git cannot read the snapshot.
        SettingsError: A name is not valid, or two folders have the same name.
    """
    found: dict[str, CodeFolder] = {}
    for folder in repository.folders(snapshot, _MARKER):
        if not any(_matches(folder, pattern) for pattern in settings.locations):
            continue
        name = PurePosixPath(folder).name or _project_name(repository, snapshot)
        try:
            location_name.check(name)
        except location_name.LocationNameError as error:
            raise SettingsError(f"Folder {folder}: {error}") from error
        if name in found:
            raise SettingsError(
                f"Two folders are code location {name}: {found[name].folder} and {folder}. "
                "Rename one."
            )
        found[name] = CodeFolder(name, folder, settings.namespace.format(location=name))
    return [found[name] for name in sorted(found)]


def choose(found: Sequence[CodeFolder], names: Sequence[str]) -> list[CodeFolder]:
    """Return the code locations with these names, or all of them if there are no names.

    Raises:
        SettingsError: A name is not among them, or there is none at all.
    """
    by_name = {each.name: each for each in found}
    if not by_name:
        raise SettingsError(
            "No folder is a code location. Set `locations` in bulkhead.toml to patterns of folders "
            "that have a pyproject.toml, for example [deploy] locations = ['user_code/*']."
        )
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise SettingsError(
            f"There is no code location {unknown[0]!r}. This repository has: {', '.join(by_name)}."
        )
    return [by_name[name] for name in names] if names else list(found)


def _matches(folder: str, pattern: str) -> bool:
    """Compare part by part, so that `*` is one folder, as in a shell."""
    parts, patterns = PurePosixPath(folder).parts, PurePosixPath(pattern).parts
    return len(parts) == len(patterns) and all(map(fnmatch.fnmatchcase, parts, patterns))


def _project_name(repository: Repository, snapshot: Snapshot) -> str:
    content: dict[str, Any] = tomllib.loads(repository.text(snapshot, _MARKER))
    return str(content.get("project", {}).get("name", "")).replace("_", "-")
