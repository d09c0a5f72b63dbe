"""Messages, help texts and documents are in plain words; a failure says what to write instead."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from tests.words import collect, plain_words
from tests.words.plain_words import Scope

if TYPE_CHECKING:
    from tests.words.collect import Reader

FILES = sorted(set(collect.files()), key=lambda each: each[0])

PYTHON = [path for path, reader in FILES if reader is collect.python]


def complaints(path: str, reader: Reader, source: str) -> list[str]:
    """Return a line for each word in a file's texts that is not plain, in their order."""
    found: set[tuple[int, str]] = set()
    for text in reader(source):
        for word in plain_words.WORDS:
            if word.scope is Scope.MESSAGES and not text.is_message:
                continue
            for match in word.pattern.finditer(text.text):
                words = " ".join(match[0].replace("#", " ").split())
                if (path, words.lower()) in plain_words.ALLOWED:
                    continue
                line = text.line_of(match, source)
                found.add((line, f"{path}:{line}: “{words}” → write: {word.instead}"))
    return [message for _, message in sorted(found)]


def bad_names(path: str, source: str) -> list[str]:
    """Return a line for each name with a word that is not plain."""
    return [
        f"{path}:{line}: {name} → use: {plain_words.NAMES[word]}"
        for line, name in collect.names(path, source)
        for word in collect.words_of(name)
        if word in plain_words.NAMES
    ]


@pytest.mark.parametrize(("path", "reader"), FILES, ids=[path for path, _ in FILES])
def test_a_file_uses_plain_words(path: str, reader: Reader) -> None:
    found = complaints(path, reader, (collect.ROOT / path).read_text())
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("path", PYTHON)
def test_a_module_has_plain_names(path: str) -> None:
    found = bad_names(path, (collect.ROOT / path).read_text())
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("path", PYTHON)
def test_an_error_message_is_short(path: str) -> None:
    found = [
        f"{path}:{each.line}: {each.length} characters; at most {plain_words.LONGEST_ERROR}"
        for each in collect.errors((collect.ROOT / path).read_text())
        if each.length > plain_words.LONGEST_ERROR
    ]
    assert not found, "\n" + "\n".join(found)


def test_every_kind_of_file_is_collected() -> None:
    paths = {path for path, _ in FILES}
    assert paths >= {
        "packages/bulkhead/src/bulkhead/cli.py",
        "packages/bulkhead/src/bulkhead/templates/code_location/src/my_location/logic.py",
        "infra/kind/src/bulkhead_kind/cli.py",
        "infra/demo/src/bulkhead_demo/cli.py",
        "user_code/hello/src/hello/definitions.py",
        "user_code/grocer/ml/src/ml/definitions.py",
        "README.md",
        "CONTRIBUTING.md",
        "docs/install.md",
        "docs/design/decisions.md",
        "charts/bulkhead/values.yaml",
        "charts/bulkhead/values.schema.json",
        "charts/code-location/templates/NOTES.txt",
        "charts/bulkhead/templates/code-locations/_amounts.tpl",
        "Makefile",
    }
    assert any(path.startswith("infra/kind/node-image/network/bulkhead_network/") for path in paths)
    for patterns, reader in collect.READERS:
        for pattern in patterns:
            assert [*collect.ROOT.glob(pattern)], f"{reader.__name__}: {pattern} matches no file"


def test_every_exception_is_still_needed() -> None:
    for (path, words), reason in plain_words.ALLOWED.items():
        assert reason, (path, words)
        pattern = r"[\s#]+".join(map(re.escape, words.split()))
        text = (collect.ROOT / path).read_text()
        assert re.search(pattern, text, re.IGNORECASE), f"{path} does not contain “{words}”"
