"""What is written is a code location that works."""

import importlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import dagster as dg
import jsonschema
import pytest
import tomllib
import yaml

from bulkhead.scaffold import project
from bulkhead.steps.resources import StepResources

REPOSITORY = Path(__file__).parents[4]
NAMES = ["a", "sales-eu", "zz9", f"a{'b' * 48}c"]

Load = Callable[[Path], ModuleType]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Loads the definitions of a code location's folder into this process."""
    loaded: list[str] = []

    def load(folder: Path) -> ModuleType:
        monkeypatch.syspath_prepend(folder / "src")
        loaded.append(folder.name.replace("-", "_"))
        return importlib.import_module(f"{loaded[-1]}.definitions")

    yield load
    # Another test's folder may have the same name.
    for name in [name for name in sys.modules if name.partition(".")[0] in loaded]:
        del sys.modules[name]


@pytest.fixture(params=NAMES, ids=lambda name: name[:10])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    written = tmp_path / request.param
    project.write(written)
    return written


@pytest.fixture
def sales(tmp_path: Path) -> Path:
    written = tmp_path / "sales-eu"
    project.write(written)
    return written


def test_the_definitions_load_and_all_assets_and_checks_succeed(folder: Path, load: Load) -> None:
    defs = load(folder).defs
    dg.Definitions.validate_loadable(defs)
    result = defs.resolve_job_def("refresh").execute_in_process()
    assert result.success
    assert len(result.output_for_node("units_per_day")) == 14
    assert [check.passed for check in result.get_asset_check_evaluations()] == [True]


def test_one_step_says_what_it_needs_and_the_chart_gives_the_others_theirs(
    sales: Path, load: Load
) -> None:
    job = load(sales).defs.resolve_job_def("refresh")
    asked = StepResources.of_tags(job.graph.node_named("units_per_day").definition.tags)
    assert (asked.memory, asked.max_memory, asked.timeout) == (2**28, 2**30, 600)
    assert StepResources.of_tags(job.graph.node_named("orders").definition.tags) == StepResources()
    values = yaml.safe_load((sales / "values.yaml").read_text())
    assert values["steps"]["resources"]["limits"] == {"cpu": "1", "memory": "512Mi"}


def test_an_environment_variable_of_its_own_name_chooses_the_resource(
    sales: Path, load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "orders.csv").write_text("day,product,units\n2024-05-06,lamp,3\n")
    monkeypatch.setenv("SALES_EU_SOURCE", "folder")
    monkeypatch.setenv("SALES_EU_FOLDER", str(tmp_path))
    result = load(sales).defs.resolve_job_def("refresh").execute_in_process()
    assert list(result.output_for_node("units_per_day").values()) == [3]


def test_values_name_that_variable_and_the_module_and_pass_the_charts_schema(folder: Path) -> None:
    values = yaml.safe_load((folder / "values.yaml").read_text())
    module = folder.name.replace("-", "_")
    assert values["definitions"] == {"module": f"{module}.definitions"}
    assert values["env"] == [{"name": f"{module.upper()}_SOURCE", "value": "sample"}]
    chart = REPOSITORY / "charts" / "code-location"
    all_values = {
        **yaml.safe_load((chart / "values.yaml").read_text()),
        **values,
        "image": {"repository": folder.name, "tag": "1"},
    }
    jsonschema.validate(all_values, json.loads((chart / "values.schema.json").read_text()))


