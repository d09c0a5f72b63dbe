"""Render the charts with Helm, once for each set of values."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
PLATFORM = ROOT / "charts" / "bulkhead"
LOCATION = ROOT / "charts" / "code-location"

Manifest = dict[str, Any]


class RenderError(Exception):
    """Helm refused to render; the message is Helm's."""


@dataclass(frozen=True)
class Case:
    """A chart with a values file, and the release that it would be installed as."""

    chart: Path
    values: Path
    release: str
    namespace: str
    settings: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the path of the values file, by which pytest names the case."""
        return str(self.values.relative_to(ROOT))


def cases(chart: Path | None = None) -> list[Case]:
    """Return every values file of the project with its chart, or those of one chart."""
    platform = [*sorted(PLATFORM.glob("ci/*.yaml")), ROOT / "infra" / "kind" / "platform.yaml"]
    folders = [
        *ROOT.glob("user_code/*/values.yaml"),
        *ROOT.glob("user_code/grocer/*/values.yaml"),
        *ROOT.glob("tests/*/locations/*/values.yaml"),
    ]
    found = [Case(PLATFORM, path, "bulkhead", "bulkhead") for path in platform]
    for path in sorted(LOCATION.glob("ci/*.yaml")):
        name = yaml.safe_load(path.read_text()).get("codeLocation", path.stem)
        found.append(Case(LOCATION, path, name, f"bulkhead-{name}"))
    for path in sorted(folders):
        # A location's folder doesn't name its image: that is built, and given by digest.
        name = path.parent.name
        image = (
            "image.registry=registry.example.com",
            f"image.repository=bulkhead/{name}",
            f"image.digest=sha256:{'0' * 64}",
        )
        found.append(Case(LOCATION, path, name, f"bulkhead-{name}", image))
    return [case for case in found if chart in (None, case.chart)]


def helm(major: int = 4) -> str:
    """Return the path of Helm 4 or Helm 3.

    Raises:
        FileNotFoundError: there is none.
    """
    variable, name = {3: ("HELM3", "helm3/helm"), 4: ("HELM", "helm")}[major]
    tool = ROOT / ".tools" / name
    found = os.environ.get(variable) or (str(tool) if tool.exists() else shutil.which(name))
    if not found:
        raise FileNotFoundError(
            f"no Helm {major}: {tool} does not exist and {name} is not on PATH; "
            f"run `bulkhead-kind tools` or set {variable}"
        )
    return found


def render(case: Case, *arguments: str, major: int = 4) -> list[Manifest]:
    """Render a case, with more arguments of `helm template`.

    Raises:
        RenderError: Helm refused.
    """
    command = [
        *(helm(major), "template", case.release, str(case.chart)),
        *("--namespace", case.namespace, "--values", str(case.values)),
        *(word for setting in case.settings for word in ("--set", setting)),
        *arguments,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RenderError(done.stderr)
    return [each for each in yaml.load_all(done.stdout, Loader=yaml.CSafeLoader) if each]


@cache
def rendered(case: Case) -> list[Manifest]:
    """Render a case as on install, once; whoever changes the manifests copies them first."""
    return render(case)


def find(manifests: list[Manifest], kind: str, name: str, namespace: str = "") -> Manifest:
    """Return the one object of that kind and name, in that namespace if one is given."""
    (found,) = [
        each
        for each in manifests
        if (each["kind"], each["metadata"]["name"]) == (kind, name)
        and namespace in ("", each["metadata"].get("namespace"))
    ]
    return found


def identity(manifest: Manifest) -> tuple[str, str, str]:
    """Return what no two objects of a cluster share."""
    metadata = manifest["metadata"]
    return manifest["kind"], metadata.get("namespace", ""), metadata["name"]


def pod_template(manifest: Manifest) -> Manifest | None:
    """Return the pod template of a Deployment, StatefulSet or Job; None for other kinds."""
    if manifest["kind"] in {"Deployment", "StatefulSet", "Job"}:
        return manifest["spec"]["template"]
    return None


def pod_templates(manifests: list[Manifest]) -> dict[tuple[str, str, str], Manifest]:
    """Return every pod template by the identity of the object that it belongs to."""
    return {
        identity(manifest): template
        for manifest in manifests
        if (template := pod_template(manifest)) is not None
    }


def containers(template: Manifest) -> list[Manifest]:
    """Return all containers of a pod template, sidecars and init containers first."""
    return [*template["spec"].get("initContainers", []), *template["spec"]["containers"]]
