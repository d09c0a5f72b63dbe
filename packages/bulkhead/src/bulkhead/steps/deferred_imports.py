"""Imports packages when they are first used, and not when another package mentions them.

Dagster's storages import alembic, to migrate their tables, and all daemons, for the type of their
heartbeats. That is a fifth of the time in which a step imports Dagster. In a step's pod no daemon
runs, and nothing is migrated unless the code of the step creates an instance of its own.
"""

import importlib
import importlib.util
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class _Finder(MetaPathFinder, Loader):
    """Finds an empty module for every module of a package, until one of them is used."""

    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if self._is_of_package(fullname):
            return ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Module(self, spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Leave the module empty."""

    def begin(self) -> None:
        """Take precedence over the finders of the real package."""
        sys.meta_path.insert(0, self)

    def end(self) -> None:
        """Let the real package be found from now on. May be called more than once."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
            for name in [name for name in sys.modules if self._is_of_package(name)]:
                del sys.modules[name]

    def _is_of_package(self, name: str) -> bool:
        return name.partition(".")[0] == self._package


class _Module(ModuleType):
    """A module that has every name."""

    def __init__(self, finder: _Finder, name: str) -> None:
        super().__init__(name)
        self._finder = finder

    def __getattr__(self, name: str) -> "_Name":
        if name.startswith("__"):
            raise AttributeError(name)
        return _Name(self._finder, self.__name__, name)


class _Name:
    """Stands for a function or class. Its module is imported when it is called or inspected."""

    def __init__(self, finder: _Finder, module: str, name: str) -> None:
        self._finder = finder
        self._module = module
        self._name = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the real one
        return self._real()(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the same
        return getattr(self._real(), name)

    def _real(self) -> Any:  # noqa: ANN401 - the same
        self._finder.end()
        return getattr(importlib.import_module(self._module), self._name)


@contextmanager
def defer(package: str) -> Generator[None]:
    """Defer imports from a package that are made within this context until they are used.

    Imports after the context get the real package. If the package has been imported before, nothing
    is deferred.
    """
    if package in sys.modules:
        yield
        return
    finder = _Finder(package)
    finder.begin()
    try:
        yield
    finally:
        finder.end()


class _Package(ModuleType):
    """A package whose `__init__` runs when a name is needed that only `__init__` has."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - as the real one
        object.__setattr__(self, "__class__", ModuleType)
        loader = self.__spec__ and self.__spec__.loader
        assert loader  # noqa: S101 - it was created with one
        loader.exec_module(self)
        return getattr(self, name)


def defer_init(package: str) -> None:
    """Let modules of a package be imported from now on without running its `__init__`.

    Its `__init__` runs when a name of the package itself is needed. Nothing changes where the
    package has been imported before.

    Raises:
        ModuleNotFoundError: the parent of the package does not exist.
    """
    spec = None if package in sys.modules else importlib.util.find_spec(package)
    if spec is None:
        return
    deferred = _Package(package)
    deferred.__spec__ = spec
    deferred.__path__ = list(spec.submodule_search_locations or ())
    deferred.__file__ = spec.origin
    deferred.__package__ = package
    sys.modules[package] = deferred
    parent, _, name = package.rpartition(".")
    setattr(sys.modules[parent], name, deferred)
