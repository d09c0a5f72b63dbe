"""Builds and pushes the project's images; they are referenced by digest."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bulkhead_kind import base_image, debian, package_index, process, products
from bulkhead_kind.engine import Engine
from bulkhead_kind.paths import BUILD, REPOSITORY
from bulkhead_kind.progress import Progress

RECORD = BUILD / "images.json"
"""Image name → reference by digest, also for the tests: `{"platform": "…@sha256:…"}`."""

KEYS = BUILD / "images.keys.json"
"""Image name → hash of its sources and of the registry that it was pushed to."""

DOCKERFILES = REPOSITORY / "images"

BULKHEAD = REPOSITORY / "packages" / "bulkhead"
"""The library. It contains the program that installs the packages of a lock into the images."""

Push = Callable[[str], str]
"""Pushes an image of the engine's store; returns the reference by digest for pods."""


@dataclass(frozen=True)
class Image:
    """An image: its name, which is also its Dockerfile's folder, and its source folders."""

    name: str
    sources: tuple[Path, ...] = ()


def code_locations(parent: Path = REPOSITORY / "user_code") -> list[Path]:
    """Return the folders of the code locations in a folder; `user_code/` by default."""
    return _with_pyproject(parent)


def platform_images() -> list[Image]:
    """Return the platform's image, and the two images of stores for evaluation."""
    return [
        Image("platform", (BULKHEAD,)),
        Image("postgresql"),
        Image("seaweedfs"),
    ]


def ensure(
    progress: Progress,
    engine: Engine,
    images: Iterable[Image],
    *,
    base: str,
    target: str,
    push: Push,
) -> dict[str, str]:
    """Build and push the images that changed; returns each image's reference by digest.

    Args:
        progress: shows the steps.
        engine: builds.
        images: what to build.
        base: the base image's reference.
        target: where to push; a changed target pushes all images.
        push: pushes one image.

    Raises:
        StepError: a build or a push failed.
    """
    references, keys = _read(RECORD), _read(KEYS)
    for image in images:
        key = products.key(DOCKERFILES / image.name, *image.sources, base, target)
        if keys.get(image.name) == key and image.name in references:
            continue
        local = f"localhost/bulkhead/{image.name}:{key}"
        with progress.step(f"Build image {image.name}") as step:
            engine.run(step, *_build_command(image, base, local))
        references[image.name] = push(local)
        keys[image.name] = key
        _write(RECORD, references)
        _write(KEYS, keys)
    return references


def forget() -> None:
    """Let the next call push every image: the registry is gone."""
    KEYS.unlink(missing_ok=True)


def _with_pyproject(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob("*/pyproject.toml"))


def _build_command(image: Image, base: str, local: str) -> list[str]:
    """Return the build command; settings of package indexes are passed as secrets."""
    arguments = {"BASE_IMAGE": base, "REVISION": _revision()}
    return [
        "build",
        f"--file={DOCKERFILES / image.name / 'Dockerfile'}",
        f"--tag={local}",
        *(f"--build-arg={name}={value}" for name, value in arguments.items()),
        *build_options(base),
        str(REPOSITORY),
    ]


def build_options(base: str) -> list[str]:
    """Return the options of every build here: the network, and settings of package indexes."""
    return ["--network=host", *_secrets(base)]


def record(references: Mapping[str, str]) -> None:
    """Write RECORD."""
    _write(RECORD, references)


def _secrets(base: str) -> list[str]:
    """Return the options for this machine's settings of package indexes, if any."""
    index = package_index.settings()
    secrets = {
        "pip.conf": _secret("pip.conf", package_index.pip_conf(index)) if index else None,
        "uv.toml": _secret("uv.toml", package_index.uv_toml(index)) if index else None,
        "ca.crt": package_index.ca_bundle(),
        "sources.list": _debian_sources() if base.startswith(base_image.BUILT) else None,
    }
    return [f"--secret=id={name},src={path}" for name, path in secrets.items() if path]


def _debian_sources() -> Path:
    """Return a sources.list for a base image that was made here, which has none."""
    return _secret("sources.list", debian.sources())


def _secret(name: str, content: str) -> Path:
    path = BUILD / "secrets" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(0o600)
    return path


def _revision() -> str:
    try:
        return process.output(["git", "-C", str(REPOSITORY), "rev-parse", "--short=12", "HEAD"])
    except process.CommandError:
        return "unknown"


def _read(path: Path) -> dict[str, str]:
    return json.loads(path.read_text()) if path.exists() else {}


def _write(path: Path, content: Mapping[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
