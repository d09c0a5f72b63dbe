"""Reads an installation once: everything that the checks and the list of locations need."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from bulkhead import names
from bulkhead.discovery import workspace
from bulkhead.discovery.registry import Registration, RegistryError, read_registry
from bulkhead.discovery.workspace import CodeLocationService, Plan, read_service
from bulkhead.kube.api import KubernetesApi, KubernetesApiError
from bulkhead.kube.kubeconfig import METADATA_ONLY
from bulkhead.kube.objects import Object, part, parts
from bulkhead.webserver_api.client import GraphQLClient
from bulkhead.webserver_api.daemons import Daemon, daemons
from bulkhead.webserver_api.errors import WebServerError
from bulkhead.webserver_api.transports import ProxyTransport
from bulkhead.webserver_api.workspace import LoadStatus, load_statuses

_PARALLEL: Final = 8
_NOT_FOUND: Final = 404


@dataclass(frozen=True, slots=True)
class Contents:
    """The objects of a namespace; a kind that this user may not list is in `unreadable` instead."""

    objects: Mapping[str, tuple[Object, ...]] = field(default_factory=dict[str, tuple[Object, ...]])
    unreadable: Mapping[str, str] = field(default_factory=dict[str, str])

    def __getitem__(self, kind: str) -> tuple[Object, ...]:
        """Return the objects of a kind such as `pods`."""
        return self.objects.get(kind, ())

    def named(self, kind: str, name: str) -> Object | None:
        """Return one object of a kind, or None if it does not exist."""
        return next((each for each in self[kind] if each["metadata"]["name"] == name), None)


@dataclass(frozen=True, slots=True)
class WebServerAnswer:
    """What the web server reports, or `error` if it did not answer."""

    locations: Mapping[str, LoadStatus] = field(default_factory=dict[str, LoadStatus])
    daemons: tuple[Daemon, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An installation at one time."""

    address: str
    release: str
    namespace: str
    platform: Contents
    registrations: Mapping[str, Registration]
    registry_error: str | None
    namespaces: Mapping[str, Object | None]
    """The locations' namespaces by name; None if the namespace does not exist."""
    contents: Mapping[str, Contents]
    plan: Plan
    web_server: WebServerAnswer

    def services(self, location: str) -> tuple[CodeLocationService, ...]:
        """Return the Services in the location's own namespace that have its label."""
        services = self.contents[self.registrations[location].namespace]["services"]
        found = (read_service(each) for each in services)
        return tuple(each for each in found if each is not None and each.location == location)


_PLATFORM_KINDS: Final = {
    "deployments": "/apis/apps/v1",
    "statefulsets": "/apis/apps/v1",
    "jobs": "/apis/batch/v1",
    "pods": "/api/v1",
    "configmaps": "/api/v1",
}
_LOCATION_KINDS: Final = {
    "deployments": "/apis/apps/v1",
    "services": "/api/v1",
    "pods": "/api/v1",
    "resourcequotas": "/api/v1",
    "limitranges": "/api/v1",
    "serviceaccounts": "/api/v1",
    "rolebindings": "/apis/rbac.authorization.k8s.io/v1",
    "configmaps": "/api/v1",
    "secrets": "/api/v1",
}
_BY_NAME_ALONE: Final = frozenset({"secrets", "serviceaccounts"})


def take(api: KubernetesApi, *, release: str, namespace: str) -> Snapshot:
    """Read an installation.

    Args:
        api: The API server of the cluster.
        release: The platform's Helm release.
        namespace: The platform's namespace.

    Raises:
        KubernetesApiError: The API does not answer. A kind that this user may not list does not
            raise; it is in `Contents.unreadable`.
    """
    # Fails early, before the threads start, if there is no API.
    api.get("/version")
    client = GraphQLClient(ProxyTransport(api, release, namespace))
    with ThreadPoolExecutor(_PARALLEL) as pool:
        web_server = pool.submit(_query_web_server, client)
        platform = _read_contents(api, namespace, _PLATFORM_KINDS)
        registrations, registry_error = _read_registry(platform, release, namespace)
        wanted = sorted({each.namespace for each in registrations.values()})
        spaces = {each: pool.submit(_read_namespace, api, each) for each in wanted}
        contents = {
            each: pool.submit(_read_contents, api, each, _LOCATION_KINDS) for each in wanted
        }
        found = {each: future.result() for each, future in contents.items()}
        return Snapshot(
            address=api.address,
            release=release,
            namespace=namespace,
            platform=platform,
            registrations=registrations,
            registry_error=registry_error,
            namespaces={each: future.result() for each, future in spaces.items()},
            contents=found,
            plan=_plan(registrations, found),
            web_server=web_server.result(),
        )


def _read_contents(api: KubernetesApi, namespace: str, kinds: Mapping[str, str]) -> Contents:
    objects: dict[str, tuple[Object, ...]] = {}
    unreadable: dict[str, str] = {}
    for kind, group in kinds.items():
        accept = METADATA_ONLY if kind in _BY_NAME_ALONE else "application/json"
        try:
            found = api.get(f"{group}/namespaces/{namespace}/{kind}", accept=accept)
            objects[kind] = tuple(parts(found, "items"))
        except KubernetesApiError as error:
            unreadable[kind] = str(error)
    return Contents(objects, unreadable)


def _read_namespace(api: KubernetesApi, name: str) -> Object | None:
    try:
        return api.get(f"/api/v1/namespaces/{name}")
    except KubernetesApiError as error:
        if error.status == _NOT_FOUND:
            return None
        return {"metadata": {"name": name}}  # it may exist: only its labels are unknown


def _read_registry(
    platform: Contents, release: str, namespace: str
) -> tuple[dict[str, Registration], str | None]:
    name = names.registry(release)
    config_map = platform.named("configmaps", name)
    if config_map is None:
        return {}, (
            f"ConfigMap {name}, the registry of code locations, does not exist in namespace "
            f"{namespace}"
        )
    text = part(config_map, "data").get(names.REGISTRY_CONFIG_KEY, "")
    try:
        return read_registry(text), None
    except RegistryError as error:
        return {}, f"{names.REGISTRY_CONFIG_KEY} of ConfigMap {name} cannot be read: {error}"


def _plan(registrations: Mapping[str, Registration], contents: Mapping[str, Contents]) -> Plan:
    """Decide as workspace-sync does; the order of the API's lists does not matter."""
    services = {
        namespace: [service for each in found["services"] if (service := read_service(each))]
        for namespace, found in contents.items()
    }
    return workspace.plan(registrations, services, ())


def _query_web_server(client: GraphQLClient) -> WebServerAnswer:
    try:
        return WebServerAnswer(load_statuses(client), daemons(client))
    except WebServerError as error:
        return WebServerAnswer(error=str(error))
