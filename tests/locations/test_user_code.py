"""Each code location's own tests pass with the libraries of its own lock."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from bulkhead_demo import environments

ROOT = Path(__file__).resolve().parents[2]
COMMAND = str(Path(sys.executable).with_name("bulkhead"))
PARENTS = (ROOT / "user_code", ROOT / "user_code" / "grocer")
LOCATIONS = sorted(path.parent for each in PARENTS for path in each.glob("*/pyproject.toml"))


def assert_its_own_tests_pass(location: Path) -> None:
    run = partial(subprocess.run, check=True, cwd=ROOT)
    python = environments.ensure(location, run) / "bin" / "python"
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
