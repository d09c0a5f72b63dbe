"""Installs the platform and the code locations on a cluster, with the two charts."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bulkhead.deploy.release import image_values
from bulkhead_kind import process
from bulkhead_kind.paths import BUILD, KIND, REPOSITORY
from bulkhead_kind.process import CommandError
from bulkhead_kind.progress import Progress, Step

PLATFORM = "bulkhead"
"""Name of the platform's release and of its namespace."""

PLATFORM_CHART = REPOSITORY / "charts" / "bulkhead"
PLATFORM_VALUES = KIND / "platform.yaml"
WAIT = "5m"

POD_SECURITY = {
    "pod-security.kubernetes.io/enforce": "restricted",
    "pod-security.kubernetes.io/warn": "restricted",
}


@dataclass(frozen=True)
class Cluster:
    """A cluster, and the programs to reach it."""

    helm: Path
    kubectl: Path
    kubeconfig: Path | None
    context: str | None = None

    def kubectl_command(self) -> list[str]:
        """Return `kubectl` with the options that select this cluster."""
        return [str(self.kubectl), *self._options("--context")]

    def helm_command(self) -> list[str]:
        """Return `helm` with the options that select this cluster."""
        return [str(self.helm), *self._options("--kube-context")]

    def output(self, *arguments: str) -> str:
        """Return the output of a short kubectl command; raises CommandError."""
        return process.output([*self.kubectl_command(), *arguments])

    def _options(self, context: str) -> list[str]:
        return [
            *(["--kubeconfig", str(self.kubeconfig)] if self.kubeconfig else []),
            *([context, self.context] if self.context else []),
        ]


@dataclass(frozen=True)
class Release:
    """A release to install: its chart, values files and further values."""

    name: str
    namespace: str
    chart: Path
    values: Sequence[Path]
    further_values: Mapping[str, object]


def install_platform(
    progress: Progress,
    cluster: Cluster,
    images: Mapping[str, str],
    locations: Sequence[str],
    overlays: Sequence[Path] = (),
) -> None:
    """Install or upgrade the platform's release; its namespace admits only restricted pods.

    Each of `locations` is registered with its settings in `platform.yaml` and `overlays`, or with
    the defaults. Code locations that were registered before keep their settings.

    Raises:
        CommandError: Helm cannot read the installed release.
        StepError: the release does not become healthy.
    """
    before = registered(cluster)
    values = platform_values(images, locations, before)
    files = (PLATFORM_VALUES, *overlays)
    release = Release(PLATFORM, PLATFORM, PLATFORM_CHART, files, values)
    with progress.step("Install the platform") as step:
        make_namespace(step, cluster, PLATFORM)
        upgrade(step, cluster, release)
    staying = sorted(set(before) - set(locations))
    if staying:
        progress.print(f"Still registered: {', '.join(staying)}")


def platform_values(
    images: Mapping[str, str], locations: Sequence[str], before: Mapping[str, object]
) -> dict[str, object]:
    """Return the platform's values on top of `platform.yaml`.

    Args:
        images: reference by name.
        locations: names of the code locations whose settings are in values files.
        before: settings of each code location that is already registered.
    """
    return {
        "image": image_values(images["platform"]),
        "postgresql": {"image": image_values(images["postgresql"])},
        "objectStore": {"image": image_values(images["seaweedfs"])},
        "codeLocations": {**before, **{name: {} for name in locations}},
    }


def registered(cluster: Cluster) -> dict[str, object]:
    """Return the settings of each registered code location, by name; raises CommandError."""
    arguments = ["get", "values", PLATFORM, "--namespace", PLATFORM, "--output", "json"]
    try:
        values: dict[str, Any] | None = json.loads(
            process.output([*cluster.helm_command(), *arguments])
        )
    except CommandError as error:
        if "release: not found" in str(error):
            return {}
        raise
    registered: dict[str, object] | None = (values or {}).get("codeLocations")
    return registered or {}


def pods(cluster: Cluster) -> str:
    """Return kubectl's table of the pods of the platform and of every code location."""
    return cluster.output(
        "get", "pods", "--all-namespaces", "--selector=app.kubernetes.io/part-of=bulkhead"
    )


def make_namespace(step: Step, cluster: Cluster, name: str) -> None:
    """Create a namespace that admits only restricted pods, unless it exists."""
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": POD_SECURITY},
    }
    path = _write("namespace", namespace)
    step.run([*cluster.kubectl_command(), "apply", "--server-side", "-f", path])


def upgrade(step: Step, cluster: Cluster, release: Release) -> None:
    """Install or upgrade a release, and wait until it is healthy."""
    arguments: Sequence[str | Path] = [
        *("upgrade", "--install", release.name, release.chart, "--namespace", release.namespace),
        *(each for values in release.values for each in ("--values", values)),
        *("--values", _write(release.name, release.further_values)),
        *("--wait", "--timeout", WAIT),
    ]
    step.run([*cluster.helm_command(), *arguments])


def _write(name: str, content: Mapping[str, object]) -> Path:
    """Write values to a file in `build/values`, which stays there for debugging."""
    path = BUILD / "values" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")
    return path
