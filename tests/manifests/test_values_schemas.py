"""A wrong value fails before anything is installed, and Helm's message says where it stands."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, cast

import pytest
import yaml
from tests.manifests import render

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHARTS = (render.PLATFORM, render.LOCATION)

FREE = {
    "global": "Helm's own",
    "nodeAffinity": "Kubernetes checks it",
    "podAffinity": "Kubernetes checks it",
    "podAntiAffinity": "Kubernetes checks it",
    "configMap": "Kubernetes checks it",
    "csi": "Kubernetes checks it",
    "downwardAPI": "Kubernetes checks it",
    "emptyDir": "Kubernetes checks it",
    "ephemeral": "Kubernetes checks it",
    "persistentVolumeClaim": "Kubernetes checks it",
    "projected": "Kubernetes checks it",
    "secret": "Kubernetes checks it",
    "fieldRef": "Kubernetes checks it",
    "resourceFieldRef": "Kubernetes checks it",
}
"""Keys below which anything may stand, and who refuses what is wrong there."""

PLATFORM_ESCAPES = [
    ("dagsterWebserver.replicas=2", "dagsterWebserver", "replicas"),
    ("dagsterWebServer.replicaCount=2", "", "dagsterWebServer"),
    ("dagsterWebserver.replicaCount=0", "dagsterWebserver.replicaCount", ""),
    ("dagsterWebserver.replicaCount=two", "dagsterWebserver.replicaCount", ""),
    ("dagsterWebserver.resources.limits.memory=12 potatoes", "dagsterWebserver.resources", ""),
    ("dagsterDaemon.resources.limits.cpu=fast", "dagsterDaemon.resources.limits.cpu", ""),
    ("reconciler.interval=5", "reconciler", "interval"),
    ("reconciler.resources.limits.memory=null", "reconciler.resources.limits", "memory"),
    ("dagsterDaemon.resources=null", "dagsterDaemon", "resources"),
    ("dagsterDaemon.resources.limits.memory=null", "dagsterDaemon.resources.limits", "memory"),
    ("image.tag=12", "image.tag", "string"),
    ("image.tag=latest", "image.tag", ""),
    ("postgresql.image.tag=latest", "postgresql.image.tag", ""),
    ("image.repository=bulkhead/platform:latest", "image.repository", ""),
    ("image.digest=sha256:1234", "image.digest", ""),
    ("postgresql.enabled=false", "postgresql.postgresqlHost", ""),
    ("postgresql.password=secret", "postgresql", "password"),
    ("objectStore.bucket=My_Bucket", "objectStore.bucket", ""),
    ("concurrency.runs.maxConcurrentRuns=-2", "concurrency.runs.maxConcurrentRuns", ""),
    ("telemetry.enabled=perhaps", "telemetry.enabled", ""),
    ("codeLocations.Hello.keep=true", "codeLocations", "Hello"),
    ("codeLocations.hello.celing.cpu=1", "codeLocations.hello", "celing"),
    ("codeLocations.hello.ceiling.memory=12 potatoes", "codeLocations.hello.ceiling.memory", ""),
    ("codeLocations.hello.ceiling.memory=1073741824", "codeLocations.hello.ceiling.memory", ""),
    ("codeLocations.hello.quota.request\\.cpu=1", "codeLocations.hello.quota", "request.cpu"),
    ("codeLocations.hello.quota.pods=many", "codeLocations.hello.quota.pods", ""),
    ("codeLocations.hello.deployers[0].kind=Users", "codeLocations.hello.deployers.0", ""),
    ("codeLocations.hello.deployers=everybody", "codeLocations.hello.deployers", ""),
    ("codeLocationDefaults.steps.limits.cpu=1", "codeLocationDefaults.steps", "limits"),
]

LOCATION_ESCAPES = [
    ("image.tag=latest", "image.tag", ""),
    ("image.repository=", "image.repository", ""),
    ("release.comit=f00", "release", "comit"),
    ("release.commit=one two", "release.commit", ""),
    ("release.tree=main", "release.tree", ""),
    ("definitions.modul=x", "definitions", "modul"),
    ("definitions.module=second", "definitions", ""),
    ("definitions.file=null", "definitions", ""),
    ("codeLocation=Fore_casts", "codeLocation", ""),
    ("codeServer.resources.limits.memory=12 potatoes", "codeServer.resources.limits.memory", ""),
    ("codeServer.resources.requests.cpu=null", "codeServer.resources.requests", "cpu"),
    ("steps.resources.limit.cpu=1", "steps.resources", "limit"),
    ("env[0].valu=1", "env.0", "valu"),
    ("volumes[0].name=tmp", "volumes.0.name", ""),
    ("volumes[0].hostPath.path=/", "volumes.0", "hostPath"),
    ("serviceAccountName=bulkhead-run", "", "serviceAccountName"),
]

AMOUNTS = [
    (
        "steps.defaults.limits.memory=128Mi",
        (
            "codeLocations.hello.steps.defaults.limits.memory: 128Mi is below the minimum of "
            "192Mi, because a step needs about 136Mi before its own code runs. Set 192Mi or more."
        ),
    ),
    (
        "steps.defaults.limits.memory=8Gi",
        (
            "codeLocations.hello.steps.defaults.limits.memory: 8Gi is above the ceiling of 4Gi. "
            "Lower the limit, or raise codeLocations.hello.ceiling.memory."
        ),
    ),
    (
        "steps.defaults.limits.cpu=2500m",
        (
            "codeLocations.hello.steps.defaults.limits.cpu: 2500m is above the ceiling of 2. "
            "Lower the limit, or raise codeLocations.hello.ceiling.cpu."
        ),
    ),
    (
        "steps.defaults.requests.cpu=1001m",
        (
            "codeLocations.hello.steps.defaults.requests.cpu: 1001m is above the limit of 1. "
            "Lower the request, or raise the limit."
        ),
    ),
    (
        "ceiling.memory=511Mi,steps.defaults.limits.memory=300Mi",
        (
            "codeLocations.hello.ceiling.memory: 511Mi is below the limit of run pods "
            "(runLauncher.resources.limits.memory: 512Mi), so no run could start. "
            "Raise the ceiling, or lower the limit of run pods."
        ),
    ),
    (
        "namespace=bulkhead",
        (
            "codeLocations.hello.namespace: bulkhead is already the namespace of the platform. "
            "Give each code location its own namespace."
        ),
    ),
]


def _refusal(case: render.Case, *settings: str, major: int = 4) -> str:
    arguments = [word for setting in settings for word in ("--set", setting)]
    with pytest.raises(render.RenderError) as refused:
        render.render(case, *arguments, major=major)
    return str(refused.value)


def _is_named(message: str, path: str, key: str) -> bool:
    """Whether Helm's message names the path, as Helm 4 writes it or as Helm 3 does, and the key."""
    places = (f"at '.{path}", f"- {path}") if path else ("at ''", "- (root)")
    return key in message and any(place in message.replace("/", ".") for place in places)


