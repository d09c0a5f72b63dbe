"""The platform and the code locations on a cluster: two charts, installed as users do."""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bulkhead_kind import process
from bulkhead_kind.paths import BUILD, KIND, REPOSITORY
from bulkhead_kind.process import CommandError
from bulkhead_kind.progress import Progress, Step

PLATFORM = "bulkhead"
"""Name of the platform's release and of its namespace."""

PLATFORM_CHART = REPOSITORY / "charts" / "bulkhead"
LOCATION_CHART = REPOSITORY / "charts" / "code-location"
PLATFORM_VALUES = KIND / "platform.yaml"
WAIT = "5m"

POD_SECURITY = {
    "pod-security.kubernetes.io/enforce": "restricted",
    "pod-security.kubernetes.io/warn": "restricted",
}


@dataclass(frozen=True)
class Cluster:
    """A cluster to install on, and the programs that reach it."""

    helm: Path
    kubectl: Path
    kubeconfig: Path | None
    context: str | None = None

    def kubectl_command(self) -> list[str]:
        """`kubectl` with the words that pick this cluster."""
        return [str(self.kubectl), *self._words("--context")]

    def helm_command(self) -> list[str]:
        """`helm` with the words that pick this cluster."""
        return [str(self.helm), *self._words("--kube-context")]

    def output(self, *words: str) -> str:
        """Return what a short kubectl command printed; raises CommandError."""
        return process.output([*self.kubectl_command(), *words])

    def _words(self, context: str) -> list[str]:
        return [
            *(["--kubeconfig", str(self.kubeconfig)] if self.kubeconfig else []),
            *([context, self.context] if self.context else []),
        ]


@dataclass(frozen=True)
class Release:
    """A chart to install under a name: its values files, and what is known only now."""

    name: str
    namespace: str
    chart: Path
    values: Sequence[Path]
    more: Mapping[str, object]


def install_platform(
    progress: Progress,
    cluster: Cluster,
    images: Mapping[str, str],
    locations: Sequence[str],
    overlays: Sequence[Path] = (),
) -> None:
    """Install or upgrade the platform's release; its namespace admits only restricted pods.

    Each of `locations` may join, with the walls that `platform.yaml` gives it, or values files on
    top of that, or else the defaults. Whoever else was let in before stays, as they were.

    Raises:
        CommandError: Helm can't tell what is installed.
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
        progress.say(f"Still registered: {', '.join(staying)}")


def platform_values(
    images: Mapping[str, str], locations: Sequence[str], before: Mapping[str, object]
) -> dict[str, object]:
    """What the platform is installed with on top of `platform.yaml`.

    Args:
        images: reference by name.
        locations: names of the code locations whose walls stand in values files.
        before: the settings of each code location that is registered already.
    """
    return {
        "image": image(images["platform"]),
        "postgresql": {"image": image(images["postgresql"])},
        "objectStore": {"image": image(images["seaweedfs"])},
        "codeLocations": {**before, **{name: {} for name in locations}},
    }


def registered(cluster: Cluster) -> dict[str, object]:
    """The code locations that the installed platform knows, by name; raises CommandError."""
    asked = ["get", "values", PLATFORM, "--namespace", PLATFORM, "--output", "json"]
    try:
        values = json.loads(process.output([*cluster.helm_command(), *asked]))
    except CommandError as error:
        if "release: not found" in str(error):
            return {}
        raise
    return (values or {}).get("codeLocations") or {}


def install_locations(
    progress: Progress, cluster: Cluster, folders: Sequence[Path], images: Mapping[str, str]
) -> None:
    """Install or upgrade the releases of code locations side by side, each in its own namespace.

    Args:
        progress: shows the steps.
        cluster: where to.
        folders: of the code locations.
        images: reference by name.

    Raises:
        StepError: a code server does not become ready; the others are installed all the same.
    """

    def install(folder: Path) -> None:
        release = Release(
            folder.name,
            f"{PLATFORM}-{folder.name}",
            LOCATION_CHART,
            (folder / "values.yaml",),
            {"image": image(images[folder.name])},
        )
        with progress.step(f"Install code location {folder.name}") as step:
            upgrade(step, cluster, release)

    with ThreadPoolExecutor() as pool:
        for installed in [pool.submit(install, folder) for folder in folders]:
            installed.result()


def pods(cluster: Cluster) -> str:
    """The pods of the platform and of every code location, as kubectl prints them."""
    return cluster.output(
        "get", "pods", "--all-namespaces", "--selector=app.kubernetes.io/part-of=bulkhead"
    )


def make_namespace(step: Step, cluster: Cluster, name: str) -> None:
    """Make a namespace that admits only restricted pods, unless it is there."""
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": POD_SECURITY},
    }
    path = _write("namespace", namespace)
    step.run([*cluster.kubectl_command(), "apply", "--server-side", "-f", path])


def upgrade(step: Step, cluster: Cluster, release: Release) -> None:
    """Install or upgrade a release, and wait until it is healthy."""
    words: Sequence[str | Path] = [
        *("upgrade", "--install", release.name, release.chart, "--namespace", release.namespace),
        *(word for values in release.values for word in ("--values", values)),
        *("--values", _write(release.name, release.more)),
        *("--wait", "--timeout", WAIT),
    ]
    step.run([*cluster.helm_command(), *words])


def image(reference: str) -> dict[str, str]:
    """The chart's `image` of `registry/repository@sha256:…`."""
    name, _, digest = reference.partition("@")
    registry, _, repository = name.partition("/")
    return {"registry": registry, "repository": repository, "digest": digest}


def _write(name: str, content: Mapping[str, object]) -> Path:
    """Keep what was given to a tool, for whoever wants to look."""
    path = BUILD / "values" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")
    return path
