"""Writes the files of a new code location: a copy of the template with another name.

`bulkhead/templates/code_location` is a complete code location with the name my-location. The copy
replaces that name in each file and path, in its three spellings. `bulkhead/templates/repository`
has the files that a repository of its own has in addition, or instead.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from bulkhead.scaffold.module_name import module_of

_TEMPLATES: Final = Path(__file__).resolve().parents[1] / "templates"

CODE_LOCATION: Final = (_TEMPLATES / "code_location",)
"""The templates of a folder of a clone."""

REPOSITORY: Final = (*CODE_LOCATION, _TEMPLATES / "repository")
"""The templates of a repository of its own."""

_NAME: Final = "my-location"

# The other hidden files are caches of tools.
_HIDDEN: Final = frozenset({".github", ".gitignore"})


def write(
    folder: Path,
    templates: Sequence[Path] = CODE_LOCATION,
    replacements: Mapping[str, str] | None = None,
) -> list[Path]:
    """Write the code location with the name of `folder`, which must not exist yet.

    If a file cannot be written, the whole folder is removed.

    Args:
        folder: The new folder.
        templates: Folders of templates. A file of a later one takes precedence.
        replacements: Further texts to replace: old to new.

    Returns:
        The files, relative to the folder.

    Raises:
        FileExistsError: The path exists; it is not changed.
        OSError: The folder cannot be created or written to.
    """
    folder.mkdir()
    texts = {**(replacements or {}), **_spellings(folder.name)}
    try:
        return sorted(_copy(folder, files(templates), texts))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def files(templates: Sequence[Path]) -> dict[Path, Path]:
    """Return the relative path of each file of the templates, and where it is."""
    found: dict[Path, Path] = {}
    for template in templates:
        for path in sorted(template.rglob("*")):
            relative = path.relative_to(template)
            if path.is_file() and not any(map(_is_cache, relative.parts)):
                found[relative] = path
    return found


def _is_cache(part: str) -> bool:
    return part == "__pycache__" or (part.startswith(".") and part not in _HIDDEN)


def _copy(folder: Path, sources: Mapping[Path, Path], texts: Mapping[str, str]) -> Iterator[Path]:
    for relative, source in sources.items():
        target = Path(_replaced(str(relative), texts))
        (folder / target.parent).mkdir(parents=True, exist_ok=True)
        text = source.read_text(encoding="utf-8")
        (folder / target).write_text(_replaced(text, texts), encoding="utf-8")
        yield target


def _spellings(name: str) -> dict[str, str]:
    """Return old and new text: the name, the module, the prefix of environment variables."""
    template, module = module_of(_NAME), module_of(name)
    return {_NAME: name, template: module, template.upper(): module.upper()}


def _replaced(text: str, texts: Mapping[str, str]) -> str:
    for old, new in texts.items():
        text = text.replace(old, new)
    return text
