"""Which folders of a repository are code locations."""

import pytest
from packages.bulkhead.tests.clone import Clone

from bulkhead.deploy import sources
from bulkhead.deploy.repository import Repository
from bulkhead.deploy.settings import Settings, SettingsError
from bulkhead.deploy.sources import CodeFolder


def find(clone: Clone, *patterns: str) -> list[CodeFolder]:
    repository = Repository(clone.folder)
    return sources.find(
        repository, repository.working_tree(), Settings(locations=patterns, registry="r")
    )


def test_folders_with_a_project_that_match_are_locations(clone: Clone) -> None:
    for folder in ("user_code/shop", "user_code/grocer/ml", "user_code/ml/nested", "other/tool"):
        clone.write(f"{folder}/pyproject.toml", "")
    clone.write("user_code/notes/README.md", "")
    assert find(clone, "user_code/*", "user_code/grocer/*") == [
        CodeFolder("ml", "user_code/grocer/ml", "bulkhead-ml"),
        CodeFolder("shop", "user_code/shop", "bulkhead-shop"),
    ]


def test_a_repository_of_one_location_has_the_name_of_its_project(clone: Clone) -> None:
    clone.write("pyproject.toml", '[project]\nname = "daily_forecasts"\n')
    assert find(clone, ".") == [CodeFolder("daily-forecasts", ".", "bulkhead-daily-forecasts")]


def test_two_folders_of_one_name_are_an_error(clone: Clone) -> None:
    clone.write("a/shop/pyproject.toml", "")
    clone.write("b/shop/pyproject.toml", "")
    with pytest.raises(SettingsError, match="Two folders are code location shop: a/shop and b/s"):
        find(clone, "*/shop")


def test_a_folder_whose_name_is_not_valid_is_an_error(clone: Clone) -> None:
    clone.write("user_code/Shop_1/pyproject.toml", "")
    with pytest.raises(SettingsError, match="user_code/Shop_1"):
        find(clone, "user_code/*")


def test_names_select_and_an_unknown_one_is_an_error(clone: Clone) -> None:
    for name in ("shop", "stock"):
        clone.write(f"user_code/{name}/pyproject.toml", "")
    found = find(clone, "user_code/*")
    assert [each.name for each in sources.choose(found, ["stock"])] == ["stock"]
    assert sources.choose(found, []) == found
    with pytest.raises(SettingsError, match=r"no code location 'stocks'.*: shop"):
        sources.choose(found, ["stocks"])
    with pytest.raises(SettingsError, match="No folder is a code location"):
        sources.choose([], [])
