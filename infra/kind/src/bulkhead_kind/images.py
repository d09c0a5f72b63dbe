"""The project's own images: built, pushed, and known afterwards by digest alone."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bulkhead_kind import base_image, debian, package_index, process, products
from bulkhead_kind.engine import Engine
from bulkhead_kind.paths import BUILD, REPOSITORY
from bulkhead_kind.progress import Progress

RECORD = BUILD / "images.json"
"""Image name → reference by digest, for whoever installs or tests: `{"platform": "…@sha256:…"}`."""

KEYS = BUILD / "images.keys.json"
"""Image name → hash of what it was built from and where it was pushed to."""

DOCKERFILES = REPOSITORY / "images"

INSTALLER = DOCKERFILES / "installer"
"""What installs packages into the images that hold some."""

BULKHEAD = REPOSITORY / "packages" / "bulkhead"

Push = Callable[[str], str]
"""Takes a reference in the engine's store; returns the one with a digest that pods use."""


@dataclass(frozen=True)
class Image:
    """One image: its name, the Dockerfile's folder below images/, and the folders it is made of."""

    name: str
    dockerfile: str
    sources: tuple[Path, ...]
    arguments: Mapping[str, str]


def code_locations(parent: Path = REPOSITORY / "user_code") -> list[Path]:
    """The folders of the code locations in a folder; those in `user_code/` are installed."""
    return _with_pyproject(parent)


def platform_images() -> list[Image]:
    """The platform's image, and the two that are there for trying out."""
    return [
        Image("platform", "platform", (INSTALLER, BULKHEAD), {}),
        Image("postgresql", "postgresql", (), {}),
        Image("seaweedfs", "seaweedfs", (), {}),
    ]


def location_images(folders: Iterable[Path]) -> list[Image]:
    """An image for each folder, all from the one Dockerfile."""
    return [
        Image(
            folder.name,
            "code-location",
            (INSTALLER, BULKHEAD, folder),
            {"LOCATION": str(folder.relative_to(REPOSITORY))},
        )
        for folder in folders
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
    """Build and push what has changed; returns each image's reference by digest.

    Args:
        progress: shows the steps.
        engine: builds.
        images: what to build.
        base: the base image's reference.
        target: says where to push; another target than last time pushes again.
        push: does it.

    Raises:
        StepError: a build or a push failed.
    """
    references, keys = _read(RECORD), _read(KEYS)
    for image in images:
        dockerfile = DOCKERFILES / image.dockerfile
        key = products.key(dockerfile, *image.sources, base, target, *image.arguments.values())
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
    """Push everything again next time: the registry that held it is gone."""
    KEYS.unlink(missing_ok=True)


def size(engine: Engine, image: str) -> float:
    """The unpacked size of a local image in MB."""
    newest = engine.output("images", "--format={{.ID}}", f"localhost/bulkhead/{image}").split()
    if not newest:
        return 0
    return int(engine.output("image", "inspect", "--format={{.Size}}", newest[0])) / 1e6


def _with_pyproject(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob("*/pyproject.toml"))


def _build_command(image: Image, base: str, local: str) -> list[str]:
    """The engine's build; how to reach the package index goes in as secrets, without a trace."""
    arguments = {"BASE_IMAGE": base, "REVISION": _revision(), **image.arguments}
    return [
        "build",
        "--network=host",
        f"--file={DOCKERFILES / image.dockerfile / 'Dockerfile'}",
        f"--tag={local}",
        *(f"--build-arg={name}={value}" for name, value in arguments.items()),
        *_secrets(base),
        str(REPOSITORY),
    ]


def _secrets(base: str) -> list[str]:
    """This machine's ways to the package indexes, where it has any of its own."""
    index = package_index.settings()
    secrets = {
        "pip.conf": _secret("pip.conf", package_index.pip_conf(index)) if index else None,
        "uv.toml": _secret("uv.toml", package_index.uv_toml(index)) if index else None,
        "ca.crt": package_index.ca_bundle(),
        "sources.list": _debian_sources() if base.startswith(base_image.BUILT) else None,
    }
    return [f"--secret=id={name},src={path}" for name, path in secrets.items() if path]


def _debian_sources() -> Path:
    """A sources.list for a base image that was made here and keeps no address itself."""
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
