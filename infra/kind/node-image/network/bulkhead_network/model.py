"""What the agent knows of the cluster: just the fields of API objects that decide about traffic.

Objects of the API are read into these small values at once and then forgotten: the memory of
an agent grows with what it needs and not with what clients write into their pods.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from bulkhead_network import addresses
from bulkhead_network.addresses import Range
from bulkhead_network.selectors import Labels, Selector, selector_from

Json: TypeAlias = Mapping[str, Any]

MIRROR_ANNOTATION = "kubernetes.io/config.mirror"


@dataclass(frozen=True, slots=True)
class Node:
    """A node: the address that others reach it by and the range that its pods live in."""

    name: str
    internal_address: str | None
    pod_cidr: str | None


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace and its labels."""

    name: str
    labels: Labels


@dataclass(frozen=True, slots=True)
class NamedPort:
    """A container port that has a name; `protocol` is TCP, UDP or SCTP."""

    name: str
    protocol: str
    number: int


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod with an address of its own (not of the host network) that has not ended."""

    namespace: str
    name: str
    uid: str
    labels: Labels
    node: str
    address: int | None
    created: str
    ports: tuple[NamedPort, ...] = ()


@dataclass(frozen=True, slots=True)
class PodPeer:
    """Pods by namespace and label. `namespaces` None means the policy's own namespace."""

    namespaces: Selector | None
    pods: Selector


@dataclass(frozen=True, slots=True)
class IPBlock:
    """A network without its exceptions; `network` None is IPv6, which no pod here speaks."""

    network: Range | None
    exceptions: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class NumberedPorts:
    """Ports `first` to `last` of a protocol, both included."""

    protocol: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class PortByName:
    """The port that the destination pod gives this name; its number can differ from pod to pod."""

    protocol: str
    name: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One `from` or `to` with its `ports`. No peers means everybody, no ports every port."""

    peers: tuple[PodPeer | IPBlock, ...]
    ports: tuple[NumberedPorts | PortByName, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """A NetworkPolicy. A direction of None is not restricted; an empty one is closed."""

    namespace: str
    name: str
    pods: Selector
    ingress: tuple[Rule, ...] | None
    egress: tuple[Rule, ...] | None


def node_from(node: Json) -> Node:
    """Read a Node. The first IPv4 address of type InternalIP and the first IPv4 range count."""
    status_addresses = node.get("status", {}).get("addresses") or ()
    internal = (entry["address"] for entry in status_addresses if entry["type"] == "InternalIP")
    ranges = node.get("spec", {}).get("podCIDRs") or ()
    return Node(
        name=node["metadata"]["name"],
        internal_address=next((a for a in internal if addresses.address(a) is not None), None),
        pod_cidr=next((cidr for cidr in ranges if addresses.block(cidr) is not None), None),
    )


def namespace_from(namespace: Json) -> Namespace:
    """Read a Namespace."""
    metadata = namespace["metadata"]
    return Namespace(metadata["name"], metadata.get("labels") or {})


def pod_from(pod: Json) -> Pod | None:
    """Read a Pod, or None if it has no address of its own.

    That is so for pods of the host network, whose address is the node's, and for pods that have
    succeeded or failed, whose address may belong to another pod by now.
    """
    metadata: Json = pod["metadata"]
    spec: Json = pod["spec"]
    status: Json = pod.get("status", {})
    if spec.get("hostNetwork") or status.get("phase") in {"Succeeded", "Failed"}:
        return None
    annotations: Json = metadata.get("annotations") or {}
    return Pod(
        namespace=metadata["namespace"],
        name=metadata["name"],
        # A static pod is known to kubelet and CNI by the hash in this annotation.
        uid=annotations.get(MIRROR_ANNOTATION) or metadata["uid"],
        labels=metadata.get("labels") or {},
        node=spec.get("nodeName", ""),
        address=_pod_address(status),
        created=metadata.get("creationTimestamp") or "",
        ports=_named_ports(spec),
    )


def _pod_address(status: Json) -> int | None:
    listed = [entry["ip"] for entry in status.get("podIPs") or () if entry.get("ip")]
    if not listed and status.get("podIP"):
        listed = [status["podIP"]]
    return next((n for n in map(addresses.address, listed) if n is not None), None)


def _named_ports(spec: Json) -> tuple[NamedPort, ...]:
    sidecars = (
        container
        for container in spec.get("initContainers") or ()
        if container.get("restartPolicy") == "Always"
    )
    return tuple(
        NamedPort(port["name"], port.get("protocol", "TCP"), port["containerPort"])
        for container in (*spec["containers"], *sidecars)
        for port in container.get("ports") or ()
        if port.get("name")
    )


def policy_from(policy: Json) -> Policy:
    """Read a NetworkPolicy (networking.k8s.io/v1)."""
    spec = policy["spec"]
    types = spec.get("policyTypes")
    if not types:
        types = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]
    return Policy(
        namespace=policy["metadata"]["namespace"],
        name=policy["metadata"]["name"],
        pods=selector_from(spec.get("podSelector") or {}),
        ingress=_rules(spec.get("ingress"), "from") if "Ingress" in types else None,
        egress=_rules(spec.get("egress"), "to") if "Egress" in types else None,
    )


def _rules(rules: list[Json] | None, peers_key: str) -> tuple[Rule, ...]:
    return tuple(
        Rule(
            peers=tuple(_peer(peer) for peer in rule.get(peers_key) or ()),
            ports=tuple(_port(port) for port in rule.get("ports") or ()),
        )
        for rule in rules or ()
    )


def _peer(peer: Json) -> PodPeer | IPBlock:
    ip_block = peer.get("ipBlock")
    if ip_block is not None:
        exceptions = map(addresses.block, ip_block.get("except") or ())
        return IPBlock(
            network=addresses.block(ip_block["cidr"]),
            exceptions=tuple(hole for hole in exceptions if hole is not None),
        )
    namespaces = peer.get("namespaceSelector")
    return PodPeer(
        namespaces=None if namespaces is None else selector_from(namespaces),
        pods=selector_from(peer.get("podSelector") or {}),
    )


def _port(port: Json) -> NumberedPorts | PortByName:
    protocol = port.get("protocol", "TCP")
    number = port.get("port")
    if number is None:
        return NumberedPorts(protocol, 0, 65535)
    if isinstance(number, str):
        return PortByName(protocol, number)
    return NumberedPorts(protocol, number, port.get("endPort", number))
