"""The layer with bulkhead itself."""

import json
import shutil
import subprocess
import sys
from importlib.metadata import Distribution
from pathlib import Path

import pytest
from packages.bulkhead.tests.registry_server import REPOSITORY

from bulkhead.images import layer, library
from bulkhead.images.errors import ImageError

SITE_PACKAGES = "opt/venv/lib/python3.11/site-packages"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A small package of bulkhead's name, with what the real one has."""
    folder = tmp_path / "source"
    real = REPOSITORY / "packages" / "bulkhead"
    for name in (
        "pyproject.toml",
        "README.md",
        "src/bulkhead/__init__.py",
        "src/bulkhead/cli.py",
        "src/bulkhead/templates/code_location/tests/test_logic.py",
        "tests/conftest.py",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(real / name, folder / name)
    return folder


def _layer(source: Path | None, folder: Path) -> layer.Layer:
    root = folder / "root"
    root.mkdir(parents=True)
    library.stage(source, root, print)
    return layer.pack(root, folder / "layer.tar.gz")


def _install(source: Path, folder: Path) -> Distribution:
    """Install as pip does, without its dependencies."""
    uv = str(Path(sys.executable).with_name("uv"))
    environment = folder / "venv"
    for command in (
        [uv, "venv", "--quiet", "--python", sys.executable, environment],
        [
            uv,
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--compile-bytecode",
            "--python",
            environment / "bin" / "python",
            source,
        ],
    ):
        subprocess.run(command, check=True)
    info = next(environment.glob("lib/python3*/site-packages/bulkhead-*.dist-info"))
    return Distribution.at(info)


def test_it_is_installed_with_its_command_and_without_its_source_folder(
    source: Path, tmp_path: Path
) -> None:
    _layer(source, tmp_path / "one")
    root = tmp_path / "one" / "root"
    assert (root / "opt/venv/bin/bulkhead").read_text().startswith("#!/opt/venv/bin/python3\n")
    assert (root / SITE_PACKAGES / "bulkhead/cli.py").exists()
    assert (root / SITE_PACKAGES / "bulkhead/__pycache__/cli.cpython-311.pyc").exists()
    assert [each for each in root.rglob("*") if each.suffix == ".pth"] == []
    info = next((root / SITE_PACKAGES).glob("*.dist-info"))
    assert not (info / "direct_url.json").exists()
    assert "\nbulkhead/cli.py,sha256=" in (info / "RECORD").read_text()


def test_the_bulkhead_that_runs_gives_the_layer_of_its_source(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = _install(source, tmp_path)
    monkeypatch.setattr(library, "distribution", lambda _: installed)
    assert library.installed_source() is None
    built = _layer(source, tmp_path / "built")
    copied = _layer(None, tmp_path / "copied")
    # Only the order of RECORD may differ.
    different = subprocess.run(
        ["diff", "-rq", tmp_path / "built/root", tmp_path / "copied/root"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.splitlines()
    assert [line for line in different if not line.endswith("RECORD differ")] == []
    records = [
        sorted(next((tmp_path / name / "root").rglob("RECORD")).read_text().splitlines())
        for name in ("built", "copied")
    ]
    assert records[0] == records[1]
    assert built.size
    assert copied.size


def test_an_editable_bulkhead_is_built_from_its_source_folder(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "bulkhead-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: bulkhead\nVersion: 0.1.0\n")
    origin = {"url": f"file://{source}", "dir_info": {"editable": True}}
    (info / "direct_url.json").write_text(json.dumps(origin))
    monkeypatch.setattr(library, "distribution", lambda _: Distribution.at(info))
    assert library.installed_source() == source
    assert library.key(None) == library.key(source)
    assert _layer(None, tmp_path / "a").digest == _layer(source, tmp_path / "b").digest


def test_an_installation_without_a_record_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "bulkhead-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: bulkhead\nVersion: 0.1.0\n")
    monkeypatch.setattr(library, "distribution", lambda _: Distribution.at(info))
    with pytest.raises(ImageError, match="has no RECORD"):
        library.key(None)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("src/bulkhead/cli.py", True),
        ("src/bulkhead/new.py", True),
        ("src/bulkhead/templates/code_location/tests/test_logic.py", True),
        ("src/bulkhead/templates/code_location/.gitignore", True),
        ("pyproject.toml", True),
        ("tests/conftest.py", False),
        ("src/bulkhead/__pycache__/cli.cpython-311.pyc", False),
        (".ruff_cache/content", False),
    ],
)
def test_the_key_changes_with_what_is_installed(source: Path, name: str, *, changes: bool) -> None:
    before = library.key(source)
    (source / name).parent.mkdir(exist_ok=True)
    (source / name).write_text("# changed")
    assert (library.key(source) != before) is changes


def test_the_key_does_not_depend_on_the_folder(source: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(source, copy)
    assert library.key(copy) == library.key(source)
