"""The pod of a load check: what the release would run, but only to load the definitions."""

import copy
import re
import secrets
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from bulkhead import names
from bulkhead.code_location import report_lines
from bulkhead.kube.objects import Object, labels, part, parts

COMPONENT: Final = "load-check"
"""The component of the pod. Services, and the selector of the Deployment, have another one."""

COMPONENT_LABEL: Final = "app.kubernetes.io/component"
_MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"

_COMMAND: Final = ("python", "-m", "bulkhead.code_location.report")
_CONTAINER: Final = "load-check"
_GRACE_SECONDS: Final = 3
"""Enough to print where the code hangs; nothing else has to be ended."""

# What a container has to serve requests, and its own command.
_OF_A_SERVER: Final = frozenset(
    {
        *("args", "command", "lifecycle", "ports"),
        *("livenessProbe", "readinessProbe", "startupProbe"),
    }
)

# The name of a pod becomes its hostname, which has at most 63 characters.
_LONGEST_LOCATION: Final = 34
_DIGEST_LENGTH: Final = 8


class ManifestError(ValueError):
    """The rendered release has no Deployment, or several."""


def unique_name(location: str, digest: str) -> str:
    """Return a name for a pod, with at most 63 characters, that no other pod has.

    Args:
        location: the name of the code location.
        digest: of the image, such as `sha256:4be1…`.
    """
    short = re.sub(r"[^a-z0-9]", "", digest.rpartition(":")[2].lower())[:_DIGEST_LENGTH]
    start = location[:_LONGEST_LOCATION].rstrip("-")
    return "-".join([start, COMPONENT, *([short] if short else []), secrets.token_hex(4)])


def manifest(rendered: Iterable[Object], *, name: str, deadline_seconds: int) -> dict[str, Any]:
    """Return the pod that loads the definitions as the code server of a release would.

    It has the account, settings, Secrets, volumes, limits, security context and scheduling of the
    code server. Its labels are those of the code server's pods, so the network policies of the code
    location apply to it; only the component differs, so that no Service sends it requests.

    The ConfigMaps that the release itself would create or change are not in the cluster yet, so
    their content becomes variables of the pod. They take precedence over the team's `envConfigMaps`
    and `envSecrets`, but not over its `env`.

    Args:
        rendered: the objects of the release with the new image, as `helm template` prints them.
        name: what `unique_name` returned.
        deadline_seconds: after this time the cluster ends the pod, also if nobody waits for it.

    Raises:
        ManifestError: there is not exactly one Deployment.
    """
    objects = [*rendered]
    deployment = _deployment(objects)
    template = part(deployment, "spec", "template")
    spec = copy.deepcopy(dict(part(template, "spec")))
    server, *sidecars = parts(spec, "containers")
    spec["containers"] = [_container(server, _config_maps(objects), name), *sidecars]
    spec["restartPolicy"] = "Never"
    spec["activeDeadlineSeconds"] = deadline_seconds
    spec["terminationGracePeriodSeconds"] = _GRACE_SECONDS
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": deployment["metadata"]["namespace"],
            "labels": {
                **labels(template),
                COMPONENT_LABEL: COMPONENT,
                _MANAGED_BY_LABEL: names.PART_OF,
            },
        },
        "spec": spec,
    }


def _deployment(objects: list[Object]) -> Object:
    found = [each for each in objects if each.get("kind") == "Deployment"]
    if len(found) != 1:
        raise ManifestError(
            f"The rendered release has {len(found)} Deployments; the load check needs exactly one, "
            "that of the code server. Use the chart code-location."
        )
    return found[0]


def _config_maps(objects: list[Object]) -> dict[str, Mapping[str, str]]:
    """Return the content of the ConfigMaps of a release, by name."""
    return {
        each["metadata"]["name"]: cast("Mapping[str, str]", part(each, "data"))
        for each in objects
        if each.get("kind") == "ConfigMap"
    }


def _container(
    server: Object, config_maps: Mapping[str, Mapping[str, str]], mark: str
) -> dict[str, Any]:
    sources = [(part(each, "configMapRef").get("name"), each) for each in parts(server, "envFrom")]
    own = [*parts(server, "env"), {"name": report_lines.MARK_ENV, "value": mark}]
    settings: dict[str, str] = {}
    for name, _ in sources:
        settings.update(config_maps.get(str(name), {}))
    for variable in own:
        settings.pop(variable["name"], None)
    return {
        **{key: value for key, value in server.items() if key not in _OF_A_SERVER},
        "name": _CONTAINER,
        "command": [*_COMMAND],
        "env": [
            # In `env`, unlike in a ConfigMap, Kubernetes replaces $(NAME), and $$ by $.
            *({"name": key, "value": settings[key].replace("$", "$$")} for key in sorted(settings)),
            *own,
        ],
        "envFrom": [each for name, each in sources if name not in config_maps],
    }
