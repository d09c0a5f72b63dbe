"""Which Go compiles: the machine's own when new enough, else the pinned one."""

from pathlib import Path

import pytest

from bulkhead_kind import go


def path_with_go(folder: Path, version: str) -> str:
    program = folder / "go"
    program.write_text(f"#!/bin/sh\necho {version}\n")
    program.chmod(0o755)
    return str(folder)


@pytest.mark.parametrize(
    ("found", "used"),
    [("go1.26.8", "go1.26.8"), ("go1.24", "go1.24"), ("go1.19.8", f"go{go.WHEEL.version}")],
)
def test_a_go_that_is_new_enough_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: str, used: str
) -> None:
    monkeypatch.setenv("PATH", path_with_go(tmp_path, found))
    assert go.version() == used


def test_without_any_go_the_pinned_one_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert go.version() == f"go{go.WHEEL.version}"
