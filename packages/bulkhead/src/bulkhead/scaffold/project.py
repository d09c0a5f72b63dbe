"""The files of a new code location: a copy of the template under its own name.

`bulkhead/templates/code_location` is a code location that works, called my-location. To make
another of it, that name is replaced wherever it stands, in each of its three spellings.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bulkhead.scaffold.location_name import module_of

TEMPLATE: Final = Path(__file__).resolve().parents[1] / "templates" / "code_location"

_NAME: Final = "my-location"


def write(folder: Path) -> list[Path]:
    """Write the code location that is called like `folder`, which must not exist yet.

    All of it or nothing: what was begun is removed when it can't be finished.

    Returns:
        The files, relative to the folder.

    Raises:
        FileExistsError: something of that name is there; it is left as it is.
        OSError: the folder could not be made or written to.
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
    """Return the template's files, without what Python and tools have left among them."""
    for path in sorted(TEMPLATE.rglob("*")):
        file = path.relative_to(TEMPLATE)
        left = any(part == "__pycache__" or part.startswith(".") for part in file.parts)
        if path.is_file() and not left:
            yield file


def _spellings(name: str) -> dict[str, str]:
    """Return what to replace by what: the name, its module, its environment variables' prefix."""
    template, module = module_of(_NAME), module_of(name)
    return {_NAME: name, template: module, template.upper(): module.upper()}


def _renamed(text: str, spellings: dict[str, str]) -> str:
    for old, new in spellings.items():
        text = text.replace(old, new)
    return text