@pytest.mark.parametrize(("setting", "path", "key"), PLATFORM_ESCAPES)
def test_a_wrong_value_of_the_platform_is_named(
    minimal: render.Case, setting: str, path: str, key: str
) -> None:
    message = _refusal(minimal, setting)
    assert _is_named(message, path, key), message


@pytest.mark.parametrize(("setting", "path", "key"), LOCATION_ESCAPES)
def test_a_wrong_value_of_a_code_location_is_named(
    location: render.Case, setting: str, path: str, key: str
) -> None:
    message = _refusal(location, setting)
    assert _is_named(message, path, key), message


@pytest.mark.parametrize(("setting", "path", "key"), PLATFORM_ESCAPES[:8])
def test_helm_3_names_it_too(minimal: render.Case, setting: str, path: str, key: str) -> None:
    message = _refusal(minimal, setting, major=3)
    assert _is_named(message, path, key), message


@pytest.mark.parametrize(("settings", "reason"), AMOUNTS)
def test_amounts_that_contradict_each_other_are_named(
    minimal: render.Case, settings: str, reason: str
) -> None:
    message = _refusal(minimal, *(f"codeLocations.hello.{each}" for each in settings.split(",")))
    assert reason in message


def test_two_code_locations_cannot_share_a_namespace(minimal: render.Case) -> None:
    message = _refusal(
        minimal, "codeLocations.one.namespace=shared", "codeLocations.two.namespace=shared"
    )
    assert (
        "codeLocations.two.namespace: shared is already the namespace of code location one. "
        "Give each code location its own namespace." in message
    )


def test_a_code_location_without_tag_and_digest_is_refused(location: render.Case) -> None:
    message = _refusal(location, "image.digest=")
    assert "image.tag and image.digest are both empty. Set one of them." in message


def test_an_ingress_with_tls_and_without_a_certificate_is_refused(minimal: render.Case) -> None:
    message = _refusal(minimal, "ingress.enabled=true", "ingress.dagsterWebserver.tls.enabled=true")
    assert (
        "ingress.dagsterWebserver.tls.secretName is empty, but tls.enabled is true. "
        "Set the name of the Secret with the certificate." in message
    )


def _objects(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema of an object, with its path in the file; conditions count as no schema."""
    if isinstance(schema, list):
        for number, each in enumerate(cast("list[Any]", schema)):
            yield from _objects(each, f"{path}/{number}")
    elif isinstance(schema, dict):
        known = cast("dict[str, Any]", schema)
        if "object" in known.get("type", ()):
            yield path, known
        for key, each in known.items():
            if key not in {"if", "then"}:
                yield from _objects(each, f"{path}/{key}")


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)
def test_the_schema_is_closed_described_and_self_contained(chart: Path) -> None:
    text = (chart / "values.schema.json").read_text()
    for path, schema in _objects(json.loads(text)):
        closed = schema.get("additionalProperties")
        if path.rsplit("/", 1)[-1] in FREE:
            assert closed is True, path
        else:
            assert closed is False or isinstance(closed, dict), f"{path} is open"
        for key, each in schema.get("properties", {}).items():
            assert each.get("description"), f"{path}/properties/{key} has no description"
    references = re.findall(r'"\$ref": "([^"]+)"', text)
    assert all(each.startswith("#/definitions/") for each in references)


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)
def test_every_key_of_the_schema_stands_in_the_values_with_its_meaning(chart: Path) -> None:
    properties = json.loads((chart / "values.schema.json").read_text())["properties"]
    values = yaml.safe_load((chart / "values.yaml").read_text())
    assert set(properties) - {"global"} == set(values)
    commented = (chart / "values.yaml").read_text()
    for key in values:
        above = commented.split(f"\n{key}:")[0].rsplit("\n\n", 1)[-1]
        assert "#" in above or key == "volumeMounts", f"{key} has no comment"
