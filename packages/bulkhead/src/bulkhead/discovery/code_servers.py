"""Which pods answer for a code location, as its Service's EndpointSlices have it.

While a location is rolled out, its Service leads now to the old code server and now to the new
one. What Dagster's web server loads in that moment may be a mixture, and stays: it looks again only
when the server's id changes. So it is told to look again once the pods behind the Service have
changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bulkhead import names


@dataclass(frozen=True)
class CodeServers:
    """The pods that one EndpointSlice sends connections to."""

    location: str
    pods: frozenset[str]
    """Their uids."""


def read_slice(endpoint_slice: Mapping[str, Any]) -> CodeServers | None:
    """Read an EndpointSlice as the API gives it; None where it is no code location's.

    Raises:
        KeyError: It is no Kubernetes object, so the answer that it came in cannot be trusted.
    """
    location = (endpoint_slice["metadata"].get("labels") or {}).get(names.CODE_LOCATION_LABEL)
    if not location:
        return None
    endpoints = endpoint_slice.get("endpoints") or []
    return CodeServers(
        location,
        frozenset(
            endpoint["targetRef"]["uid"]
            for endpoint in endpoints
            if (endpoint.get("conditions") or {}).get("ready") and endpoint.get("targetRef")
        ),
    )


def pods_by_location(slices: tuple[CodeServers, ...]) -> dict[str, frozenset[str]]:
    """Add up the slices of each location; a large Service has several."""
    found: dict[str, frozenset[str]] = {}
    for each in slices:
        found[each.location] = found.get(each.location, frozenset()) | each.pods
    return found
