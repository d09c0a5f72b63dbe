"""`bulkhead new --repository`: a folder that is a whole repository of one team."""

import json
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import click
import pytest
import tomllib
import yaml
from click.testing import CliRunner, Result

from bulkhead.cli import main
from bulkhead.deploy import settings
from bulkhead.scaffold import lock, origin
from bulkhead.scaffold.origin import Origin

Bulkhead = Callable[..., Result]

CLONE = Path(__file__).parents[4]
WHEEL = "bulkhead-0.1.0-py3-none-any.whl"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder outside any repository, in which the command runs; git knows a person."""
    config = tmp_path / "gitconfig"
    config.write_text("[user]\nname = A Person\nemail = person@example.com\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def a_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bulkhead that runs comes from a wheel."""
    wheel = tmp_path / WHEEL
    wheel.write_text("a wheel")
    found = Origin(f'{{path = "wheels/{WHEEL}"}}', wheel)
    monkeypatch.setattr(origin, "find", lambda *_: found)


@pytest.fixture
def forecasts(bulkhead: Bulkhead, elsewhere: Path, uv: Path, a_wheel: None) -> Path:
    """A new repository."""
    del uv, a_wheel
    result = bulkhead("new", "forecasts", "--repository")
    assert result.exit_code == 0, result.output
    return elsewhere / "forecasts"


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def texts(folder: Path) -> dict[str, str]:
    paths = git(folder, "ls-files").splitlines()
    return {path: (folder / path).read_text() for path in paths}


def lines(text: str) -> list[str]:
    """Return the lines of a file without comments."""
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


@pytest.mark.usefixtures("uv", "a_wheel")
def test_it_is_a_git_repository_with_one_commit_of_all_that_is_listed(
    bulkhead: Bulkhead, elsewhere: Path
) -> None:
    output = bulkhead("new", "sales-eu", "--repository").output
    folder = elsewhere / "sales-eu"
    made = output.partition("Created sales-eu:\n")[2].partition("\n\n")[0].splitlines()
    assert git(folder, "ls-files").splitlines() == sorted(line.strip() for line in made)
    assert git(folder, "log", "--format=%an: %s") == (
        "A Person: Code location sales-eu, created by bulkhead new"
    )
    assert git(folder, "branch", "--show-current") == "main"
    assert git(folder, "status", "--porcelain") == ""
    assert {"requirements.lock", f"wheels/{WHEEL}", "src/sales_eu/assets.py"} <= texts(
        folder
    ).keys()


def test_nothing_in_it_needs_a_clone_of_bulkhead(forecasts: Path) -> None:
    for path, text in texts(forecasts).items():
        assert not re.search(r"\bmake \w+|Makefile|user_code|\.\./", text), path
        assert str(CLONE) not in text, path
        assert "my-location" not in text, path
        assert "my_location" not in text, path


def test_its_settings_are_valid_and_name_it_as_the_code_location(
    forecasts: Path, bulkhead: Bulkhead
) -> None:
    found = settings.read({"bulkhead.toml": (forecasts / "bulkhead.toml").read_text()})
    assert found.locations == (".",)
    assert not found.has_own_chart
    assert found.chart_version == "0.1.0"
    listed = bulkhead("changed", "-C", str(forecasts), "--json").stdout
    assert json.loads(listed) == ["forecasts"]


def test_the_settings_in_its_comments_are_valid(forecasts: Path) -> None:
    text = (forecasts / "bulkhead.toml").read_text()
    everything = re.sub(r"^# (\[|\w+ = )", r"\1", text, flags=re.MULTILINE)
    found = settings.read({"bulkhead.toml": everything}, environment="staging")
    assert found.context == "my-staging-cluster"
    assert found.values == ("values.yaml", "values.staging.yaml")


