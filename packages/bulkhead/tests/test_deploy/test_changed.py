"""`bulkhead changed`, with real git repositories: which code locations a commit changes."""

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from packages.bulkhead.tests.clone import Clone

from bulkhead.cli import main

SETTINGS = """
[deploy]
locations = ["user_code/*"]
chart = "charts/code-location"
library = "packages/bulkhead"
"""


@pytest.fixture
def start(clone: Clone) -> str:
    """The first commit of a repository with two code locations, a chart and a library."""
    clone.write("bulkhead.toml", SETTINGS)
    clone.write("charts/code-location/Chart.yaml", "one")
    clone.write("packages/bulkhead/code.py", "one")
    for name in ("shop", "stock"):
        clone.write(f"user_code/{name}/pyproject.toml", "")
        clone.write(f"user_code/{name}/code.py", "one")
    return clone.commit()


def run(clone: Clone, *arguments: str) -> Result:
    return CliRunner().invoke(
        main, ["changed", "-C", str(clone.folder), *arguments], catch_exceptions=False
    )


def names(clone: Clone, *arguments: str) -> list[str]:
    result = run(clone, *arguments, "--json")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("\n") == 1, "a job of a CI service reads one line"
    return json.loads(result.stdout)


def test_only_the_folder_that_changed_is_listed(clone: Clone, start: str) -> None:
    clone.write("user_code/shop/code.py", "two")
    clone.write("user_code/shop/more.py", "more")
    clone.write("docs/page.md", "not of a code location")
    clone.commit()
    assert names(clone, "--since", start) == ["shop"]
    assert run(clone, "--since", start).stdout == "shop  2 files\n"


def test_nothing_is_listed_if_no_folder_changed(clone: Clone, start: str) -> None:
    clone.write("docs/page.md", "not of a code location")
    clone.commit()
    assert names(clone, "--since", start) == []
    assert run(clone, "--since", start).stdout == ""


def test_several_commits_are_compared_by_content_and_not_one_by_one(
    clone: Clone, start: str
) -> None:
    clone.write("user_code/shop/code.py", "two")
    clone.write("user_code/stock/code.py", "two")
    clone.commit()
    clone.write("user_code/shop/code.py", "one")
    clone.commit()
    assert names(clone, "--since", start) == ["stock"], "shop is as it was"
    assert names(clone, "--since", "HEAD^1") == ["shop"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("bulkhead.toml", f"{SETTINGS}strict = true\n"),
        ("charts/code-location/Chart.yaml", "two"),
        ("packages/bulkhead/code.py", "two"),
        ("pyproject.toml", "two"),
    ],
)
@pytest.mark.usefixtures("start")
def test_all_are_listed_if_something_that_they_share_changed(
    clone: Clone, path: str, text: str
) -> None:
    clone.write(path, text)
    clone.commit()
    assert names(clone, "--since", "HEAD^1") == ["shop", "stock"]
    assert path.startswith(run(clone, "--since", "HEAD^1").stdout.split()[1])


def test_a_settings_file_of_the_repository_is_shared_and_another_one_is_not(
    clone: Clone, start: str, tmp_path: Path
) -> None:
    inside = clone.write("production.toml", "[deploy]\nstrict = true\n")
    outside = tmp_path / "settings.toml"
    outside.write_text("[deploy]\nstrict = true\n")
    clone.commit()
    assert names(clone, "--since", start, "--settings", str(inside)) == ["shop", "stock"]
    assert names(clone, "--since", start, "--settings", str(outside)) == []


def test_a_chart_that_is_not_in_the_repository_is_not_searched_there(clone: Clone) -> None:
    clone.write(
        "bulkhead.toml", '[deploy]\nlocations = ["user_code/*"]\nchart = "oci://r/charts/c"\n'
    )
    clone.write("user_code/shop/pyproject.toml", "")
    clone.commit()
    clone.write("user_code/shop/pyproject.toml", "# changed")
    clone.commit()
    assert names(clone, "--since", "HEAD^1") == ["shop"]


def test_a_new_folder_is_listed_and_a_removed_one_is_not(clone: Clone, start: str) -> None:
    clone.write("user_code/orders/pyproject.toml", "")
    clone.git("rm", "-r", "--quiet", "user_code/stock")
    clone.commit()
    assert run(clone, "--since", start).stdout == "orders  new\n"


@pytest.mark.parametrize("since", ["0" * 40, "1" * 40, "no-such-branch"])
@pytest.mark.usefixtures("start")
def test_all_are_listed_if_the_earlier_commit_is_unknown_and_it_says_so(
    clone: Clone, since: str
) -> None:
    result = run(clone, "--since", since, "--json")
    assert json.loads(result.stdout) == ["shop", "stock"]
    assert f"Commit {since} is not in this repository." in result.stderr


@pytest.mark.usefixtures("start")
def test_all_are_listed_without_a_commit_to_compare_with(clone: Clone) -> None:
    assert names(clone) == ["shop", "stock"]
    assert run(clone).stderr == ""


def test_the_files_as_they_are_count_or_the_named_commit(clone: Clone, start: str) -> None:
    clone.write("user_code/shop/code.py", "two")
    second = clone.commit()
    clone.write("user_code/stock/code.py", "not committed")
    assert names(clone, "--since", start) == ["shop", "stock"]
    assert names(clone, "--since", start, "--commit", second) == ["shop"]


def test_a_shallow_clone_lists_all_instead_of_too_few(
    clone: Clone, start: str, tmp_path: Path
) -> None:
    clone.write("user_code/shop/code.py", "two")
    clone.commit()
    shallow = tmp_path / "shallow"
    subprocess.run(
        ["git", "clone", "--quiet", "--depth=1", f"file://{clone.folder}", str(shallow)], check=True
    )
    result = CliRunner().invoke(main, ["changed", "-C", str(shallow), "--since", start, "--json"])
    assert json.loads(result.stdout) == ["shop", "stock"]
    assert "in a shallow clone" in result.stderr


def test_an_environment_may_have_other_code_locations(clone: Clone, start: str) -> None:
    clone.write(
        "bulkhead.toml", f'{SETTINGS}\n[environments.staging]\nlocations = ["user_code/stock"]\n'
    )
    clone.commit()
    assert names(clone, "--since", start, "--environment", "staging") == ["stock"]


@pytest.mark.usefixtures("start")
def test_wrong_settings_are_an_error_with_their_name(clone: Clone) -> None:
    clone.write("bulkhead.toml", "[deploy]\nlocation = ['user_code/*']\n")
    clone.commit()
    result = run(clone, "--json")
    assert result.exit_code == 2
    assert "bulkhead.toml: location is not a setting" in result.stderr
    assert result.stdout == ""
