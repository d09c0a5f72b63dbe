"""Tools: from PATH if new enough, else from `.tools/`."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from bulkhead_kind import process, tools
from bulkhead_kind.progress import Progress, Step
from bulkhead_kind.tools import Tool, ToolError


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("kind v0.33.0 go1.26.8 linux/amd64", (0, 33, 0)),
        ("v4.1.4+g05fa379", (4, 1, 4)),
        ("Client Version: v1.32.4-dispatcher\nKustomize Version: v5.5.0", (1, 32, 4)),
        ("no version here", None),
    ],
)
def test_versions_are_read_as_the_tools_print_them(
    text: str, version: tuple[int, ...] | None
) -> None:
    assert tools.parse_version(text) == version


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the version output of each program; /usr/bin/thing is on PATH."""
    versions: dict[str, str] = {}

    def which(name: str) -> str:
        return f"/usr/bin/{name}"

    def output(command: Sequence[str], **_: object) -> str:
        return versions.get(command[0], "")

    monkeypatch.setattr(tools, "TOOLS", tmp_path)
    monkeypatch.setattr("shutil.which", which)
    monkeypatch.setattr(process, "output", output)
    return versions


def _thing(machine: dict[str, str], installs: str) -> Tool:
    def install(_: Step, folder: Path) -> None:
        machine[str(folder / "thing")] = installs

    return Tool("thing", (2, 0, 0), ("version",), install)


def test_one_on_path_that_is_new_enough_is_used(machine: dict[str, str], tmp_path: Path) -> None:
    machine["/usr/bin/thing"] = "v2.0.1"
    found = tools.ensure(Progress(tmp_path / "logs"), _thing(machine, "v3.0.0"))
    assert found == Path("/usr/bin/thing")


def test_one_on_path_that_is_too_old_is_not(machine: dict[str, str], tmp_path: Path) -> None:
    machine["/usr/bin/thing"] = "v1.9.9"
    found = tools.ensure(Progress(tmp_path / "logs"), _thing(machine, "v2.0.0"))
    assert found == tmp_path / "thing"


def test_an_installed_tool_that_is_too_old_is_an_error(
    machine: dict[str, str], tmp_path: Path
) -> None:
    with pytest.raises(ToolError, match=r"2\.0\.0 or newer"):
        tools.ensure(Progress(tmp_path / "logs"), _thing(machine, "v1.0.0"))
