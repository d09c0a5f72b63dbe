"""A package that hardly any step uses, imported when it is used and not by who might use it.

Dagster's storages import alembic, to migrate their tables: a tenth of the time in which a step
imports Dagster. In a step's pod nothing is migrated, unless its code makes an instance of its own.
"""

import importlib
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class _Name:
    """Stands for a function or class, whose module is imported once it is called or looked at."""

    def __init__(self, module: str, name: str) -> None:
        self._module = module
        self._name = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the real one has
        return self._real()(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the same
        return getattr(self._real(), name)

    def _real(self) -> Any:  # noqa: ANN401 - the same
        return getattr(importlib.import_module(self._module), self._name)


class _Module(ModuleType):
    """A module in which every name is found."""

    def __getattr__(self, name: str) -> _Name:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Name(self.__name__, name)


class _Finder(MetaPathFinder, Loader):
    """Finds such a module for every module of a package."""

    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if self.is_of_package(fullname):
            return ModuleSpec(fullname, self, is_package=True)
        return None

    def is_of_package(self, name: str) -> bool:
        return name.partition(".")[0] == self._package

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Module(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is in it."""


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
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if finder.is_of_package(name)]:
            del sys.modules[name]