def test_its_workflow_is_six_lines_that_call_the_workflow_of_bulkhead(forecasts: Path) -> None:
    text = (forecasts / ".github/workflows/deploy.yaml").read_text()
    assert len(lines(text)) == 6
    workflow = yaml.safe_load(text)
    [job] = workflow["jobs"].values()
    owner, repository, path = job["uses"].partition("@")[0].split("/", 2)
    assert (owner, repository) == ("OWNER", "bulkhead")
    assert (CLONE / path).is_file()
    assert workflow[True].keys() == {"push", "pull_request", "workflow_dispatch"}
    assert job["permissions"] == {
        "contents": "read",
        "id-token": "write",
        "pull-requests": "write",
    }


def test_its_login_has_the_inputs_that_the_workflow_gives_and_fails_until_it_is_filled_in(
    forecasts: Path,
) -> None:
    text = (forecasts / ".github/actions/login/action.yaml").read_text()
    action = yaml.safe_load(text)
    workflow = yaml.safe_load((CLONE / ".github/workflows/deploy.yaml").read_text())
    logins = [
        step
        for job in workflow["jobs"].values()
        for step in job["steps"]
        if step.get("uses") == "./.github/actions/login"
    ]
    assert len(logins) == 2
    assert all(step["with"].keys() == action["inputs"].keys() for step in logins)
    [step] = action["runs"]["steps"]
    done = subprocess.run(["bash", "-ec", step["run"]], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Fill in .github/actions/login/action.yaml" in done.stdout


def test_the_logins_in_its_comments_are_valid_steps(forecasts: Path) -> None:
    text = (forecasts / ".github/actions/login/action.yaml").read_text()
    steps = re.findall(r"^#   (.*)$", text, flags=re.MULTILINE)
    found = yaml.safe_load("\n".join(steps))
    assert [sorted(step) for step in found] == [
        ["uses", "with"],
        ["run", "shell"],
        ["env", "run", "shell"],
    ]


def test_github_would_accept_its_workflow(forecasts: Path) -> None:
    done = subprocess.run(
        [str(CLONE / ".tools" / "actionlint")],
        cwd=forecasts,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_its_readme_describes_every_file_and_names_commands_that_exist(forecasts: Path) -> None:
    readme = (forecasts / "README.md").read_text()
    for path in re.findall(r"^\| `([^`]+)` \|", readme, flags=re.MULTILINE):
        assert (forecasts / path).exists(), path
    calls = re.findall(r"^    \.venv/bin/bulkhead (.*)$", readme, flags=re.MULTILINE)
    assert len(calls) == 4
    for name, *arguments in map(shlex.split, calls):
        command = main.commands[name]
        command.make_context(name, arguments, resilient_parsing=False)
    assert f"    uv {shlex.join(lock.COMPILE_REPOSITORY)}\n" in readme


@pytest.mark.usefixtures("a_wheel")
def test_the_lock_is_written_in_the_folder_as_the_readme_says(bulkhead: Bulkhead, uv: Path) -> None:
    output = bulkhead("new", "forecasts", "--repository").output
    where, *words = (uv.parent / "called").read_text().split()
    assert Path(where).name == "forecasts"
    assert tuple(words) == lock.COMPILE_REPOSITORY
    assert "requirements.lock is missing" not in output


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (Origin('{git = "https://g.example.com/b", rev = "4f"}'), {"git", "rev"}),
        (Origin('{url = "https://f.example.com/b.whl"}'), {"url"}),
        (Origin(None), None),
    ],
)
@pytest.mark.usefixtures("uv")
def test_its_project_names_where_bulkhead_comes_from(
    bulkhead: Bulkhead,
    elsewhere: Path,
    monkeypatch: pytest.MonkeyPatch,
    found: Origin,
    expected: set[str] | None,
) -> None:
    monkeypatch.setattr(origin, "find", lambda *_: found)
    bulkhead("new", "forecasts", "--repository")
    text = (elsewhere / "forecasts" / "pyproject.toml").read_text()
    sources = tomllib.loads(text)["tool"]["uv"]["sources"]
    assert sources.keys() == ({"bulkhead"} if expected else set())
    if expected:
        assert sources["bulkhead"].keys() == expected
    assert not (elsewhere / "forecasts" / "wheels").exists()
    assert '#   bulkhead = {path = "wheels/' in text, "the examples stay"


