"""What is collected, and that each word is found in it: the test of plain words can fail."""

from __future__ import annotations

import pytest
from tests.words import collect, plain_words
from tests.words.plain_words import Scope, Word
from tests.words.test_words import bad_names, complaints

SOURCE = '''"""Module, in vain."""
GROWTH = re.compile("a pattern in vain")
KEY = "in-vain"


class Step:
    """First line.

    A line that ends in
    vain.
    """

    memory: int
    """Bytes, in vain."""


def start(name: str) -> None:
    raise StepError(
        f"Step {name} "
        f"waits in vain for {', '.join('in vain')} "
        "and then it fails"
    )
'''


@pytest.mark.parametrize("word", plain_words.WORDS, ids=lambda each: each.text)
def test_each_word_is_found_in_a_message(word: Word) -> None:
    source = f'"""Module."""\n\nMESSAGE = {word.sample!r}\n'
    found = complaints("sample.py", collect.python, source)
    assert any(
        each.startswith("sample.py:3: ") and each.endswith(f"→ write: {word.instead}")
        for each in found
    )


@pytest.mark.parametrize("word", plain_words.WORDS, ids=lambda each: each.text)
def test_each_word_is_found_in_a_document_if_it_is_for_documents(word: Word) -> None:
    found = complaints("sample.md", collect.document, f"# Title\n\n{word.sample}\n")
    hits = [each for each in found if each.endswith(f"→ write: {word.instead}")]
    assert bool(hits) == (word.scope is Scope.EVERYWHERE)


@pytest.mark.parametrize(
    "sentence",
    [
        "There is no finished run yet.",
        "The pod is no longer there.",
        "We recommend to amend it.",
        "It is set by max_infrastructure_repeats.",
        "A PersistentVolumeClaim for the page cache.",
        "Run the same command again.",
        "The run ran out of memory (OOM-killed).",
        "Wherever it runs, therefore, it has a limit.",
        "'x' is not a valid duration.",
        "The model is no better than the naive one, and that is no special case.",
        "Monday is four days away.",
    ],
)
def test_plain_sentences_are_accepted(sentence: str) -> None:
    assert complaints("sample.md", collect.document, sentence) == []


def test_docstrings_strings_and_f_strings_are_collected_with_their_lines() -> None:
    found = complaints("sample.py", collect.python, SOURCE)
    assert [each.split(":")[1] for each in found] == ["1", "2", "9", "14", "20"]


def test_values_of_an_f_string_are_placeholders() -> None:
    texts = {each.text.replace("\n", "") for each in collect.python(SOURCE) if each.is_message}
    assert texts == {
        "a pattern in vain",
        "Step {} waits in vain for {} and then it fails",
        "in vain",  # the string inside the value is one of its own
        ", ",
    }


def test_docstrings_are_documents_and_strings_are_messages() -> None:
    message = 'def f():\n    """It can\'t."""\n    return "It can\'t."\n'
    found = complaints("sample.py", collect.python, message)
    assert [each.split(":")[1] for each in found] == ["3"]


@pytest.mark.parametrize("word", plain_words.NAMES)
def test_each_word_is_found_in_a_name(word: str) -> None:
    source = (
        f"class My{word.title()}: ...\n"
        f"def wait(*, {word}: int): ...\n"
        f"LONGEST_{word.upper()} = 3\n"
        f"self._{word} = recommended = impulse = amended = 3\n"
    )
    found = bad_names("sample.py", source)
    assert [each.split(":")[1] for each in found] == ["1", "2", "3", "4"]
    assert all(each.endswith(f"→ use: {plain_words.NAMES[word]}") for each in found)
    assert len(bad_names(f"{word}.py", "")) == 1


def test_the_length_of_an_error_counts_its_constant_parts() -> None:
    (error,) = collect.errors(SOURCE)
    assert error.length == len("Step  waits in vain for  and then it fails")
    long = f'raise ValueError("{"a" * 200}" + name + f"{{name}}{"b" * 101}")'
    assert [each.length for each in collect.errors(long)] == [301]
    assert collect.errors("raise ValueError(f'{text}') from None") == []
    assert collect.errors("raise") == []


def test_a_phrase_in_comments_may_go_over_two_lines() -> None:
    text = "# The step waits for\n# want of memory.\nkey: for want of  # and in vain\n"
    found = complaints("values.yaml", collect.comments, text)
    assert [each.split(" → ")[0] for each in found] == [
        "values.yaml:1: “for want of”",
        "values.yaml:3: “in vain”",
    ]


def test_descriptions_of_a_schema_are_collected() -> None:
    text = '{"properties": {\n"a": {"description": "A \\"word\\" in vain.", "pattern": "in vain"}}}'
    (found,) = complaints("values.schema.json", collect.schema, text)
    assert found.startswith("values.schema.json:2: “in vain”")


def test_messages_of_fail_are_collected_and_other_strings_of_templates_are_not() -> None:
    text = '{{- /* in vain */}}\nkey: "in vain"\n{{- fail (printf "%s: in vain" $path) -}}\n'
    (found,) = complaints("_helpers.tpl", collect.failures, text)
    assert found.startswith("_helpers.tpl:3: “in vain”")


def test_the_help_of_make_is_collected() -> None:
    text = "# in vain\n##@ Use in vain\nup: .venv ## Start it in vain\n\t@echo in vain\n"
    found = complaints("Makefile", collect.make_help, text)
    assert [each.split(" ")[0] for each in found] == ["Makefile:2:", "Makefile:3:"]
