"""Writes the files of a new code location: a copy of the template with another name.

`bulkhead/templates/code_location` is a complete code location with the name my-location. The copy
replaces that name in each file and path, in its three spellings.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bulkhead.scaffold.module_name import module_of

TEMPLATE: Final = Path(__file__).resolve().parents[1] / "templates" / "code_location"

_NAME: Final = "my-location"


def write(folder: Path) -> list[Path]:
    """Write the code location with the name of `folder`, which must not exist yet.

    If a file cannot be written, the whole folder is removed.

    Returns:
        The files, relative to the folder.

    Raises:
        FileExistsError: The path exists; it is not changed.
        OSError: The folder cannot be created or written to.
    """
    folder.mkdir()
    try:
        return sorted(_copy(folder))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _copy(folder: Path) -> Iterator[Path]:
    spellings = _spellings(folder.name)
    for source in _files():
        target = Path(_renamed(str(source), spellings))
        (folder / target.parent).mkdir(parents=True, exist_ok=True)
        text = (TEMPLATE / source).read_text(encoding="utf-8")
        (folder / target).write_text(_renamed(text, spellings), encoding="utf-8")
        yield target


def _files() -> Iterator[Path]:
    """Return the template's files, without caches and hidden files of Python and tools."""
    for path in sorted(TEMPLATE.rglob("*")):
        file = path.relative_to(TEMPLATE)
        is_cache = any(part == "__pycache__" or part.startswith(".") for part in file.parts)
        if path.is_file() and not is_cache:
            yield file


def _spellings(name: str) -> dict[str, str]:
    """Return old and new text: the name, the module, the prefix of environment variables."""
    template, module = module_of(_NAME), module_of(name)
    return {_NAME: name, template: module, template.upper(): module.upper()}


def _renamed(text: str, spellings: dict[str, str]) -> str:
    for old, new in spellings.items():
        text = text.replace(old, new)
    return text
