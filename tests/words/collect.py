"""Collects every text that a user of the project can read, with its file and line."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_PYTHON = (
    "packages/bulkhead/src/**/*.py",
    "infra/*/src/**/*.py",
    "infra/kind/node-image/network/bulkhead_network/**/*.py",
    "user_code/*/src/**/*.py",
    "user_code/*/*/src/**/*.py",
)
# CHANGELOG.md is left out: it names what a word was before.
_DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/**/*.md",
    "charts/**/NOTES.txt",
    "images/**/README.md",
    "infra/kind/node-image/**/README.md",
    "packages/*/README.md",
    "packages/bulkhead/src/bulkhead/templates/*/README.md",
    "user_code/*/README.md",
    "user_code/grocer/*/README.md",
)
_COMMENTS = (
    "charts/*/values.yaml",
    "infra/*/chart/values.yaml",
    "packages/bulkhead/src/bulkhead/templates/*/values.yaml",
    "user_code/*/values.yaml",
    "user_code/grocer/*/values.yaml",
)
_SCHEMAS = ("charts/*/values.schema.json", "infra/*/chart/values.schema.json")
_TEMPLATES = (
    "charts/*/templates/**/*.tpl",
    "charts/*/templates/**/*.yaml",
    "infra/*/chart/templates/**/*.tpl",
    "infra/*/chart/templates/**/*.yaml",
)
_PLACEHOLDER = "{}"


@dataclass(frozen=True)
class Text:
    """A text in a file; `{}` stands for the values in it."""

    line: int
    """Where it starts, counted from 1."""
    text: str
    is_message: bool
    """Whether it is printed or raised; False for documents and docstrings."""
    end: int | None = None
    """The last line of a string in Python, whose line breaks may not be those of the text."""

    def line_of(self, match: re.Match[str], source: str) -> int:
        """Return the line of a match in the text; `source` is the whole file."""
        line = self.line + self.text.count("\n", 0, match.start())
        if self.end is None:
            return line
        lines = source.splitlines()
        candidates = (line, *range(self.line, self.end + 1))
        return next((each for each in candidates if match[0] in lines[each - 1]), line)


@dataclass(frozen=True)
class Error:
    """A text that a `raise` statement gives its exception."""

    line: int
    length: int
    """Characters without the values in it."""


def python(source: str) -> list[Text]:
    """Return docstrings and all strings with a space; f-strings without their values."""
    tree = ast.parse(source)
    documents = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and _constant(node.value) is not None
    }
    parts = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values
        if isinstance(part, ast.Constant)
    }
    found = [
        Text(node.lineno, text, id(node) not in documents, node.end_lineno)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in parts
        if (text := _constant(node)) is not None and " " in text
    ]
    return sorted(found, key=lambda each: each.line)


def _constant(node: ast.AST) -> str | None:
    """Return a string's text, with `{}` for each value of an f-string; None if it is no string."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else _PLACEHOLDER
            for part in node.values
        )
    return None


def names(path: str, source: str) -> list[tuple[int, str]]:
    """Return line and name of the module and of all that it defines."""
    found = [(1, Path(path).stem)]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.append((node.lineno, node.name))
        elif isinstance(node, ast.arg):
            found.append((node.lineno, node.arg))
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.append((node.lineno, node.id if isinstance(node, ast.Name) else node.attr))
    return sorted(found)


def words_of(name: str) -> list[str]:
    """Return the words of a name in lower case: of `step_key`, `StepKey` and `STEP_KEY`."""
    return [each.lower() for each in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]


def errors(source: str) -> list[Error]:
    """Return the texts that `raise` statements give their exceptions."""
    found: list[Error] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            arguments = [*node.exc.args, *(each.value for each in node.exc.keywords)]
            found += [Error(each.lineno, length) for each in arguments if (length := _length(each))]
    return found


def _length(node: ast.AST) -> int:
    if isinstance(node, ast.BinOp):
        return _length(node.left) + _length(node.right)
    if isinstance(node, ast.IfExp):
        return max(_length(node.body), _length(node.orelse))
    text = _constant(node)
    return 0 if text is None else len(text.replace(_PLACEHOLDER, ""))


def document(source: str) -> list[Text]:
    """Return the whole text."""
    return [Text(1, source, is_message=False)]


def comments(source: str) -> list[Text]:
    """Return the comments of a YAML file, on their lines."""
    found = (re.search(r"(?:^|\s)#.*", line) for line in source.splitlines())
    return [Text(1, "\n".join(each[0] if each else "." for each in found), is_message=False)]


def schema(source: str) -> list[Text]:
    """Return the descriptions of a JSON schema."""
    return [
        Text(_line(source, each.start(1)), each[1], is_message=False)
        for each in re.finditer(r'"description":\s*"((?:[^"\\]|\\.)*)"', source)
    ]


def failures(source: str) -> list[Text]:
    """Return the strings in a chart's calls of `fail`."""
    return [
        Text(_line(source, action.start() + string.start(1)), string[1], is_message=True)
        for action in re.finditer(r"\{\{-?\s*fail\b.*?\}\}", source, re.DOTALL)
        for string in re.finditer(r'"((?:[^"\\]|\\.)*)"', action[0])
        if " " in string[1]
    ]


def make_help(source: str) -> list[Text]:
    """Return what `make help` prints."""
    found = (re.search(r"(?:^##@|:.*## )(.*)", line) for line in source.splitlines())
    return [
        Text(number, each[1], is_message=True)
        for number, each in enumerate(found, start=1)
        if each is not None
    ]


def _line(source: str, offset: int) -> int:
    return source.count("\n", 0, offset) + 1


Reader = Callable[[str], list[Text]]
READERS: tuple[tuple[tuple[str, ...], Reader], ...] = (
    (_PYTHON, python),
    (_DOCUMENTS, document),
    (_COMMENTS, comments),
    (_SCHEMAS, schema),
    (_TEMPLATES, failures),
    (("Makefile",), make_help),
)


def files() -> Iterator[tuple[str, Reader]]:
    """Yield the path of each file, relative to the project's root, and what reads its texts."""
    for patterns, reader in READERS:
        for pattern in patterns:
            for path in sorted(ROOT.glob(pattern)):
                yield str(path.relative_to(ROOT)), reader
