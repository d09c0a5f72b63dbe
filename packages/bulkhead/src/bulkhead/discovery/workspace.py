"""The rules of the workspace: which Services are code locations, which are refused, and why.

Pure functions over plain values, so that the rules can be read and tested without a cluster.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bulkhead import names
from bulkhead.discovery.registry import Registration
from bulkhead.kube.objects import annotations, labels, parts
from bulkhead.kube.service_dns import namespace_of_host, service_host
from bulkhead.webserver_api.workspace import Location


@dataclass(frozen=True, slots=True)
class CodeLocationService:
    """A Service with the code-location label: it wants to be the location that the label names.

    `created` is the API's RFC 3339 time stamp in UTC: its text sorts as the time does.
    `port` is None where the Service has no port named `grpc`.
    """

    namespace: str
    name: str
    uid: str
    resource_version: str
    created: str
    location: str
    port: int | None
    image: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A Service that does not join the workspace, with the sentence for its owner."""

    service: CodeLocationService
    message: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What belongs in the workspace: locations in the order of their names, and the refusals."""

    locations: tuple[Location, ...]
    refusals: tuple[Refusal, ...]


def read_service(service: Mapping[str, Any]) -> CodeLocationService | None:
    """Read a Service as the API returns it; None where it does not have the code-location label.

    Raises:
        KeyError: It is not a Kubernetes object, so the answer is not to be trusted.
    """
    metadata = service["metadata"]
    location = labels(service).get(names.CODE_LOCATION_LABEL)
    if not location:
        return None
    ports = parts(service, "spec", "ports")
    return CodeLocationService(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        created=metadata.get("creationTimestamp") or "",
        location=location,
        port=next(
            (port["port"] for port in ports if port.get("name") == names.GRPC_PORT_NAME), None
        ),
        image=annotations(service).get(names.IMAGE_ANNOTATION),
    )


def plan(
    registrations: Mapping[str, Registration],
    services: Mapping[str, Sequence[CodeLocationService]],
    previous: Sequence[Location],
) -> Plan:
    """Decide what belongs in the workspace.

    A name belongs to the namespace that the registry gives it: a Service elsewhere is refused. Of
    two Services with one name in the right namespace the older stays, so that nobody takes over a
    name by deploying it again.

    Args:
        registrations: The registry, by name.
        services: The Services of each namespace that could be listed. A namespace that is missing
            here is unknown, not empty: locations of `previous` that belong there stay.
        previous: The workspace as it was.

    Returns:
        The plan; it does not depend on the order of the Services.
    """
    locations: dict[str, Location] = {}
    holders: dict[str, CodeLocationService] = {}
    refusals: list[Refusal] = []
    every = (service for found in services.values() for service in found)
    for service in sorted(every, key=lambda each: (each.created, each.namespace, each.name)):
        name = service.location
        message = _refusal(service, registrations.get(name), holders.get(name))
        if message is not None:
            refusals.append(Refusal(service, message))
        elif service.port is not None:
            holders[name] = service
            host = service_host(service.name, service.namespace)
            locations[name] = Location(name, host, service.port)
    for location in previous:
        registration = registrations.get(location.name)
        if (
            registration is not None
            and registration.namespace not in services
            and namespace_of_host(location.host) == registration.namespace
        ):
            locations[location.name] = location
    return Plan(tuple(sorted(locations.values())), tuple(refusals))


def _refusal(
    service: CodeLocationService,
    registration: Registration | None,
    holder: CodeLocationService | None,
) -> str | None:
    """Return why a Service is refused; None where it is not."""
    name = service.location
    here = f"Service {service.name} in namespace {service.namespace}"
    labelled = f"{here} has the label {names.CODE_LOCATION_LABEL}={name}"
    if registration is None:
        return (
            f"{labelled}, but code location {name} is not registered. Change the label, or ask the "
            f"platform admin to register codeLocations.{name} in the platform's values."
        )
    if registration.namespace != service.namespace:
        return (
            f"{labelled}, but code location {name} belongs to namespace "
            f"{registration.namespace}. Only the platform admin can change that, with "
            f"codeLocations.{name}.namespace in the platform's values."
        )
    if service.port is None:
        return (
            f"{here} is code location {name}, but it has no port named "
            f"{names.GRPC_PORT_NAME!r}. Give the port of the code server this name."
        )
    if holder is not None:
        return (
            f"{labelled}, but the older Service {holder.name} in this namespace "
            f"is code location {name} already. Delete one of the two."
        )
    return None
