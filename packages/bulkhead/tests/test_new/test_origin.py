"""A new repository gets `bulkhead` from where the one that runs comes from."""

import zipfile
from pathlib import Path
from typing import Any

import pytest
import tomllib

from bulkhead.scaffold import origin
from bulkhead.scaffold.origin import Origin, OriginError

PACKAGE = Path(__file__).parents[2]


def of(recorded: dict[str, Any] | None, scratch: Path) -> Origin:
    return origin.of_direct_url(recorded, scratch, lambda _: None)


def source(found: Origin) -> dict[str, str]:
    assert found.source is not None
    return tomllib.loads(f"bulkhead = {found.source}")["bulkhead"]


def test_a_package_index_needs_no_source(tmp_path: Path) -> None:
    assert of(None, tmp_path) == Origin(None)


def test_a_git_repository_is_named_with_the_exact_commit(tmp_path: Path) -> None:
    recorded = {
        "url": "https://git.example.com/platform/bulkhead",
        "vcs_info": {"vcs": "git", "requested_revision": "main", "commit_id": "4f2a" * 10},
        "subdirectory": "packages/bulkhead",
    }
    found = of(recorded, tmp_path)
    assert found.wheel is None
    assert source(found) == {
        "git": "https://git.example.com/platform/bulkhead",
        "rev": "4f2a" * 10,
        "subdirectory": "packages/bulkhead",
    }


def test_a_file_of_another_machine_is_named_by_its_address(tmp_path: Path) -> None:
    url = "https://files.example.com/bulkhead-0.1.0-py3-none-any.whl"
    found = of({"url": url, "archive_info": {}}, tmp_path)
    assert (source(found), found.wheel) == ({"url": url}, None)


def test_a_wheel_of_this_machine_is_taken_along(tmp_path: Path) -> None:
    wheel = tmp_path / "a folder" / "bulkhead-0.1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    wheel.touch()
    found = of({"url": wheel.as_uri(), "archive_info": {}}, tmp_path)
    assert found.wheel == wheel
    assert source(found) == {"path": f"wheels/{wheel.name}"}


def test_a_wheel_that_is_gone_is_an_error_that_names_it(tmp_path: Path) -> None:
    wheel = tmp_path / "bulkhead-0.1.0-py3-none-any.whl"
    with pytest.raises(OriginError, match=rf"{wheel}, which is gone"):
        of({"url": wheel.as_uri(), "archive_info": {}}, tmp_path)


def test_a_folder_becomes_a_wheel_with_the_templates(tmp_path: Path) -> None:
    recorded = {"url": PACKAGE.as_uri(), "dir_info": {"editable": True}}
    found = of(recorded, tmp_path)
    assert found.wheel is not None
    assert found.wheel.parent == tmp_path
    assert source(found) == {"path": f"wheels/{found.wheel.name}"}
    inside = zipfile.ZipFile(found.wheel).namelist()
    assert "bulkhead/templates/repository/bulkhead.toml" in inside


def test_a_folder_that_cannot_be_built_is_an_error_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("not TOML")
    with pytest.raises(OriginError, match="cannot be built"):
        of({"url": tmp_path.as_uri(), "dir_info": {}}, tmp_path / "scratch")