def test_its_own_tests_pass(sales: Path) -> None:
    tests = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=sales,
        env={"PYTHONPATH": str(sales / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert tests.returncode == 0, tests.stdout + tests.stderr
    assert "13 passed" in tests.stdout


def test_logic_does_not_import_dagster_and_definitions_only_assembles(sales: Path) -> None:
    source = sales / "src" / "sales_eu"
    assert "import dagster" not in (source / "logic.py").read_text()
    assert "def " not in (source / "definitions.py").read_text()


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:10])
def test_a_name_of_any_length_keeps_the_lint_of_this_repository(tmp_path: Path, name: str) -> None:
    for path in ("pyproject.toml", "packages"):
        (tmp_path / path).symlink_to(REPOSITORY / path)
    (tmp_path / "user_code").mkdir()
    folder = tmp_path / "user_code" / name
    project.write(folder)
    ruff = str(Path(sys.executable).with_name("ruff"))
    for words in (["check"], ["format", "--check"]):
        command = [ruff, *words, "--no-cache", f"user_code/{name}"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    settings = yaml.safe_load((REPOSITORY / ".yamllint.yaml").read_text())
    longest = max(map(len, (folder / "values.yaml").read_text().splitlines()))
    assert longest <= settings["rules"]["line-length"]["max"]


def test_nothing_keeps_the_name_of_the_template(sales: Path) -> None:
    for path in sales.rglob("*"):
        assert "my" not in path.name
        if path.is_file():
            text = path.read_text().lower()
            assert "my-location" not in text
            assert "my_location" not in text


def test_its_dagster_is_that_of_this_repository() -> None:
    def dagster(requirements: list[str]) -> list[str]:
        return [each for each in requirements if each.startswith("dagster==")]

    def read(path: Path) -> dict:
        return tomllib.loads((path / "pyproject.toml").read_text())

    ours = dagster(read(REPOSITORY)["dependency-groups"]["dev"])
    for template in project.REPOSITORY:
        assert dagster(read(template)["project"]["dependencies"]) == ours != []


def test_what_is_there_already_is_left_as_it_is(tmp_path: Path) -> None:
    folder, file, link = tmp_path / "folder", tmp_path / "file", tmp_path / "link"
    folder.mkdir()
    (folder / "precious").write_text("mine")
    file.write_text("mine")
    link.symlink_to(tmp_path / "nowhere")
    empty = tmp_path / "empty"
    empty.mkdir()
    for taken in (folder, file, link, empty):
        with pytest.raises(FileExistsError):
            project.write(taken)
    assert [path.name for path in folder.iterdir()] == ["precious"]
    assert (folder / "precious").read_text() == file.read_text() == "mine"
    assert link.is_symlink()
    assert not (tmp_path / "nowhere").exists()
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize("trouble", [OSError("disk full"), KeyboardInterrupt()])
def test_nothing_is_left_of_what_could_not_be_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: BaseException
) -> None:
    write_text, written = Path.write_text, []

    def fail_on_the_fifth(path: Path, *arguments: str, **options: str) -> int:
        written.append(path)
        if len(written) == 5:
            raise trouble
        return write_text(path, *arguments, **options)

    monkeypatch.setattr(Path, "write_text", fail_on_the_fifth)
    with pytest.raises(type(trouble)):
        project.write(tmp_path / "sales")
    assert written[0].is_relative_to(tmp_path / "sales")
    assert list(tmp_path.iterdir()) == []


def test_what_python_and_tools_leave_in_the_template_is_not_copied(
    tmp_path: Path,
) -> None:
    template = tmp_path / "template"
    for name in (
        "src/my_location/__pycache__/logic.pyc",
        ".pytest_cache/x",
        "src/my_location/.ruff_cache/x",
        "src/my_location/a.py",
    ):
        (template / name).parent.mkdir(parents=True, exist_ok=True)
        (template / name).touch()
    assert project.write(tmp_path / "sales", [template]) == [Path("src/sales/a.py")]


def test_the_wheel_has_every_file_of_the_template(tmp_path: Path) -> None:
    package = REPOSITORY / "packages" / "bulkhead"
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=package, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    source = package / "src"
    expected = {
        path.relative_to(source).as_posix()
        for template in project.REPOSITORY
        for path in project.files([template]).values()
    }
    assert "bulkhead/templates/code_location/tests/test_logic.py" in expected
    assert "bulkhead/templates/repository/.github/workflows/deploy.yaml" in expected
    assert expected <= inside
