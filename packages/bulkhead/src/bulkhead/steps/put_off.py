"""Packages that hardly any step uses, imported when they are used and not by who might use them.

Dagster's storages import alembic, to migrate their tables, and all daemons, for the type of their
heartbeats: a fifth of the time in which a step imports Dagster. In a step's pod no daemon runs, and
nothing is migrated unless the step's code makes an instance of its own.
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
    """Finds a module without content for every module of a package, until one of them is needed."""

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
        """Nothing is in it."""

    def begin(self) -> None:
        """Go before all who would find the real package."""
        sys.meta_path.insert(0, self)

    def end(self) -> None:
        """Let the real package be found from now on; may be called again."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
            for name in [name for name in sys.modules if self._is_of_package(name)]:
                del sys.modules[name]

    def _is_of_package(self, name: str) -> bool:
        return name.partition(".")[0] == self._package


class _Module(ModuleType):
    """A module in which every name is found."""

    def __init__(self, finder: _Finder, name: str) -> None:
        super().__init__(name)
        self._finder = finder

    def __getattr__(self, name: str) -> "_Name":
        if name.startswith("__"):
            raise AttributeError(name)
        return _Name(self._finder, self.__name__, name)


class _Name:
    """Stands for a function or class, whose module is imported once it is called or looked at."""

    def __init__(self, finder: _Finder, module: str, name: str) -> None:
        self._finder = finder
        self._module = module
        self._name = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the real one has
        return self._real()(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the same
        return getattr(self._real(), name)

    def _real(self) -> Any:  # noqa: ANN401 - the same
        self._finder.end()
        return getattr(importlib.import_module(self._module), self._name)


@contextmanager
def put_off(package: str) -> Generator[None]:
    """Let what is imported from a package within be imported when it is used.

    Whoever imports the package afterwards gets it as it is, and so does everybody where it has been
    imported before.
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
    """A package that is loaded once something is looked for that only its `__init__` has."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the real one has
        object.__setattr__(self, "__class__", ModuleType)
        loader = self.__spec__ and self.__spec__.loader
        assert loader  # noqa: S101 - it was made with one
        loader.exec_module(self)
        return getattr(self, name)


def put_off_init(package: str) -> None:
    """Let modules of a package be imported from now on without what its `__init__` imports.

    That is done when something is looked for in the package itself. Nothing changes where the
    package has been imported before.

    Raises:
        ModuleNotFoundError: the package's own parent is not there.
    """
    spec = None if package in sys.modules else importlib.util.find_spec(package)
    if spec is None:
        return
    put_off_package = _Package(package)
    put_off_package.__spec__ = spec
    put_off_package.__path__ = list(spec.submodule_search_locations or ())
    put_off_package.__file__ = spec.origin
    put_off_package.__package__ = package
    sys.modules[package] = put_off_package
    parent, _, name = package.rpartition(".")
    setattr(sys.modules[parent], name, put_off_package)
