"""Reads an installation once: everything that the checks and the list of locations need."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from bulkhead import names
from bulkhead.discovery import workspace
from bulkhead.discovery.workspace import Claim, Plan, Registration, RegistryError
from bulkhead.kube.kubeconfig import METADATA_ONLY, Cluster, ClusterError
from bulkhead.webserver_api.proxy import WebServer

Object = Mapping[str, Any]
"""A Kubernetes object as its JSON."""

_PARALLEL: Final = 8
_NOT_FOUND: Final = 404

_GRAPHQL: Final = """{
  workspace: workspaceOrError {
    __typename
    ... on Workspace {
      locationEntries {
        name
        loadStatus
        updatedTimestamp
        locationOrLoadError { __typename ... on PythonError { message } }
      }
    }
    ... on Error { message }
  }
  instance {
    daemonHealth {
      allDaemonStatuses {
        daemonType required healthy lastHeartbeatTime lastHeartbeatErrors { message }
      }
    }
  }
}"""


@dataclass(frozen=True, slots=True)
class Contents:
    """The objects of a namespace; a kind that this user may not list is in `unreadable` instead."""

    objects: Mapping[str, tuple[Object, ...]] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, kind: str) -> tuple[Object, ...]:
        """Return the objects of a kind such as `pods`."""
        return self.objects.get(kind, ())

    def named(self, kind: str, name: str) -> Object | None:
        """Return one object of a kind, or None if it does not exist."""
        return next((each for each in self[kind] if each["metadata"]["name"] == name), None)


@dataclass(frozen=True, slots=True)
class LoadStatus:
    """What the web server reports of a code location."""

    error: str | None
    loading: bool
    updated: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Daemon:
    """What the web server reports of one of the daemon's loops."""

    kind: str
    required: bool
    healthy: bool
    last_heartbeat: float | None
    """Seconds since the epoch; None if there never was a heartbeat."""
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WebServerAnswer:
    """What the web server reports, or `error` if it did not answer."""

    locations: Mapping[str, LoadStatus] = field(default_factory=dict)
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

    def services(self, location: str) -> tuple[Claim, ...]:
        """Return the Services in the location's own namespace that have its label."""
        services = self.contents[self.registrations[location].namespace]["services"]
        found = (workspace.read_claim(each) for each in services)
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


def take(cluster: Cluster, *, release: str, namespace: str) -> Snapshot:
    """Read an installation.

    Args:
        cluster: The cluster to read.
        release: The platform's Helm release.
        namespace: The platform's namespace.

    Raises:
        ClusterError: The API does not answer. A kind that this user may not list does not raise;
            it is in `Contents.unreadable`.
    """
    # Fails early, before the threads start, if there is no API.
    cluster.get("/version")
    with ThreadPoolExecutor(_PARALLEL) as pool:
        web_server = pool.submit(_query_web_server, WebServer(cluster, release, namespace))
        platform = _read_contents(cluster, namespace, _PLATFORM_KINDS)
        registrations, registry_error = _read_registry(platform, release, namespace)
        wanted = sorted({each.namespace for each in registrations.values()})
        spaces = {each: pool.submit(_read_namespace, cluster, each) for each in wanted}
        contents = {
            each: pool.submit(_read_contents, cluster, each, _LOCATION_KINDS) for each in wanted
        }
        found = {each: future.result() for each, future in contents.items()}
        return Snapshot(
            address=cluster.address,
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


def _read_contents(cluster: Cluster, namespace: str, kinds: Mapping[str, str]) -> Contents:
    objects: dict[str, tuple[Object, ...]] = {}
    unreadable: dict[str, str] = {}
    for kind, group in kinds.items():
        accept = METADATA_ONLY if kind in _BY_NAME_ALONE else "application/json"
        try:
            found = cluster.get(f"{group}/namespaces/{namespace}/{kind}", accept=accept)
            objects[kind] = tuple(found.get("items") or ())
        except ClusterError as error:
            unreadable[kind] = str(error)
    return Contents(objects, unreadable)


def _read_namespace(cluster: Cluster, name: str) -> Object | None:
    try:
        return cluster.get(f"/api/v1/namespaces/{name}")
    except ClusterError as error:
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
    text = (config_map.get("data") or {}).get(names.REGISTRY_CONFIG_KEY, "")
    try:
        return workspace.read_registry(text), None
    except RegistryError as error:
        return {}, f"{names.REGISTRY_CONFIG_KEY} of ConfigMap {name} cannot be read: {error}"


def _plan(registrations: Mapping[str, Registration], contents: Mapping[str, Contents]) -> Plan:
    """Decide as workspace-sync does; the order of the API's lists does not matter."""
    claims = {
        namespace: [claim for each in found["services"] if (claim := workspace.read_claim(each))]
        for namespace, found in contents.items()
    }
    return workspace.plan(registrations, claims, ())


def _query_web_server(web_server: WebServer) -> WebServerAnswer:
    try:
        data = web_server.ask(_GRAPHQL)
        entries = data["workspace"].get("locationEntries")
        if entries is None:
            return WebServerAnswer(error=str(data["workspace"].get("message")))
        return WebServerAnswer(
            locations={each["name"]: _load_status(each) for each in entries},
            daemons=tuple(
                _daemon(each) for each in data["instance"]["daemonHealth"]["allDaemonStatuses"]
            ),
        )
    except ClusterError as error:
        return WebServerAnswer(error=str(error))
    except (KeyError, TypeError) as error:
        return WebServerAnswer(error=f"its answer has no field {error}")


def _load_status(entry: Object) -> LoadStatus:
    result = entry["locationOrLoadError"] or {}
    failed = result.get("__typename") == "PythonError"
    return LoadStatus(
        error=result["message"] if failed else None,
        loading=entry["loadStatus"] != "LOADED",
        updated=float(entry["updatedTimestamp"]),
    )


def _daemon(status: Object) -> Daemon:
    return Daemon(
        kind=status["daemonType"],
        required=status["required"],
        healthy=bool(status["healthy"]),
        last_heartbeat=status["lastHeartbeatTime"],
        errors=tuple(each["message"] for each in status["lastHeartbeatErrors"] or ()),
    )
