"""Which images are built, when they are built again, and the arguments of a build."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from bulkhead_kind import images
from bulkhead_kind.engine import Engine
from bulkhead_kind.images import Image
from bulkhead_kind.progress import Progress, Step


class NoEngine(Engine):
    """Records the builds."""

    def run(self, step: Step, *arguments: str | Path) -> None:
        with (step.log.parent / "built").open("a") as built:
            built.write(json.dumps([str(word) for word in arguments]) + "\n")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "RECORD", tmp_path / "images.json")
    monkeypatch.setattr(images, "KEYS", tmp_path / "keys.json")
    monkeypatch.setattr(images, "BUILD", tmp_path)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "forecasts"
    folder.mkdir()
    (folder / "definitions.py").write_text("one")
    return folder


def ensure(tmp_path: Path, source: Path, target: str = "registry:5000") -> dict[str, str]:
    return images.ensure(
        Progress(tmp_path, Console(quiet=True)),
        NoEngine("podman"),
        [Image("forecasts", (source,))],
        base="docker.io/library/python@sha256:1",
        target=target,
        push=lambda reference: f"{target}/pushed@{reference.rsplit(':', 1)[1]}",
    )


def builds(tmp_path: Path) -> list[list[str]]:
    path = tmp_path / "built"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_an_image_is_built_once_for_the_same_sources(tmp_path: Path, source: Path) -> None:
    first = ensure(tmp_path, source)
    assert ensure(tmp_path, source) == first
    assert len(builds(tmp_path)) == 1
    assert json.loads((tmp_path / "images.json").read_text()) == first


def test_changed_code_is_built_again(tmp_path: Path, source: Path) -> None:
    first = ensure(tmp_path, source)
    (source / "definitions.py").write_text("two")
    assert ensure(tmp_path, source) != first
    assert len(builds(tmp_path)) == 2


def test_another_registry_gets_the_image_too(tmp_path: Path, source: Path) -> None:
    ensure(tmp_path, source)
    assert ensure(tmp_path, source, "elsewhere:5000")["forecasts"].startswith("elsewhere:5000/")


def test_after_forgetting_everything_is_pushed_again(tmp_path: Path, source: Path) -> None:
    ensure(tmp_path, source)
    images.forget()
    ensure(tmp_path, source)
    assert len(builds(tmp_path)) == 2


def test_a_build_names_its_dockerfile_and_its_base(tmp_path: Path, source: Path) -> None:
    ensure(tmp_path, source)
    (command,) = builds(tmp_path)
    assert f"--file={images.DOCKERFILES / 'forecasts' / 'Dockerfile'}" in command
    assert "--build-arg=BASE_IMAGE=docker.io/library/python@sha256:1" in command


def test_the_list_of_code_locations_is_the_folders_of_user_code() -> None:
    assert [folder.name for folder in images.code_locations()] == sorted(
        path.parent.name for path in (images.REPOSITORY / "user_code").glob("*/pyproject.toml")
    )


def test_the_shipped_images_have_distinct_names() -> None:
    tests = images.REPOSITORY / "tests"
    folders = [
        *images.code_locations(),
        *images.code_locations(tests / "e2e" / "locations"),
        *images.code_locations(tests / "bench" / "locations"),
    ]
    names = [*(image.name for image in images.platform_images()), *(each.name for each in folders)]
    assert len(set(names)) == len(names)
