"""Finds a team's definitions, which the `BULKHEAD_DEFINITIONS_*` settings name."""

import importlib
import os
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, cast

import dagster
from dagster import DagsterInvariantViolationError

from bulkhead import names
from bulkhead.dagster_compat import (
    LOAD_ALL_ASSETS,
    LazyDefinitions,
    alter_sys_path,
    import_module_from_path,
    loadable_targets_from_loaded_module,
    repository_def_from_target_def,
)

_SOURCES = (
    names.DEFINITIONS_MODULE_ENV,
    names.DEFINITIONS_PACKAGE_ENV,
    names.DEFINITIONS_FILE_ENV,
)

# The types that Dagster finds in a module. Anything else that an attribute may have (a function, a
# list of assets) becomes a function under @dagster.definitions.
_FOUND_BY_TYPE = (
    LazyDefinitions,
    dagster.Definitions,
    dagster.RepositoryDefinition,
    dagster.JobDefinition,
    dagster.GraphDefinition,
)


def load_targets(environ: Mapping[str, str] = os.environ) -> dict[str, object]:
    """Import the team's code and return what Dagster loads from it, by name.

    The rules are Dagster's own (`dagster/_core/workspace/autodiscovery.py`): an attribute that is
    named, else a function under `@definitions`, else one `Definitions`, else all repositories, else
    one job, else one graph, else all assets.

    Raises:
        DagsterInvariantViolationError: the settings name no place, several, or one that does not
            exist; or there is nothing in it that Dagster can load.
        Exception: any error of the team's own code, unchanged.
    """
    source, place = _source(environ)
    working_directory = environ.get(names.DEFINITIONS_WORKING_DIRECTORY_ENV)
    with alter_sys_path(to_add=[working_directory] if working_directory else [], to_remove=[]):
        module = _import(source, place, working_directory)
        attribute = environ.get(names.DEFINITIONS_ATTRIBUTE_ENV)
        if attribute:
            return {attribute: _named_target(module, attribute, source, place)}
        found = dict(loadable_targets_from_loaded_module(module))
        if LOAD_ALL_ASSETS in found:
            return {"definitions": _lazily(lambda: found[LOAD_ALL_ASSETS])}
        return found


def _source(environ: Mapping[str, str]) -> tuple[str, str]:
    found = [(name, environ[name]) for name in _SOURCES if environ.get(name)]
    if len(found) != 1:
        given = ", ".join(f"{name}={place}" for name, place in found) or "none of them"
        raise DagsterInvariantViolationError(
            f"Exactly one of {', '.join(_SOURCES)} must name the code location's definitions; "
            f"set is {given}. On the platform, set `definitions` in the values of the "
            "code-location release."
        )
    return found[0]


def _import(source: str, place: str, working_directory: str | None) -> ModuleType:
    if source == names.DEFINITIONS_FILE_ENV:
        return _import_file(place, working_directory)
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        # Only if the place itself is missing. A module that the team's code lacks is the team's own
        # error.
        if error.name and f"{place}.".startswith(f"{error.name}."):
            raise DagsterInvariantViolationError(
                f"{source} is {place!r}, but there is no module {error.name!r} in "
                f"{[path or '.' for path in sys.path]}. Install the package in the image, or set "
                f"{names.DEFINITIONS_WORKING_DIRECTORY_ENV} to the folder that contains it."
            ) from error
        raise


def _import_file(place: str, working_directory: str | None) -> ModuleType:
    path = os.path.join(working_directory or "", place)  # noqa: PTH118 - keeps a relative path so
    if not os.path.isfile(path):  # noqa: PTH113 - same
        raise DagsterInvariantViolationError(
            f"{names.DEFINITIONS_FILE_ENV} is {place!r}, but there is no file "
            f"{os.path.abspath(path)}."  # noqa: PTH100 - same
        )
    name = os.path.splitext(os.path.basename(path))[0]  # noqa: PTH119, PTH122 - same
    return import_module_from_path(name, path)


def _named_target(module: ModuleType, attribute: str, source: str, place: str) -> object:
    if not hasattr(module, attribute):
        raise DagsterInvariantViolationError(
            f"{names.DEFINITIONS_ATTRIBUTE_ENV} is {attribute!r}, but {place} (from {source}) has "
            "no such attribute. Correct it, or leave it out: then Dagster searches the module."
        )
    target = getattr(module, attribute)
    if isinstance(target, _FOUND_BY_TYPE):
        return cast("object", target)
    return _lazily(cast("Callable[[], Any]", target) if callable(target) else lambda: target)


def _lazily(load: Callable[[], object]) -> object:
    """Let Dagster call `load` when it builds the location."""

    def load_definitions() -> Any:  # noqa: ANN401 - of any type that Dagster loads
        target = load()
        if isinstance(target, dagster.Definitions):
            return target
        repository = repository_def_from_target_def(target)
        if repository is None:
            raise DagsterInvariantViolationError(
                f"{names.DEFINITIONS_ATTRIBUTE_ENV} must name Definitions, a repository, a job, a "
                "graph, a list of assets, or a function without arguments that returns one of "
                f"them; it is {target!r}."
            )
        return repository

    return dagster.definitions(load_definitions)
