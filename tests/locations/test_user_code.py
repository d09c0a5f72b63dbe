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
LOCATIONS = sorted(path.parent for path in ROOT.glob("user_code/*/pyproject.toml"))


def environment_of(location: Path) -> Path:
    """A virtual environment with exactly the location's lock, pytest and the location itself.

    Kept in `build/venvs/` under the hash of the lock, so that the next call finds it.
    """
    lock = location / "requirements.lock"
    key = hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    venv = ROOT / "build" / "venvs" / f"{location.name}-{key}"
    if not (venv / "complete").exists():
        shutil.rmtree(venv, ignore_errors=True)
        install = [UV, "pip", "install", "-q", "--python", str(venv / "bin" / "python")]
        for command in (
            [UV, "venv", "-q", "--python", sys.executable, str(venv)],
            [*install, "--require-hashes", "-r", str(lock)],
            [*install, "pytest", "hatchling", "editables"],
            [*install, "--no-deps", "--no-build-isolation", "-e", str(location)],
        ):
            subprocess.run(command, check=True, cwd=ROOT)
        (venv / "complete").touch()
    return venv


@pytest.mark.timeout(300)
@pytest.mark.parametrize("location", LOCATIONS, ids=lambda path: path.name)
def test_code_location_passes_its_own_tests_with_its_own_lock(location: Path) -> None:
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
