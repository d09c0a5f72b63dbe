"""The programs that can build an image from a Dockerfile: docker, podman, BuildKit's buildctl."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from bulkhead.images import process
from bulkhead.images.errors import ImageError
from bulkhead.registry import credentials
from bulkhead.registry.reference import Reference

Name = Literal["docker", "podman", "buildctl"]

NAMES: Final[tuple[Name, ...]] = ("docker", "podman", "buildctl")

_ANSWER_SECONDS: Final = 15.0

# Exit with 0 if the program's daemon works. Podman has none.
_CHECKS: Final[Mapping[Name, Sequence[str]]] = {
    "docker": ("info", "--format={{.ServerVersion}}"),
    "podman": ("--version",),
    "buildctl": ("debug", "workers"),
}


@dataclass(frozen=True)
class Build:
    """What to build, and where to push it."""

    context: Path
    """A folder with a Dockerfile."""
    arguments: Mapping[str, str]
    """Build arguments of the Dockerfile."""
    image: Reference
    """With a tag."""
    plain_http: bool
    options: Sequence[str]
    """More options for the engine's command `build`, such as `--secret=id=…,src=…`."""


def find(name: str | None = None) -> Name:
    """Return the engine to use: the named one, else the first that works.

    Raises:
        ImageError: The name is unknown, or no engine works.
    """
    if name is not None:
        if name not in NAMES:
            raise ImageError(
                f"{name!r} is not a known container engine. Use one of {', '.join(NAMES)}."
            )
        return name
    for each in NAMES:
        if _works(each):
            return each
    raise ImageError(
        "No container engine works here, and a changed requirements.lock needs one: docker, podman "
        "or buildctl. Install one, or start its daemon. A deploy with a lock that was built before "
        "needs none."
    )


def build_and_push(engine: Name, build: Build) -> None:
    """Build an image and push it.

    The credentials are those that this machine has for the engine, or those of the environment
    variables BULKHEAD_REGISTRY_USERNAME and …_PASSWORD.

    Raises:
        ImageError: The build or the push failed; `output` has the engine's last lines.
        RegistryError: The credentials cannot be read.
    """
    user = credentials.of_environment()
    with tempfile.TemporaryDirectory(prefix="bulkhead-docker-") as folder:
        login: Path | None = None
        environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
        with_login = environment
        if user is not None:
            credentials.write_docker_config(Path(folder), build.image.host, user)
            with_login = {**environment, "DOCKER_CONFIG": folder}
            login = Path(folder) / "config.json"
        *builds, push = _commands(engine, build, login)
        failure = f"The image {build.image} could not be built and pushed."
        for command in builds:
            process.run(command, failure, environment=environment)
        # Only here: the build may pull the base image with another login of this machine.
        process.run(push, failure, environment=with_login)


def _works(engine: Name) -> bool:
    if shutil.which(engine) is None:
        return False
    try:
        done = subprocess.run(
            [engine, *_CHECKS[engine]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_ANSWER_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _commands(engine: Name, build: Build, login: Path | None) -> list[list[str]]:
    """Return the commands, the last of which pushes; `login` is a config.json for podman."""
    if engine == "buildctl":
        return [_buildctl(build)]
    plain = ["--progress=plain"] if engine == "docker" else []
    arguments = [f"--build-arg={name}={value}" for name, value in build.arguments.items()]
    pushes: list[str] = []
    if engine == "podman":
        # Docker's daemon decides by itself: plain HTTP on loopback, and where it is configured so.
        pushes += ["--tls-verify=false"] if build.plain_http else []
        pushes += [f"--authfile={login}"] if login else []
    image = str(build.image)
    return [
        [engine, "build", *plain, f"--tag={image}", *arguments, *build.options, str(build.context)],
        [engine, "push", *pushes, image],
    ]


def _buildctl(build: Build) -> list[str]:
    insecure = ",registry.insecure=true" if build.plain_http else ""
    return [
        *("buildctl", "build", "--progress=plain", "--frontend=dockerfile.v0"),
        *(f"--local={name}={build.context}" for name in ("context", "dockerfile")),
        *(f"--opt=build-arg:{name}={value}" for name, value in build.arguments.items()),
        f"--output=type=image,name={build.image},push=true{insecure}",
        *build.options,
    ]
