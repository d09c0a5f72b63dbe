"""`bulkhead new`: what it prints is what there is, and what to do next."""

import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from bulkhead import location_name

Bulkhead = Callable[..., Result]

REPOSITORY = Path(__file__).parents[4]


def listed(output: str) -> set[str]:
    """Return the files that the output says were made."""
    made = output.partition("Created ")[2].partition("\n\n")[0].splitlines()[1:]
    return {line.strip() for line in made}


def next_commands(output: str) -> list[list[str]]:
    """Return the words of each command that the output proposes."""
    lines = output.partition("\nNext:\n")[2].partition("\n\n")[0].splitlines()
    return [shlex.split(re.split(r" {3,}", line.strip())[0]) for line in lines]


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("uv")
def test_every_file_that_was_made_is_listed_the_lock_too(clone: Path, bulkhead: Bulkhead) -> None:
    result = bulkhead("new", "forecasts")
    assert result.exit_code == 0, result.output
    made = files_below(clone / "user_code" / "forecasts")
    assert listed(result.output) == made
    assert {"pyproject.toml", "requirements.lock", "values.yaml", "README.md"} <= made
    assert "src/forecasts/definitions.py" in made


@pytest.mark.usefixtures("uv")
def test_the_next_commands_are_targets_of_the_makefile(clone: Path, bulkhead: Bulkhead) -> None:
    commands = next_commands(bulkhead("new", "sales-eu").output)
    assert [words[:2] for words in commands] == [["make", "unit"], ["make", "up"]]
    for words in commands:
        done = subprocess.run(
            ["make", "--dry-run", "--always-make", *words[1:]],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "Nothing to be done" not in done.stdout
    assert (clone / "user_code" / "sales-eu").is_dir()


@pytest.mark.usefixtures("clone", "uv")
def test_the_command_for_its_tests_picks_exactly_those(bulkhead: Bulkhead) -> None:
    (unit, _) = next_commands(bulkhead("new", "sales-eu").output)
    assert unit[2:] == ["ARGS=tests/locations -k sales-eu"]
    # The ids of tests/locations are the names of the folders of user_code.
    assert (
        "ids=lambda path: path.name"
        in (REPOSITORY / "tests" / "locations" / "test_user_code.py").read_text()
    )


@pytest.mark.usefixtures("uv")
def test_the_readme_that_it_points_to_names_programs_that_the_folder_has(
    clone: Path, bulkhead: Bulkhead
) -> None:
    output = bulkhead("new", "forecasts").output
    assert "user_code/forecasts/README.md describes the files" in output
    readme = (clone / "user_code" / "forecasts" / "README.md").read_text()
    for path in re.findall(r"\.\./\.\./(packages/\S+)", readme):
        assert (clone / path).is_dir()
    for path in re.findall(r"^\| `([^`]+)` \|", readme, flags=re.MULTILINE):
        assert (clone / "user_code" / "forecasts" / path).exists(), path


def test_the_lock_is_made_from_the_root_by_the_rules_of_make_lock(
    clone: Path, bulkhead: Bulkhead, uv: Path
) -> None:
    bulkhead("new", "forecasts")
    where, *words = (uv.parent / "called").read_text().split()
    assert Path(where) == clone
    assert words == [
        *("pip", "compile", "--quiet", "--universal", "--generate-hashes", "--python-version=3.11"),
        *("--no-header", "--no-emit-find-links", "--no-emit-index-url"),
        *("user_code/forecasts/pyproject.toml", "packages/bulkhead/pyproject.toml"),
        *("-o", "user_code/forecasts/requirements.lock"),
    ]


@pytest.mark.usefixtures("no_uv")
def test_without_uv_all_else_is_made_and_the_one_command_for_the_lock_comes_first(
    clone: Path, bulkhead: Bulkhead
) -> None:
    result = bulkhead("new", "forecasts")
    assert result.exit_code == 0
    assert "requirements.lock is missing: uv is neither beside Python nor on PATH" in result.output
    assert next_commands(result.output)[0] == ["make", "lock"]
    assert re.search("^lock:", (REPOSITORY / "Makefile").read_text(), flags=re.MULTILINE)
    assert listed(result.output) == files_below(clone / "user_code" / "forecasts")
    assert "requirements.lock" not in listed(result.output)


@pytest.mark.usefixtures("broken_uv")
def test_where_uv_fails_its_words_are_shown_and_the_project_stays(
    clone: Path, bulkhead: Bulkhead
) -> None:
    result = bulkhead("new", "forecasts")
    assert result.exit_code == 0
    assert "error: the index does not answer" in result.output
    assert "requirements.lock is missing: uv failed; its error is above" in result.output
    assert next_commands(result.output)[0] == ["make", "lock"]
    assert (clone / "user_code" / "forecasts" / "pyproject.toml").is_file()


@pytest.mark.usefixtures("uv")
def test_from_elsewhere_in_the_clone_the_first_step_is_to_its_root(
    clone: Path, bulkhead: Bulkhead, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(clone / "images")
    result = bulkhead("new", "forecasts", "--directory", "../user_code")
    assert next_commands(result.output)[0] == ["cd", str(clone)]
    assert (clone / "user_code" / "forecasts" / "requirements.lock").is_file()


@pytest.mark.usefixtures("clone", "uv")
def test_outside_a_clone_it_is_made_without_a_lock_and_told_where_it_belongs(
    bulkhead: Bulkhead, tmp_path: Path
) -> None:
    result = bulkhead("new", "forecasts", "--directory", str(tmp_path))
    assert result.exit_code == 0
    assert (tmp_path / "forecasts" / "pyproject.toml").is_file()
    assert (
        "requirements.lock is missing: it can only be written in a clone of Bulkhead"
        in result.output
    )
    assert f"move {tmp_path / 'forecasts'} into user_code of a clone" in result.output


@pytest.mark.usefixtures("uv")
def test_a_folder_that_is_there_is_left_as_it_is(clone: Path, bulkhead: Bulkhead) -> None:
    before = files_below(clone)
    result = bulkhead("new", "hello")
    assert result.exit_code == 1
    assert "user_code/hello exists already and was not changed." in result.output
    assert "Choose another name" in result.output
    assert files_below(clone) == before


@pytest.mark.usefixtures("uv")
@pytest.mark.parametrize("name", ["Sales_EU", "class", "json", "bulkhead", "a/b", ".."])
def test_a_bad_name_makes_nothing(clone: Path, bulkhead: Bulkhead, name: str) -> None:
    before = sorted(clone.rglob("*"))
    result = bulkhead("new", name)
    assert result.exit_code == 2
    assert repr(name) in result.output
    assert sorted(clone.rglob("*")) == before


@pytest.mark.usefixtures("uv")
@pytest.mark.parametrize(
    "others", ["images", "user_code", "tests/e2e/locations", "tests/bench/locations"]
)
def test_the_name_of_another_image_is_refused(clone: Path, bulkhead: Bulkhead, others: str) -> None:
    (clone / others / "sales").mkdir(parents=True)
    (clone / "elsewhere").mkdir()
    result = bulkhead("new", "sales", "--directory", "elsewhere")
    assert result.exit_code == 1
    assert f"{others}/sales" in result.output
    assert "Choose another name, such as sales-data." in result.output
    assert list((clone / "elsewhere").iterdir()) == []


@pytest.mark.usefixtures("clone", "uv")
def test_a_directory_that_is_not_there_is_named_and_not_made(
    bulkhead: Bulkhead, tmp_path: Path
) -> None:
    result = bulkhead("new", "forecasts", "--directory", str(tmp_path / "user_cod"))
    assert result.exit_code == 1
    assert f"The folder {tmp_path / 'user_cod'} does not exist" in result.output
    assert "--directory" in result.output
    assert not (tmp_path / "user_cod").exists()


@pytest.mark.usefixtures("uv")
def test_a_directory_that_may_not_be_written_to_is_named(
    clone: Path, bulkhead: Bulkhead, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "mkdir", refused)
    result = bulkhead("new", "forecasts")
    assert result.exit_code == 1
    assert "user_code/forecasts could not be written" in result.output
    assert "Permission denied" in result.output
    assert "run the same command again" in result.output
    assert not (clone / "user_code" / "forecasts").exists()


def test_the_help_says_what_a_name_is_and_gives_an_example(bulkhead: Bulkhead) -> None:
    help_text = " ".join(bulkhead("new", "--help").output.split())
    assert f"1 to {location_name.LONGEST} lower-case letters, digits and dashes" in help_text
    assert "bulkhead new forecasts" in help_text
    assert "[default: user_code; with --repository: the current folder]" in help_text
    assert "bulkhead new forecasts --repository" in help_text
    assert "Create a new code location." in bulkhead("--help").output


@pytest.mark.usefixtures("uv")
def test_the_guide_shows_what_the_command_prints_and_writes(
    clone: Path, bulkhead: Bulkhead
) -> None:
    guide = (REPOSITORY / "docs" / "first-code-location.md").read_text()
    assert f"$ .venv/bin/bulkhead new forecasts\n{bulkhead('new', 'forecasts').output}" in guide
    source = clone / "user_code" / "forecasts" / "src" / "forecasts"
    (limits,) = re.findall(r"^@dg.asset\(op_tags=.*$", guide, flags=re.MULTILINE)
    assert limits in (source / "assets.py").read_text()
    assert len((source / "definitions.py").read_text().splitlines()) == 12
    assert "it is twelve lines" in guide
