"""Each code location's own tests pass with the libraries of its own lock."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UV = str(Path(sys.executable).with_name("uv"))
COMMAND = str(Path(sys.executable).with_name("bulkhead"))
PARENTS = (ROOT / "user_code", ROOT / "user_code" / "grocer")
LOCATIONS = sorted(path.parent for each in PARENTS for path in each.glob("*/pyproject.toml"))
BULKHEAD = ROOT / "packages" / "bulkhead"

KEY_DIGITS = 12


def environment_of(location: Path) -> Path:
    """A virtual environment with what the location's image holds, and what its tests need.

    The image holds the lock, bulkhead and the location itself, no more. Its dependency group `dev`
    comes on top, with pytest, and moves nothing that the lock holds. Kept in `build/venvs/` under
    the hash of what it is made from, so that the next call finds it; older ones are removed.
    """
    lock, project = location / "requirements.lock", location / "pyproject.toml"
    digest = hashlib.sha256(lock.read_bytes() + project.read_bytes()).hexdigest()
    venvs = ROOT / "build" / "venvs"
    venv = venvs / f"{location.name}-{digest[:KEY_DIGITS]}"
    if not (venv / "complete").exists():
        for old in venvs.glob(f"{location.name}-{'[0-9a-f]' * KEY_DIGITS}"):
            shutil.rmtree(old)
        install = [UV, "pip", "install", "-q", "--python", str(venv / "bin" / "python")]
        editable = ["-e", str(BULKHEAD), "-e", str(location)]
        for command in (
            [UV, "venv", "-q", "--python", sys.executable, str(venv)],
            [*install, "--require-hashes", "-r", str(lock)],
            [*install, "-c", str(lock), "--group", f"{project}:dev", "hatchling", "editables"],
            [*install, "--no-deps", "--no-build-isolation", *editable],
        ):
            subprocess.run(command, check=True, cwd=ROOT)
        (venv / "complete").touch()
    return venv


def assert_its_own_tests_pass(location: Path) -> None:
    python = environment_of(location) / "bin" / "python"
    tests = subprocess.run(
        [str(python), "-m", "pytest", "-q", "--rootdir", str(location), str(location / "tests")],
        cwd=location,
        capture_output=True,
        text=True,
        check=False,
    )
    print(tests.stdout[-4000:])
    assert tests.returncode == 0, tests.stdout + tests.stderr


@pytest.mark.timeout(900)
@pytest.mark.parametrize("location", LOCATIONS, ids=lambda path: path.name)
def test_code_location_passes_its_own_tests_with_its_own_lock(location: Path) -> None:
    assert_its_own_tests_pass(location)


@pytest.mark.timeout(900)
def test_what_bulkhead_new_makes_has_a_lock_and_passes_its_own_tests_with_it() -> None:
    # Inside the clone, because that is where bulkhead's own dependencies are read from.
    folder = ROOT / "build" / "new"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    subprocess.run([COMMAND, "new", "brand-new", "--directory", str(folder)], check=True, cwd=ROOT)
    assert_its_own_tests_pass(folder / "brand-new")
