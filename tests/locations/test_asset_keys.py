"""The asset keys that a code location expects of another one exist there."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from tests.locations import bytecode

from bulkhead_demo import environments

ROOT = Path(__file__).resolve().parents[2]
GROCER = ROOT / "user_code" / "grocer"
LOCATIONS = sorted(path.parent.name for path in GROCER.glob("*/pyproject.toml"))

SHOW_KEYS = """
import importlib, importlib.util, json, sys
location = sys.argv[1]
graph = importlib.import_module(f"{location}.definitions").defs.resolve_asset_graph()
has_upstream = importlib.util.find_spec(f"{location}.upstream") is not None
upstream = importlib.import_module(f"{location}.upstream").UPSTREAM if has_upstream else {}
own = graph.materializable_asset_keys
print(json.dumps({
    "own": sorted(key.to_user_string() for key in own),
    "external": sorted(key.to_user_string() for key in graph.get_all_asset_keys() - own),
    "upstream": upstream,
}))
"""


@dataclass(frozen=True)
class Keys:
    """Asset keys of a code location.

    Attributes:
        own: of the assets that it defines.
        external: of other assets that its assets depend on.
        upstream: of other assets that it declares, by code location.
    """

    own: list[str]
    external: list[str]
    upstream: dict[str, list[str]]


def keys_of(location: str) -> Keys:
    """Load a code location's definitions in its own environment."""
    folder = GROCER / location
    venv = environments.ensure(folder, partial(subprocess.run, check=True, cwd=ROOT))
    command = [str(venv / "bin" / "python"), "-c", SHOW_KEYS, location]
    done = subprocess.run(
        command,
        cwd=folder,
        env=bytecode.ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Keys(**json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def keys() -> dict[str, Keys]:
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(LOCATIONS, pool.map(keys_of, LOCATIONS), strict=True))


@pytest.mark.timeout(900)
def test_every_upstream_asset_exists_in_the_code_location_that_it_is_expected_of(
    keys: dict[str, Keys],
) -> None:
    missing = [
        f"{location} depends on asset {key} of {owner}, which defines {', '.join(keys[owner].own)}"
        for location, found in keys.items()
        for owner, expected in found.upstream.items()
        for key in expected
        if key not in keys[owner].own
    ]
    assert missing == []


def test_every_asset_of_another_code_location_is_declared(keys: dict[str, Keys]) -> None:
    declared = {
        location: sorted(key for expected in found.upstream.values() for key in expected)
        for location, found in keys.items()
    }
    assert {location: found.external for location, found in keys.items()} == declared
    assert {location: bool(found) for location, found in declared.items()} == {
        "analytics": True,
        "ingestion": False,
        "ml": True,
    }


def test_no_two_code_locations_define_the_same_asset(keys: dict[str, Keys]) -> None:
    every = [key for found in keys.values() for key in found.own]
    assert len(set(every)) == len(every)
