"""A report is read from a log exactly as it was written, or it is an error."""

import hashlib
import random
from typing import Any

import pytest

from bulkhead.code_location import report_lines
from bulkhead.code_location.report_lines import ReportError

MARK = "shop-load-check-4be1ff00-0a1b2c3d"
LARGE: dict[str, Any] = {
    "names": [hashlib.sha256(str(number).encode()).hexdigest() for number in range(500)]
}


def log(content: dict[str, Any], mark: str = MARK) -> str:
    return b"".join(report_lines.lines(mark, content)).decode()


@pytest.mark.parametrize("content", [{}, {"text": "größer \N{SNOWMAN} \n\r \0"}, LARGE])
def test_what_is_written_is_read(content: dict[str, Any]) -> None:
    assert report_lines.content(MARK, log(content)) == content


def test_equal_content_gives_equal_lines() -> None:
    first = report_lines.lines(MARK, {"a": 1, "b": 2})
    assert first == report_lines.lines(MARK, {"b": 2, "a": 1})


@pytest.mark.parametrize("mark", ["m", MARK, 200 * "m"])
def test_a_line_fits_into_one_write_of_a_pipe(mark: str) -> None:
    lines = report_lines.lines(mark, LARGE)
    assert len(lines) > 2
    assert max(map(len, lines)) <= 4096
    assert all(line.startswith(b"\n") and line.endswith(b"\n") for line in lines)


def test_other_lines_and_other_reports_are_ignored() -> None:
    others = log({"a": 1}, "other") + f"x{MARK} 1/1 AAAA\n{MARK}\n{MARK} 1/1 two words\n"
    assert report_lines.content(MARK, others) is None
    assert report_lines.content(MARK, f"{others}no end{log(LARGE)}{others}") == LARGE


def test_lines_may_come_in_any_order_and_twice_and_with_a_terminals_ends() -> None:
    lines = [line.decode() for line in report_lines.lines(MARK, LARGE)]
    shuffled = random.Random(1).sample(2 * lines, 2 * len(lines))  # noqa: S311 - no secret
    assert report_lines.content(MARK, "".join(shuffled)) == LARGE
    assert report_lines.content(MARK, "".join(lines).replace("\n", "\r\n")) == LARGE


def test_the_last_report_of_several_is_read() -> None:
    """The first process reports a stack after the code's own report was cut off."""
    first = report_lines.lines(MARK, LARGE)[0].decode()
    assert report_lines.content(MARK, first + log({"stack": "x"})) == {"stack": "x"}


def test_a_missing_line_is_an_error() -> None:
    lines = [line.decode() for line in report_lines.lines(MARK, LARGE)]
    with pytest.raises(ReportError, match=rf"^line 2 of {len(lines)} is missing$"):
        report_lines.content(MARK, "".join([lines[0], *lines[2:]]))


@pytest.mark.parametrize("text", ["!!!!", "AAAA", "eJw="])
def test_a_line_that_is_garbled_is_an_error(text: str) -> None:
    with pytest.raises(ReportError, match=r"^it cannot be read: "):
        report_lines.content(MARK, f"{MARK} 1/1 {text}\n")


def test_a_log_without_the_report_has_all_else() -> None:
    printed = f"one\n\ntwo\nx{MARK} 1/1 AAAA\n"
    assert report_lines.without(MARK, printed) == printed
    assert report_lines.without(MARK, f"one\n{log(LARGE)}two\n") == "one\ntwo\n"
