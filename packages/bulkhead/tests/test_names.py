import re

import pytest

from bulkhead import names

VALID = re.compile(r"(?=.{1,63}$)[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")


@pytest.mark.parametrize("step_key", ["add_one", "a" * 63, "A.b-c_1", "x"])
def test_a_step_key_that_is_a_label_value_stays_as_it_is(step_key: str) -> None:
    assert names.label_value(step_key) == step_key


@pytest.mark.parametrize("step_key", ["square[1]", "a" * 64, "_hidden", "graph.", "ü", ""])
def test_any_other_step_key_becomes_a_valid_label_value(step_key: str) -> None:
    value = names.label_value(step_key)
    assert VALID.fullmatch(value)
    assert re.fullmatch(r"sha256-[0-9a-f]{40}", value)


def test_step_keys_that_begin_alike_have_labels_of_their_own() -> None:
    assert names.label_value("a" * 64) != names.label_value("a" * 65)
    assert names.label_value("square[1]") != names.label_value("square[2]")
