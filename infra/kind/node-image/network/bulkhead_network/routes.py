"""Routes from this node to the pods of the others: one for each node, by its internal address."""

import logging
from collections.abc import Iterable, Mapping

from bulkhead_network.host import Host
from bulkhead_network.model import Node

log = logging.getLogger(__name__)

# Marks routes as ours in the kernel's table, so that no other is ever touched. Numbers from 192
# on are for local use (rt_protos).
PROTOCOL = "201"


def wanted_routes(own: str, nodes: Iterable[Node]) -> Mapping[str, str]:
    """Return the gateway of each pod range that lives on another node than `own`."""
    return {
        node.pod_cidr: node.internal_address
        for node in nodes
        if node.name != own and node.pod_cidr and node.internal_address
    }


def sync_routes(host: Host, wanted: Mapping[str, str]) -> None:
    """Add, replace and remove routes until they are as wanted.

    Raises:
        HostError: the kernel refused one.
    """
    shown = host.ip_json("route", "show", "proto", PROTOCOL)
    present = {route["dst"]: route.get("gateway") for route in shown}
    for cidr, gateway in wanted.items():
        if present.get(cidr) != gateway:
            host.ip("route", "replace", cidr, "via", gateway, "proto", PROTOCOL)
            log.info("route to %s is via %s now", cidr, gateway)
    for cidr in present.keys() - wanted.keys():
        host.ip("route", "delete", cidr, "proto", PROTOCOL)
        log.info("route to %s is gone", cidr)
