"""Each code location's own tests pass with the libraries of its own lock."""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.locations import bytecode

from bulkhead_demo import environments

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
COMMAND = str(Path(sys.executable).with_name("bulkhead"))
PARENTS = (ROOT / "user_code" / "grocer", ROOT / "user_code")
LOCATIONS = [path.parent for each in PARENTS for path in sorted(each.glob("*/pyproject.toml"))]
BRAND_NEW = ROOT / "build" / "new" / "brand-new"
"""A code location of `bulkhead new`; in the clone, where it finds bulkhead's dependencies."""

AT_ONCE = 2

Outcome = subprocess.CompletedProcess[str]


def its_own_tests(location: Path) -> Outcome:
    """Run a code location's tests in its own environment, which is created if it is missing."""
    if location == BRAND_NEW:
        make_brand_new()
    venv = environments.ensure(location, partial(subprocess.run, check=True, cwd=ROOT))
    return subprocess.run(
        [
            *(str(venv / "bin" / "python"), "-m", "pytest", "-q"),
            *("--rootdir", str(location), str(location / "tests")),
        ],
        cwd=location,
        env=bytecode.ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )


def make_brand_new() -> None:
    """Create a code location with `bulkhead new`."""
    shutil.rmtree(BRAND_NEW, ignore_errors=True)
    BRAND_NEW.parent.mkdir(parents=True, exist_ok=True)
    new = [COMMAND, "new", BRAND_NEW.name, "--directory", str(BRAND_NEW.parent)]
    subprocess.run(new, check=True, cwd=ROOT)


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest) -> Iterator[dict[Path, Future[Outcome]]]:
    """Results of the tests of each selected code location; two run at a time."""
    selected = {item.name for item in request.session.items if item.path == request.path}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            location: pool.submit(its_own_tests, location)
            for location in (*LOCATIONS, BRAND_NEW)
            if any(f"[{location.name}]" in name for name in selected)
        }


@pytest.mark.timeout(900)
@pytest.mark.parametrize("location", [*LOCATIONS, BRAND_NEW], ids=lambda path: path.name)
def test_code_location_passes_its_own_tests_with_its_own_lock(
    outcomes: dict[Path, Future[Outcome]], location: Path
) -> None:
    tests = outcomes[location].result()
    print(tests.stdout[-4000:])
    assert tests.returncode == 0, tests.stdout + tests.stderr
