"""The layer with a team's code: installed editable from /opt/code, whatever builds it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from packages.bulkhead.tests.test_images.conftest import HATCHLING, Location

from bulkhead.images import code, layer
from bulkhead.images.errors import ImageError

PROJECT = """
[project]
name = "sales"
version = "1.0"
description = "Sales"
scripts = {sales = "sales:main"}
"""


def _project(requirement: str, backend: str, more: str = "") -> str:
    system = f"[build-system]\nrequires = ['{requirement}']\nbuild-backend = '{backend}'\n"
    return f"{PROJECT}{system}{more}"


BACKENDS = {
    "hatchling": ("src/", HATCHLING),
    "setuptools": ("src/", _project("setuptools>=64", "setuptools.build_meta")),
    # Without a folder src, setuptools writes an import hook with the path.
    "setuptools-flat": (
        "",
        _project(
            "setuptools>=64", "setuptools.build_meta", "[tool.setuptools]\npackages = ['sales']\n"
        ),
    ),
    "poetry": ("src/", _project("poetry-core>=2", "poetry.core.masonry.api")),
    "uv": ("src/", _project("uv_build>=0.8,<1", "uv_build")),
    "flit": ("src/", _project("flit_core>=3.9", "flit_core.buildapi")),
    "pdm": ("src/", _project("pdm-backend", "pdm.backend")),
}

SITE_PACKAGES = "opt/venv/lib/python3.11/site-packages"


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def _staged(location: Location, root: Path) -> list[str]:
    """Stage into a folder; return what was reported."""
    root.mkdir()
    reports: list[str] = []
    code.stage(location.folder, root, reports.append)
    return reports


def _texts(root: Path) -> Iterator[tuple[Path, str]]:
    for path in root.rglob("*"):
        if path.is_file():
            yield path, path.read_text(errors="replace")


@pytest.mark.parametrize("backend", BACKENDS)
def test_code_of_every_usual_backend_is_imported_from_opt_code(
    location: Location, tmp_path: Path, backend: str
) -> None:
    source, pyproject = BACKENDS[backend]
    location.write("pyproject.toml", pyproject)
    if not source:
        (location.folder / "src" / "sales").rename(location.folder / "sales")
        (location.folder / "src").rmdir()
    root = tmp_path / "root"
    _staged(location, root)
    assert [str(path) for path, text in _texts(root) if str(tmp_path) in text] == []
    assert (root / "opt/code" / source / "sales/__init__.py").exists()
    script = (root / "opt/venv/bin/sales").read_text()
    assert script.startswith("#!/opt/venv/bin/python3\n")
    # There is no /opt/code here, so this test lets everything point to the staged folder.
    shutil.rmtree(root / SITE_PACKAGES / "__pycache__", ignore_errors=True)
    for path, text in _texts(root / SITE_PACKAGES):
        if "/opt/code" in text and path.suffix in {".pth", ".py"}:
            path.write_text(text.replace("/opt/code", str(root / "opt/code")))
    check = (
        f"import site; site.addsitedir({str(root / SITE_PACKAGES)!r})\n"
        "import sales, importlib.metadata as m\n"
        "print(sales.__file__, m.version('sales'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=True, cwd="/"
    )
    assert done.stdout == f"{root / 'opt/code' / source}/sales/__init__.py 1.0\n".replace("//", "/")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.usefixtures("umask")
def test_the_same_folder_gives_the_same_layer(
    location: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    source, pyproject = BACKENDS[backend]
    location.write("pyproject.toml", pyproject)
    if not source:
        (location.folder / "src" / "sales").rename(location.folder / "sales")
    digests: set[str] = set()
    for number, (mask, seed) in enumerate(((0o077, "1"), (0o002, "2"))):
        os.umask(mask)
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        monkeypatch.setenv("TZ", f"Etc/GMT+{number}")
        root = tmp_path / ("root" * (number + 1))
        _staged(location, root)
        digests.add(layer.pack(root, tmp_path / "layer").digest)
    assert len(digests) == 1


def test_bytecode_is_never_compared_and_has_the_paths_of_the_image(
    location: Location, tmp_path: Path
) -> None:
    _staged(location, tmp_path / "root")
    compiled = tmp_path / "root/opt/code/src/sales/__pycache__/__init__.cpython-311.pyc"
    content = compiled.read_bytes()
    # PEP 552: with a hash of the source (1) that is not checked (2 is not set).
    assert content[4:8] == bytes([1, 0, 0, 0])
    assert b"/opt/code/src/sales/__init__.py" in content
    assert str(tmp_path).encode() not in content


def test_the_given_folder_is_not_changed(location: Location, tmp_path: Path) -> None:
    location.write("pyproject.toml", BACKENDS["setuptools"][1])
    before = sorted(location.folder.rglob("*"))
    _staged(location, tmp_path / "root")
    assert sorted(location.folder.rglob("*")) == before
    assert (tmp_path / "root/opt/code/src/sales.egg-info").exists()


def test_tests_of_the_code_location_are_left_out_but_deeper_ones_stay(
    location: Location, tmp_path: Path
) -> None:
    location.write("tests/test_sales.py", "")
    location.write("src/sales/dbt/tests/one.sql", "")
    _staged(location, tmp_path / "root")
    assert not (tmp_path / "root/opt/code/tests").exists()
    assert (tmp_path / "root/opt/code/src/sales/dbt/tests/one.sql").exists()


def test_a_syntax_error_is_reported_with_its_place_and_is_left_to_dagster(
    location: Location, tmp_path: Path
) -> None:
    location.write("src/sales/broken.py", "def f(:\n")
    *_, report = _staged(location, tmp_path / "root")
    assert 'File "/opt/code/src/sales/broken.py", line 1' in report
    assert str(tmp_path) not in report
    assert (tmp_path / "root/opt/code/src/sales/broken.py").exists()


HOOK = """
import importlib.util, os
from pathlib import Path
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

