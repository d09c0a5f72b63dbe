"""What an identity may do: every verb on every resource is tried.

An access review would rely on the same server that is tested, so each request is sent. Requests
that would change something are sent as a dry run, which the API server authorizes like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.e2e.cluster import ApiException, status_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.cluster import Kube

FORBIDDEN = 403
NOBODY = "bulkhead-e2e-nobody"
"""A name that no object has."""

READ = frozenset({"get", "list", "watch"})
WRITE = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass(frozen=True, order=True)
class Right:
    """A verb on a resource, with the API group in front unless it is the core group."""

    resource: str
    verb: str


@dataclass(frozen=True)
class Resource:
    """A kind of object that the API server serves."""

    base: str
    """Path of its group and version, as `/apis/batch/v1`."""
    name: str
    """As `jobs`, or `pods/log`."""
    group: str
    namespaced: bool
    verbs: frozenset[str]

    @property
    def qualified(self) -> str:
        """Group and name, as `batch/jobs`."""
        return f"{self.group}/{self.name}" if self.group else self.name


def resources(kube: Kube) -> list[Resource]:
    """Everything that the API server serves, in the version that it prefers."""
    groups = kube.request("GET", "/apis")["groups"]
    bases = [
        ("", "/api/v1"),
        *((g["name"], f"/apis/{g['preferredVersion']['groupVersion']}") for g in groups),
    ]
    return [
        Resource(base, each["name"], group, each["namespaced"], frozenset(each["verbs"]))
        for group, base in bases
        for each in kube.request("GET", base)["resources"]
    ]


def rights_in(identity: Kube, served: list[Resource], namespace: str) -> set[Right]:
    """What the identity may do with namespaced resources of a namespace."""
    return {
        Right(resource.qualified, verb)
        for resource in served
        if resource.namespaced
        for verb in _verbs(resource)
        if _allowed(identity, resource, verb, f"/namespaces/{namespace}")
    }


def rights_everywhere(identity: Kube, served: list[Resource]) -> set[Right]:
    """What it may do with cluster-wide resources, and with objects of all namespaces at once."""
    found: set[Right] = set()
    for resource in served:
        for verb in _verbs(resource):
            if resource.namespaced and (verb not in {"list", "watch"} or "/" in resource.name):
                continue
            if _allowed(identity, resource, verb, ""):
                found.add(Right(resource.qualified, verb))
    return found


def _verbs(resource: Resource) -> Iterator[str]:
    known = READ | WRITE
    yield from sorted(resource.verbs & known)


def _allowed(identity: Kube, resource: Resource, verb: str, scope: str) -> bool:
    """Send one request; every status except `403 Forbidden` means that it is allowed."""
    kind, _, part = resource.name.partition("/")
    collection = f"{resource.base}{scope}/{kind}"
    item = f"{collection}/{NOBODY}" + (f"/{part}" if part else "")
    dry = {"dryRun": "All"}
    body = {"metadata": {"name": NOBODY}}
    merge = "application/merge-patch+json"
    try:
        match verb:
            case "get":
                identity.request("GET", item)
            case "list":
                identity.request("GET", collection, query={"limit": "1"})
            case "watch":
                identity.request("GET", collection, query={"watch": "1", "timeoutSeconds": "1"})
            case "create":
                identity.request("POST", item if part else collection, query=dry, body=body)
            case "update":
                identity.request("PUT", item, query=dry, body=body)
            case "patch":
                identity.request("PATCH", item, query=dry, body={}, content_type=merge)
            case "delete":
                identity.request("DELETE", item, query=dry)
            case "deletecollection":
                none = {**dry, "labelSelector": f"{NOBODY}=true"}
                identity.request("DELETE", collection, query=none)
            case _:
                raise ValueError(f"unknown verb {verb}")
    except ApiException as error:
        return status_of(error) != FORBIDDEN
    return True


def rights(table: dict[str, str]) -> set[Right]:
    """Rights from a table: a resource and its verbs, separated by blanks."""
    return {Right(resource, verb) for resource, verbs in table.items() for verb in verbs.split()}
