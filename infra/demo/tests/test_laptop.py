"""The demo without a cluster: one at a time, and each code location with its own Python."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulkhead_demo import laptop
from bulkhead_demo.laptop import LaptopError, LocalPage
from bulkhead_kind.page import PageError


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laptop, "LAPTOP", tmp_path)
    monkeypatch.setattr(laptop, "OPEN", tmp_path / "open.json")


def test_each_code_location_runs_with_its_own_python() -> None:
    made = laptop.workspace({"ml": Path("/venvs/ml/bin/python"), "analytics": Path("/venvs/a")})
    modules = [each["python_module"] for each in made["load_from"]]
    assert [each["location_name"] for each in modules] == ["ml", "analytics"]
    assert modules[0]["executable_path"] == "/venvs/ml/bin/python"
    assert modules[0]["module_name"] == "ml.definitions"


def test_nobody_is_told_of_the_use_and_no_proxy_stands_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_PROXY", "example.com")
    monkeypatch.delenv("no_proxy", raising=False)
    told = laptop.surroundings("http://127.0.0.1:1")
    assert told["RUNTIME__DLTHUB_TELEMETRY"] == "false"
    assert told["DO_NOT_TRACK"] == "1"
    assert told["NO_PROXY"] == "example.com,127.0.0.1"
    assert told["no_proxy"] == "127.0.0.1"


def test_a_second_demo_is_told_where_the_first_is() -> None:
    with laptop._only_one() as told:
        told.write_text('{"url": "http://127.0.0.1:3000"}')
        assert laptop.open_page() == LocalPage("http://127.0.0.1:3000")
        with pytest.raises(LaptopError, match=r"open already, at http://127\.0\.0\.1:3000"):
            laptop._only_one().__enter__()


def test_a_demo_that_is_starting_has_no_page_yet() -> None:
    with laptop._only_one() as told:
        told.write_text('{"url": "http://127.0.0.1:3000"}')
    with laptop._only_one(), pytest.raises(LaptopError, match="is starting"):
        laptop.open_page()


def test_a_demo_that_has_ended_is_not_open() -> None:
    with laptop._only_one() as told:
        told.write_text('{"url": "http://127.0.0.1:3000"}')
    with pytest.raises(LaptopError, match="`make demo`"):
        laptop.open_page()


def test_a_page_that_does_not_answer_is_named() -> None:
    url = f"http://127.0.0.1:{laptop._free_port()}"
    with pytest.raises(PageError, match=f"{url} did not answer"):
        LocalPage(url).query("{ version }")
