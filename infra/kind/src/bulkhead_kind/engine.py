"""The container engine: docker where its daemon works, else podman, else podman from apt."""

import resource
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

from bulkhead_kind import debian, host, process
from bulkhead_kind.paths import BUILD
from bulkhead_kind.process import CommandError
from bulkhead_kind.progress import Progress, Step

PACKAGES = (
    "podman",
    "netavark",
    "aardvark-dns",
    "conmon",
    "runc",
    "catatonit",
    "iptables",
)
"""Podman, a network that resolves container names, and a runtime that supports cgroup v1."""

MOST_OPEN_FILES = 1_048_576
MOST_PROCESSES = 32_768

ANSWER_SECONDS = 15
"""Timeout for the first answer of an engine's daemon or an image registry."""


class EngineError(Exception):
    """There is no usable container engine; `str()` says what to install."""


@dataclass(frozen=True)
class Engine:
    """A container engine, and the environment variables for its commands and kind."""

    name: Literal["docker", "podman"]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])

    def output(self, *arguments: str, timeout: float = 60) -> str:
        """Run a short command of the engine and return its output; raises CommandError."""
        return process.output([self.name, *arguments], env=self.environment, timeout=timeout)

    def succeeds(self, *arguments: str, timeout: float = 60) -> bool:
        """Return whether a short command of the engine exits with code 0."""
        return process.succeeds([self.name, *arguments], env=self.environment, timeout=timeout)

    def run(self, step: Step, *arguments: str | Path) -> None:
        """Run a long command of the engine in `step`; raises CommandError."""
        step.run([self.name, *arguments], env=self.environment)

    def has_image(self, reference: str) -> bool:
        """Return whether the engine's local store has the image."""
        return self.succeeds("image", "inspect", reference)

    def is_running(self, container: str) -> bool:
        """Return whether the container exists and runs."""
        try:
            state = self.output("container", "inspect", "--format={{.State.Running}}", container)
        except CommandError:
            return False
        return state == "true"

    def has_container(self, container: str) -> bool:
        """Return whether the container exists, running or not."""
        return self.succeeds("container", "inspect", container)

    def registry_has(self, reference: str) -> str | None:
        """Query the image's registry; return None if it has the image, else the reason.

        Times out after ANSWER_SECONDS; the answer is cached.
        """
        return _query_registry(self.name, tuple(self.environment.items()), reference)


def find(progress: Progress) -> Engine:
    """Return the engine to use, installing podman with apt where nothing else works.

    Raises EngineError when there is no engine and none can be installed, StepError when the
    installation fails.
    """
    if shutil.which("docker") and process.succeeds(
        ["docker", "info", "--format={{.ServerVersion}}"], timeout=ANSWER_SECONDS
    ):
        return Engine("docker")
    if shutil.which("podman") is None:
        _install_podman(progress)
    return Engine("podman", _podman_environment())


def pull_or_build(
    engine: Engine,
    progress: Progress,
    *,
    title: str,
    stock: str,
    built: str,
    build: Callable[[], None],
) -> str:
    """Return a stored image, else the pulled image, else the image built here.

    Args:
        engine: holds the images.
        progress: shows the pull.
        title: name of the image in the step's title: `Pull …`.
        stock: reference in an image registry, by digest.
        built: reference of the image that `build` puts into the engine's store.
        build: builds the image; called only if no registry has `stock`.

    Raises:
        StepError: the pull, or what `build` does, failed.
    """
    for reference in (stock, built):
        if engine.has_image(reference):
            return reference
    if engine.registry_has(stock) is None:
        with progress.step(f"Pull {title}") as step:
            engine.run(step, "pull", stock)
        return stock
    build()
    return built


def remove_own_images(engine: Engine, progress: Progress) -> None:
    """Remove every image named `localhost/bulkhead…` from the engine's store."""
    listed = engine.output("images", "--format={{.Repository}}:{{.Tag}}").split()
    own = [reference for reference in listed if reference.startswith("localhost/bulkhead")]
    if own:
        with progress.step("Remove the built images") as step:
            engine.run(step, "rmi", "--force", *own)


def _install_podman(progress: Progress) -> None:
    if not (host.is_root() and host.is_debian_like()):
        raise EngineError(
            "No container engine: the Docker daemon does not respond, and podman is not installed. "
            "Start Docker, or install podman. As root on Debian and Ubuntu, this command installs "
            "podman."
        )
    with progress.step("Install podman") as step:
        debian.install(step, PACKAGES)


def _podman_environment() -> dict[str, str]:
    """Return the environment variables that podman and kind need.

    Settings go into a file in `build/`, so that nothing below /etc changes.
    """
    environment = {"KIND_EXPERIMENTAL_PROVIDER": "podman"}
    settings = _podman_settings(
        cgroup_v1=host.has_cgroup_v1(), lacks_sys_resource=host.lacks_sys_resource()
    )
    if settings:
        path = BUILD / "containers.conf"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(settings)
        environment["CONTAINERS_CONF"] = str(path)
    return environment


def _podman_settings(*, cgroup_v1: bool, lacks_sys_resource: bool) -> str:
    """Return a containers.conf(5); empty if podman's own defaults work."""
    lines: list[str] = []
    if lacks_sys_resource:
        # Podman requests the highest limits, which only this capability may grant.
        files = host.hard_limit(resource.RLIMIT_NOFILE, MOST_OPEN_FILES)
        processes = host.hard_limit(resource.RLIMIT_NPROC, MOST_PROCESSES)
        limits = f'"nofile={files}:{files}", "nproc={processes}:{processes}"'
        lines += ["[containers]", f"default_ulimits = [{limits}]"]
    if cgroup_v1:
        # crun rejects a cgroup tree of both versions; such a host rarely runs systemd.
        lines += ["[engine]", 'runtime = "runc"', 'cgroup_manager = "cgroupfs"']
    return "".join(f"{line}\n" for line in lines)


@cache
def _query_registry(
    engine: str, environment: tuple[tuple[str, str], ...], reference: str
) -> str | None:
    try:
        process.output(
            [engine, "manifest", "inspect", reference],
            env=dict(environment),
            timeout=ANSWER_SECONDS,
        )
    except CommandError as error:
        # The cause is the last part of the engine's message.
        return str(error).rsplit(": ", 1)[-1]
    return None
