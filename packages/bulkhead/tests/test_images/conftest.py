"""Code locations, engines that only write down how they are called, and one cache of builds."""

import hashlib
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import pytest
from packages.bulkhead.tests.registry_server import REPOSITORY, RegistryServer

from bulkhead.images.image import Source
from bulkhead.images.target import Target
from bulkhead.registry.client import Registry

BASE_IMAGE = f"docker.io/library/python@sha256:{'1' * 64}"

HATCHLING = """
[project]
name = "sales"
version = "1.0"
scripts = {sales = "sales:main"}
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[tool.hatch.build.targets.wheel]
packages = ["src/sales"]
"""


@pytest.fixture(scope="session", autouse=True)
def builds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The cache of build environments, empty at first; this machine's own is left alone."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(platformdirs, "user_cache_path", lambda _name: folder)
        yield folder / "build"


@dataclass
class Location:
    """A code location's folder."""

    folder: Path

    def write(self, name: str, text: str) -> None:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    @property
    def source(self) -> Source:
        """The folder as one commit; another content is another tree."""
        digest = hashlib.sha1(usedforsecurity=False)
        for file in sorted(self.folder.rglob("*")):
            if file.is_file():
                digest.update(f"{file.relative_to(self.folder)}".encode() + file.read_bytes())
        tree = digest.hexdigest()
        return Source("sales", self.folder, tree, commit=f"c{tree[1:]}", commit_time=1764327751)


@pytest.fixture
def location(tmp_path: Path) -> Location:
    made = Location(tmp_path / "sales")
    made.write("pyproject.toml", HATCHLING)
    made.write("requirements.lock", locked("iniconfig"))
    made.write("src/sales/__init__.py", "def main() -> None:\n    print('sales')\n")
    return made


def locked(package: str) -> str:
    """The part of this repository's lock for a package, with its hashes."""
    lock = (REPOSITORY / "requirements.lock").read_text()
    found = re.search(rf"^{package}==.*(?:\n +--hash.*)+\n", lock, re.MULTILINE)
    assert found is not None
    return found[0]


@pytest.fixture
def registry(image_registry: RegistryServer) -> Registry:
    return Registry(image_registry.host, plain_http=True, credentials=None, timeout=10)


@pytest.fixture
def target(image_registry: RegistryServer, request: pytest.FixtureRequest) -> Target:
    """A prefix of its own for each test."""
    prefix = re.sub("[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
    return Target(f"registry.cluster:5000/{prefix}", f"{image_registry.host}/{prefix}")


Engine = Callable[[str, str], Path]
"""Makes a program of this name that runs some lines of Python; returns its record of calls."""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    folder = tmp_path / "engines"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    record = tmp_path / "calls"
    record.write_text("")

    def make(name: str, lines: str) -> Path:
        program = folder / name
        program.write_text(
            f"#!{sys.executable}\n"
            "import json, os, sys\n"
            "from pathlib import Path\n"
            f"with open({str(record)!r}, 'a') as record:\n"
            "    print(json.dumps(sys.argv), file=record)\n"
            f"{lines}\n"
        )
        program.chmod(0o755)
        return record

    return make