class Hook(BuildHookInterface):
    def initialize(self, version, build_data):
        found = importlib.util.find_spec("iniconfig") is not None
        seen = [os.environ.get(name) for name in ("MY_SECRET", "PYTHONPATH", "HOME", "TZ")]
        Path(self.root, "src", "sales", "seen.txt").write_text(f"{found} {seen}")
        Path(self.root, "src", "sales", "set.txt").write_text(str(set("abcdefgh")))
        build_data["pure_python"] = not Path(self.root, "native").exists()
"""


@pytest.fixture
def hooked(location: Location) -> Location:
    """A location whose build runs code of the team."""
    location.write("pyproject.toml", f"{HATCHLING}\n[tool.hatch.build.hooks.custom]\n")
    location.write("hatch_build.py", HOOK)
    return location


def test_the_packages_of_the_lock_are_in_the_build_only_where_they_are_requested(
    hooked: Location, tmp_path: Path
) -> None:
    _staged(hooked, tmp_path / "without")
    project = (hooked.folder / "pyproject.toml").read_text()
    hooked.write("pyproject.toml", f"{project}\n[tool.bulkhead.build]\nwith-dependencies = true\n")
    _staged(hooked, tmp_path / "with")
    seen = [
        (tmp_path / name / "opt/code/src/sales/seen.txt").read_text()
        for name in ("without", "with")
    ]
    assert [each.split()[0] for each in seen] == ["False", "True"]


def test_variables_of_the_person_who_deploys_do_not_reach_the_build(
    hooked: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SECRET", "1234")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    _staged(hooked, tmp_path / "root")
    seen = (tmp_path / "root/opt/code/src/sales/seen.txt").read_text()
    assert "1234" not in seen
    assert "[None, None, " in seen
    assert os.environ["HOME"] not in seen
    assert "'UTC'" in seen


def test_a_set_that_a_build_writes_has_the_same_order_each_time(
    hooked: Location, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        _staged(hooked, tmp_path / name)
    one, two = (tmp_path / name / "opt/code/src/sales/set.txt" for name in ("one", "two"))
    assert one.read_text() == two.read_text()


def test_compiled_modules_are_an_error_that_names_the_package(
    hooked: Location, tmp_path: Path
) -> None:
    hooked.write("native", "")
    with pytest.raises(ImageError, match="The package sales has compiled modules"):
        _staged(hooked, tmp_path / "root")


def test_a_build_that_fails_shows_its_last_output(hooked: Location, tmp_path: Path) -> None:
    hooked.write("hatch_build.py", f"{HOOK}\n        raise RuntimeError('dbt found no model')\n")
    with pytest.raises(ImageError, match="The build of the package failed") as raised:
        _staged(hooked, tmp_path / "root")
    assert raised.value.output.endswith("RuntimeError: dbt found no model")


def test_a_backend_without_editable_installs_is_an_error_with_what_to_do(
    location: Location, tmp_path: Path
) -> None:
    location.write(
        "pyproject.toml",
        f"{PROJECT}[build-system]\nrequires = []\nbuild-backend = 'old'\nbackend-path = ['.']\n",
    )
    location.write("old.py", "def build_wheel(*_): ...\n")
    with pytest.raises(ImageError, match=r"no hook build_editable, .* newer version"):
        _staged(location, tmp_path / "root")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[project", "pyproject.toml of the code location is not valid: "),
        ("[tool.bulkhead.build]\nwith-dependencies = 1", "is 1. It must be true or false"),
        ("[tool.bulkhead.build]\nwith_dependencies = true", "unknown key 'with_dependencies'"),
        ("[build-system]\nrequires = 1", "Check the table build-system"),
    ],
)
def test_an_invalid_pyproject_is_an_error(
    location: Location, tmp_path: Path, text: str, message: str
) -> None:
    location.write("pyproject.toml", text)
    with pytest.raises(ImageError, match=message):
        _staged(location, tmp_path / "root")


def test_a_folder_without_pyproject_is_an_error(location: Location, tmp_path: Path) -> None:
    (location.folder / "pyproject.toml").unlink()
    with pytest.raises(ImageError, match=r"has no pyproject\.toml"):
        _staged(location, tmp_path / "root")


def test_a_requirement_that_does_not_exist_shows_what_uv_says(
    location: Location, tmp_path: Path
) -> None:
    location.write(
        "pyproject.toml",
        _project("hatchling==0.0.1", "hatchling.build"),
    )
    with pytest.raises(ImageError, match=r"hatchling==0\.0\.1, which the build needs") as raised:
        _staged(location, tmp_path / "root")
    assert "No solution found" in raised.value.output
