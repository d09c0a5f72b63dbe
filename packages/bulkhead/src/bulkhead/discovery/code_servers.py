"""Which pods respond for a code location, according to its Service's EndpointSlices.

During a rollout the Service of a location routes to the old code server or to the new one. What
Dagster's web server loads then may be a mixture of both, and it stays: the web server loads again
only when the server's id changes. So workspace-sync reloads it when the pods behind the Service
have changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bulkhead import names
from bulkhead.kube.objects import labels, part, parts


@dataclass(frozen=True)
class CodeServers:
    """The pods that one EndpointSlice routes connections to."""

    location: str
    pods: frozenset[str]
    """Their uids."""


def read_slice(endpoint_slice: Mapping[str, Any]) -> CodeServers | None:
    """Read an EndpointSlice as the API returns it; None where it is not of a code location.

    Raises:
        KeyError: It is not a Kubernetes object, so the answer is not to be trusted.
    """
    endpoint_slice["metadata"]  # raises KeyError
    location = labels(endpoint_slice).get(names.CODE_LOCATION_LABEL)
    if not location:
        return None
    return CodeServers(
        location,
        frozenset(
            endpoint["targetRef"]["uid"]
            for endpoint in parts(endpoint_slice, "endpoints")
            if part(endpoint, "conditions").get("ready") and endpoint.get("targetRef")
        ),
    )


def pods_by_location(slices: tuple[CodeServers, ...]) -> dict[str, frozenset[str]]:
    """Combine the slices of each location: a large Service has several."""
    found: dict[str, frozenset[str]] = {}
    for each in slices:
        found[each.location] = found.get(each.location, frozenset()) | each.pods
    return found
