"""The registry: the ConfigMap with which the platform admin registers the code locations."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import yaml

from bulkhead import location_name, names
from bulkhead.kube.api import KubernetesApi
from bulkhead.kube.objects import part
from bulkhead.location_name import LocationNameError

# A namespace: RFC 1123 label, at most 63 characters.
_DNS_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class RegistryError(ValueError):
    """The registry cannot be read; the message names the key, its value and what was expected."""


@dataclass(frozen=True, slots=True)
class Registration:
    """What the admin registered under a code location's name."""

    name: str
    namespace: str
    environment: str | None = None


@dataclass(frozen=True, slots=True)
class RegistryConfigMap:
    """The fields of the registry's ConfigMap that are used."""

    uid: str
    resource_version: str
    text: str


def read(api: KubernetesApi, name: str, namespace: str) -> dict[str, Registration]:
    """Read the registry from the API server; return the registrations by name.

    Args:
        api: The API server.
        name: The name of the ConfigMap.
        namespace: Its namespace.

    Raises:
        KubernetesApiError: The ConfigMap cannot be read.
        RegistryError: Its content is not a registry.
    """
    config_map = api.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}", {})
    return read_registry(_text(config_map))


def read_config_map(config_map: Mapping[str, Any]) -> RegistryConfigMap:
    """Read the ConfigMap as the API returns it.

    Raises:
        KeyError: It is not a Kubernetes object, so the answer is not to be trusted.
    """
    metadata = config_map["metadata"]
    return RegistryConfigMap(metadata["uid"], metadata["resourceVersion"], _text(config_map))


def role_advice(role: str, namespace: str) -> str:
    """Return what to do where the API server forbids access to a code location's namespace."""
    return (
        f"Role {role} in namespace {namespace} does not exist yet, or is not bound to this pod's "
        "service account; `helm upgrade` of the platform creates both"
    )


def _text(config_map: Mapping[str, Any]) -> str:
    return part(config_map, "data").get(names.REGISTRY_CONFIG_KEY, "")


def read_registry(text: str) -> dict[str, Registration]:
    """Read `registry.yaml`.

    Args:
        text: YAML with the key `codeLocations`; an empty mapping means no code location.

    Returns:
        The registrations by name. A location without `namespace` gets `bulkhead-<name>`.

    Raises:
        RegistryError: The text is not a registry. A registry that is empty or misspelt must not
            remove the locations that run, so it is an error.
    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RegistryError(f"it is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict) or "codeLocations" not in document:
        raise RegistryError("it has no key codeLocations; `codeLocations: {}` means none")
    entries = cast("dict[str, object]", document)["codeLocations"]
    if entries is None:
        return {}
    if not isinstance(entries, dict):
        raise RegistryError(f"codeLocations is {entries!r}; expected a mapping of names")
    return {
        registration.name: registration
        for registration in (
            _read_registration(name, entry)
            for name, entry in cast("dict[object, object]", entries).items()
        )
    }


def _read_registration(name: object, entry: object) -> Registration:
    path = f"codeLocations.{name}"
    if not isinstance(name, str):
        raise RegistryError(f"{path}: the name is a {type(name).__name__}; write it in quotes")
    try:
        location_name.check(name)
    except LocationNameError as error:
        raise RegistryError(f"{path}: {str(error).rstrip('.')}") from error
    if entry is None:
        entry = {}
    if not isinstance(entry, dict):
        raise RegistryError(f"{path} is {entry!r}; expected a mapping")
    settings = cast("dict[str, object]", entry)
    namespace = settings.get("namespace") or location_name.default_namespace(name)
    if not isinstance(namespace, str) or not _DNS_LABEL.fullmatch(namespace):
        raise RegistryError(
            f"{path}.namespace is {namespace!r}; a namespace has 1 to 63 lower-case letters, "
            "digits and dashes, and starts and ends with a letter or digit"
        )
    environment = settings.get("environment")
    if environment is not None and not isinstance(environment, str):
        raise RegistryError(f"{path}.environment is {environment!r}; expected text")
    return Registration(name=name, namespace=namespace, environment=environment)
