"""The rules of the workspace: who is a code location, who is refused, and why.

Pure functions over plain values, so that the rules can be read and tested without a cluster.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import yaml

from bulkhead import location_name, names
from bulkhead.location_name import LocationNameError
from bulkhead.webserver_api.location import Location

# A namespace: RFC 1123 label, at most 63 characters.
_DNS_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")

_HEADER: Final = (
    "# Written by `bulkhead workspace-sync` from the registry of code locations and the Services\n"
    "# in their namespaces. Changes made by hand are overwritten.\n"
)


class RegistryError(ValueError):
    """The registry cannot be read; the message names the key, its value and what was expected."""


class WorkspaceFileError(ValueError):
    """A `workspace.yaml` was not written by workspace-sync."""


@dataclass(frozen=True, slots=True)
class Registration:
    """What the admin registered under a code location's name."""

    name: str
    namespace: str
    environment: str | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A Service that carries the code-location label, so claims to be that location.

    `created` is the API's RFC 3339 time stamp in UTC: its text sorts as the time does.
    `port` is None where the Service has no port named `grpc`.
    """

    namespace: str
    service: str
    uid: str
    resource_version: str
    created: str
    location: str
    port: int | None
    image: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A claim that does not join the workspace, with the sentence for the person who made it."""

    claim: Claim
    message: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What the workspace shall be: locations in the order of their names, and who was refused."""

    locations: tuple[Location, ...]
    refusals: tuple[Refusal, ...]


def read_registry(text: str) -> dict[str, Registration]:
    """Read `registry.yaml`.

    Args:
        text: YAML with the key `codeLocations`; an empty mapping there is a platform without any
            code location.

    Returns:
        The registrations by name. A location without `namespace` gets `bulkhead-<name>`.

    Raises:
        RegistryError: The text is not a registry. Nothing is guessed: an emptied or misspelt
            registry must not remove the locations that run.
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


def read_claim(service: Mapping[str, Any]) -> Claim | None:
    """Read a Service as the API gives it; None where it does not carry the code-location label.

    Raises:
        KeyError: It is no Kubernetes object, so the answer that it came in cannot be trusted.
    """
    metadata = service["metadata"]
    location = (metadata.get("labels") or {}).get(names.CODE_LOCATION_LABEL)
    if not location:
        return None
    ports = (service.get("spec") or {}).get("ports") or []
    return Claim(
        namespace=metadata["namespace"],
        service=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        created=metadata.get("creationTimestamp") or "",
        location=location,
        port=next(
            (port["port"] for port in ports if port.get("name") == names.GRPC_PORT_NAME), None
        ),
        image=(metadata.get("annotations") or {}).get(names.IMAGE_ANNOTATION),
    )


def plan(
    registrations: Mapping[str, Registration],
    claims: Mapping[str, Sequence[Claim]],
    previous: Sequence[Location],
) -> Plan:
    """Decide what the workspace is.

    A name belongs to the namespace that the registry gives it: a Service elsewhere is refused. Of
    two Services with one name in the right namespace the older stays, so that nobody takes a
    name over by deploying it again.

    Args:
        registrations: The registry, by name.
        claims: The Services of each namespace that could be listed. A namespace that is missing
            here is unknown, not empty: locations of `previous` that belong there stay.
        previous: The workspace as it was.

    Returns:
        The plan; the same input gives the same plan whatever the order of the claims.
    """
    locations: dict[str, Location] = {}
    refusals: list[Refusal] = []
    every = (claim for found in claims.values() for claim in found)
    for claim in sorted(every, key=lambda claim: (claim.created, claim.namespace, claim.service)):
        refusal = _refusal(claim, registrations.get(claim.location), locations.get(claim.location))
        if refusal is not None:
            refusals.append(Refusal(claim, refusal))
        elif claim.port is not None:
            locations[claim.location] = Location(
                claim.location, service_host(claim.service, claim.namespace), claim.port
            )
    for location in previous:
        registration = registrations.get(location.name)
        if (
            registration is not None
            and registration.namespace not in claims
            and location.host.endswith(f".{registration.namespace}.svc")
        ):
            locations[location.name] = location
    return Plan(tuple(sorted(locations.values())), tuple(refusals))


def _refusal(
    claim: Claim, registration: Registration | None, holder: Location | None
) -> str | None:
    """Say why a claim is refused; None where it is not."""
    name = claim.location
    here = f"Service {claim.service} in namespace {claim.namespace}"
    if registration is None:
        return (
            f"{here} claims the code location {name!r}, which is not registered. The platform "
            f"admin registers it as codeLocations.{name} in the platform's values, or the label "
            f"{names.CODE_LOCATION_LABEL} of the Service names a registered one."
        )
    if registration.namespace != claim.namespace:
        return (
            f"{here} claims the code location {name!r}, which belongs to namespace "
            f"{registration.namespace}. Only the platform admin can change that, with "
            f"codeLocations.{name}.namespace in the platform's values."
        )
    if claim.port is None:
        return (
            f"{here} is registered as the code location {name!r} but has no port named "
            f"{names.GRPC_PORT_NAME!r}. Name the port of the code server so."
        )
    if holder is not None:
        return (
            f"{here} claims the code location {name!r}, which {holder.host.split('.', 1)[0]}, the "
            f"older Service in this namespace, already holds. Delete one of the two."
        )
    return None


def service_host(service: str, namespace: str) -> str:
    """Return the DNS name of a Service as a pod of the cluster resolves it.

    It leaves out the cluster's domain, which differs between clusters; the search list of every
    pod completes it.
    """
    return f"{service}.{namespace}.svc"


def render(locations: Sequence[Location]) -> str:
    """Return the text of `workspace.yaml`; the same locations give the same text."""
    entries = [
        {"grpc_server": {"host": each.host, "port": each.port, "location_name": each.name}}
        for each in sorted(locations)
    ]
    return _HEADER + yaml.safe_dump({"load_from": entries}, sort_keys=False)


def parse(text: str) -> tuple[Location, ...]:
    """Read a `workspace.yaml` that `render` wrote.

    Raises:
        WorkspaceFileError: It is something else.
    """
    try:
        servers = [entry["grpc_server"] for entry in yaml.safe_load(text)["load_from"]]
        return tuple(
            Location(str(server["location_name"]), str(server["host"]), int(server["port"]))
            for server in servers
        )
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise WorkspaceFileError(f"not a workspace that workspace-sync wrote: {error!r}") from error
