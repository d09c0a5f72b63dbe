"""The state of each code location of an installation; no I/O."""

from dataclasses import dataclass
from datetime import datetime, timezone

from bulkhead.admin.snapshot import Snapshot
from bulkhead.admin.workloads import is_available, why_unavailable
from bulkhead.discovery.registry import Registration
from bulkhead.kube.objects import Object, parts


@dataclass(frozen=True, slots=True)
class LocationState:
    """One code location, as `bulkhead locations` prints it.

    `state` is one of `loaded`, `loading`, `available` (its code server runs, the web server does
    not answer), `load error`, `unavailable`, `refused`, `not deployed`, `no namespace`.
    `since` is the start of that state as far as the cluster knows: RFC 3339, UTC.
    """

    name: str
    namespace: str
    environment: str | None
    image: str | None
    state: str
    detail: str | None
    since: str | None


def location_states(snapshot: Snapshot) -> list[LocationState]:
    """Return the state of every registered code location, by name."""
    return [
        _state(snapshot, snapshot.registrations[name]) for name in sorted(snapshot.registrations)
    ]


def _state(  # noqa: PLR0911 - the first case that fits
    snapshot: Snapshot, registration: Registration
) -> LocationState:
    name, namespace = registration.name, registration.namespace
    contents = snapshot.contents[namespace]
    deployment = contents.named("deployments", name)
    services = snapshot.services(name)
    image = next((each.image for each in services if each.image), None) or _image(deployment)

    def is_in(state: str, detail: str | None = None, since: str | None = None) -> LocationState:
        environment = registration.environment
        return LocationState(name, namespace, environment, image, state, detail, since)

    if snapshot.namespaces[namespace] is None:
        return is_in("no namespace", f"namespace {namespace} does not exist")
    if deployment is None and not services:
        return is_in("not deployed")
    changed = _available_since(deployment)
    if deployment is not None and not is_available(deployment):
        return is_in("unavailable", why_unavailable(deployment, contents["pods"]), changed)
    if not any(each.name == name for each in snapshot.plan.locations):
        return is_in("refused", "none of its Services is part of the workspace", changed)
    if snapshot.web_server.error is not None:
        return is_in("available", None, changed)
    status = snapshot.web_server.locations.get(name)
    if status is None:
        return is_in("loading", "the web server does not list it yet", changed)
    updated = f"{datetime.fromtimestamp(status.updated, tz=timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    if status.error is not None:
        return is_in("load error", status.error, updated)
    return is_in("loading" if status.is_loading else "loaded", None, updated)


def _image(deployment: Object | None) -> str | None:
    if deployment is None:
        return None
    containers = deployment["spec"]["template"]["spec"]["containers"]
    return containers[0]["image"] if containers else None


def _available_since(deployment: Object | None) -> str | None:
    conditions = parts(deployment or {}, "status", "conditions")
    available = (each for each in conditions if each["type"] == "Available")
    return next((each.get("lastTransitionTime") for each in available), None)