def test_its_project_is_that_of_a_folder_with_what_a_repository_needs_in_addition(
    forecasts: Path, bulkhead: Bulkhead, elsewhere: Path
) -> None:
    bulkhead("new", "forecasts", "--directory", str(elsewhere.parent))
    folder = tomllib.loads((elsewhere.parent / "forecasts" / "pyproject.toml").read_text())
    project = tomllib.loads((forecasts / "pyproject.toml").read_text())
    assert project["tool"].pop("uv").keys() == {"sources", "pip"}
    assert project["project"].pop("requires-python") == ">=3.11,<3.12"
    assert folder["project"].pop("requires-python") == ">=3.11"
    groups = project.pop("dependency-groups")
    assert folder.pop("dependency-groups")["dev"] == groups["dev"][1:]
    assert project == folder


@pytest.mark.usefixtures("uv", "a_wheel")
def test_it_is_not_made_inside_another_repository(bulkhead: Bulkhead, elsewhere: Path) -> None:
    git(elsewhere, "init", "--quiet")
    result = bulkhead("new", "forecasts", "--repository")
    assert result.exit_code == 1
    assert f"is in the git repository {elsewhere}" in result.output
    assert "--directory" in result.output
    assert not (elsewhere / "forecasts").exists()


@pytest.mark.usefixtures("uv", "a_wheel")
def test_a_folder_that_is_there_is_left_as_it_is(bulkhead: Bulkhead, elsewhere: Path) -> None:
    (elsewhere / "forecasts").mkdir()
    result = bulkhead("new", "forecasts", "--repository")
    assert result.exit_code == 1
    assert "forecasts exists already and was not changed." in result.output
    assert list((elsewhere / "forecasts").iterdir()) == []


@pytest.mark.usefixtures("uv", "a_wheel")
def test_without_a_name_for_git_the_files_stay_and_its_words_are_shown(
    bulkhead: Bulkhead, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("EMAIL", "")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "user.useConfigOnly")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "true")
    result = bulkhead("new", "forecasts", "--repository")
    assert result.exit_code == 0
    assert "The files are not committed: " in result.output
    assert "user.email" in result.output
    assert (elsewhere / "forecasts" / "bulkhead.toml").is_file()


@pytest.mark.usefixtures("uv", "a_wheel")
def test_without_git_the_files_stay(
    bulkhead: Bulkhead, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(elsewhere))
    result = bulkhead("new", "forecasts", "--repository")
    assert result.exit_code == 0, result.output
    assert "The files are not committed: git is not installed" in result.output
    assert (elsewhere / "forecasts" / "bulkhead.toml").is_file()


@pytest.mark.usefixtures("broken_uv", "a_wheel")
def test_where_uv_fails_its_words_are_shown_and_the_command_is_named(
    bulkhead: Bulkhead, elsewhere: Path
) -> None:
    result = bulkhead("new", "forecasts", "--repository")
    assert result.exit_code == 0
    assert "error: the index does not answer" in result.output
    assert "requirements.lock is missing: uv failed; its error is above" in result.output
    assert f"  uv {shlex.join(lock.COMPILE_REPOSITORY)}\n" in result.output
    assert git(elsewhere / "forecasts", "status", "--porcelain") == ""


@pytest.mark.usefixtures("no_uv", "a_wheel")
def test_without_uv_the_command_for_the_lock_is_named(bulkhead: Bulkhead) -> None:
    result = bulkhead("new", "forecasts", "--repository")
    assert "requirements.lock is missing: uv is neither beside Python nor on PATH" in result.output
    assert f"  uv {shlex.join(lock.COMPILE_REPOSITORY)}\n" in result.output


def test_an_origin_that_no_other_machine_has_is_an_error_and_nothing_is_written(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> Origin:
        raise origin.OriginError("bulkhead was installed from /gone.whl, which is gone.")

    monkeypatch.setattr(origin, "find", gone)
    result = CliRunner().invoke(main, ["new", "forecasts", "--repository"])
    assert result.exit_code == click.ClickException.exit_code
    assert "/gone.whl, which is gone" in result.output
    assert list(elsewhere.iterdir()) == []
