"""From policies to walls: who may reach which pod of this node, in addresses and ports.

A pure function of the state of the cluster. Its result knows nothing of selectors any more
and nothing yet of nftables.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from bulkhead_network import addresses
from bulkhead_network.addresses import Range, Ranges
from bulkhead_network.model import (
    IPBlock,
    Namespace,
    NumberedPorts,
    Pod,
    PodPeer,
    Policy,
    PortByName,
    Rule,
)

DirectionName: TypeAlias = Literal["ingress", "egress"]

# A protocol and pairs of destination address and port number.
ProtocolTargets: TypeAlias = tuple[str, tuple[tuple[int, int], ...]]


@dataclass(frozen=True, slots=True)
class Allowance:
    """Traffic that one rule of a policy lets through.

    `peers` None is everybody; `ports` None is every port of every protocol. `named_ports` hold
    beside `ports`: a port's name stands for another number in each destination pod.
    """

    peers: Ranges | None
    ports: tuple[NumberedPorts, ...] | None
    named_ports: tuple[ProtocolTargets, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyWall:
    """One policy in one direction."""

    namespace: str
    name: str
    allowances: tuple[Allowance, ...]


@dataclass(frozen=True, slots=True)
class Direction:
    """All walls of one direction.

    `isolated` gives each isolated pod, by address, the policies that hold for it, as indexes
    into `policies`. Pods that are not in it may talk freely in this direction.
    """

    policies: tuple[PolicyWall, ...] = ()
    isolated: Mapping[int, tuple[int, ...]] = field(default_factory=dict[int, tuple[int, ...]])


@dataclass(frozen=True, slots=True)
class Walls:
    """What NetworkPolicy means for the pods of one node."""

    ingress: Direction = Direction()
    egress: Direction = Direction()


def resolve_walls(
    node: str,
    pods: Mapping[int, Pod],
    namespaces: Mapping[str, Namespace],
    policies: Iterable[Policy],
) -> Walls:
    """Work out the walls of one node.

    `pods` are all pods of the cluster by address, `namespaces` all namespaces by name.
    """
    peers = _Peers(pods, namespaces)
    ordered = sorted(policies, key=lambda policy: (policy.namespace, policy.name))
    return Walls(
        ingress=_direction(node, peers, ordered, "ingress"),
        egress=_direction(node, peers, ordered, "egress"),
    )


def _direction(
    node: str, peers: "_Peers", policies: Sequence[Policy], direction: DirectionName
) -> Direction:
    walls: list[PolicyWall] = []
    isolated: dict[int, tuple[int, ...]] = {}
    for policy in policies:
        rules = policy.ingress if direction == "ingress" else policy.egress
        if rules is None:
            continue
        selected = {
            address: pod
            for address, pod in peers.pods_of(policy.namespace)
            if pod.node == node and policy.pods.selects(pod.labels)
        }
        if not selected:
            continue
        for address in selected:
            isolated[address] = (*isolated.get(address, ()), len(walls))
        destinations = selected if direction == "ingress" else None
        allowances = (_allowance(peers, policy.namespace, rule, destinations) for rule in rules)
        walls.append(PolicyWall(policy.namespace, policy.name, tuple(allowances)))
    return Direction(tuple(walls), isolated)


def _allowance(
    peers: "_Peers", namespace: str, rule: Rule, destinations: Mapping[int, Pod] | None
) -> Allowance:
    """Resolve a rule; `destinations` None means that its peers are the destinations (egress)."""
    allowed = peers.addresses_of(namespace, rule.peers)
    if not rule.ports:
        return Allowance(allowed, None)
    names = {port for port in rule.ports if isinstance(port, PortByName)}
    if names and destinations is None:
        destinations = peers.pods_within(allowed)
    return Allowance(
        peers=allowed,
        ports=_merge_ports(port for port in rule.ports if isinstance(port, NumberedPorts)),
        named_ports=_resolve_names(names, destinations) if names and destinations else (),
    )


def _resolve_names(
    names: set[PortByName], destinations: Mapping[int, Pod]
) -> tuple[ProtocolTargets, ...]:
    found: dict[str, set[tuple[int, int]]] = {}
    for address, pod in destinations.items():
        for port in pod.ports:
            if PortByName(port.protocol, port.name) in names:
                found.setdefault(port.protocol, set()).add((address, port.number))
    return tuple((protocol, tuple(sorted(found[protocol]))) for protocol in sorted(found))


def _merge_ports(ports: Iterable[NumberedPorts]) -> tuple[NumberedPorts, ...]:
    by_protocol: dict[str, list[Range]] = {}
    for port in ports:
        by_protocol.setdefault(port.protocol, []).append((port.first, port.last))
    return tuple(
        NumberedPorts(protocol, first, last)
        for protocol in sorted(by_protocol)
        for first, last in addresses.merge(by_protocol[protocol])
    )


class _Peers:
    """Finds the addresses of peers, and remembers them: policies repeat each other's peers."""

    def __init__(self, pods: Mapping[int, Pod], namespaces: Mapping[str, Namespace]) -> None:
        self._pods = pods
        self._namespaces = namespaces
        self._by_namespace: dict[str, list[tuple[int, Pod]]] = {}
        for address, pod in pods.items():
            self._by_namespace.setdefault(pod.namespace, []).append((address, pod))
        self._remembered: dict[tuple[str | None, tuple[PodPeer | IPBlock, ...]], Ranges] = {}

    def pods_of(self, namespace: str) -> Sequence[tuple[int, Pod]]:
        return self._by_namespace.get(namespace, ())

    def pods_within(self, allowed: Ranges | None) -> Mapping[int, Pod]:
        if allowed is None:
            return self._pods
        return {
            address: pod
            for address, pod in self._pods.items()
            if addresses.contains(allowed, address)
        }

    def addresses_of(self, namespace: str, peers: tuple[PodPeer | IPBlock, ...]) -> Ranges | None:
        """Return the addresses of all peers of a rule, or None if they are everybody."""
        if not peers:
            return None
        # Peers that name their namespaces are the same for policies of every namespace.
        is_relative = any(isinstance(p, PodPeer) and p.namespaces is None for p in peers)
        key = (namespace if is_relative else None, peers)
        if key not in self._remembered:
            self._remembered[key] = addresses.merge(
                numbers for peer in peers for numbers in self._peer_ranges(namespace, peer)
            )
        found = self._remembered[key]
        return None if found == addresses.EVERY_ADDRESS else found

    def _peer_ranges(self, namespace: str, peer: PodPeer | IPBlock) -> Iterable[Range]:
        if isinstance(peer, IPBlock):
            return addresses.subtract(peer.network, peer.exceptions) if peer.network else ()
        return (
            (address, address)
            for name in self._peer_namespaces(namespace, peer)
            for address, pod in self.pods_of(name)
            if peer.pods.selects(pod.labels)
        )

    def _peer_namespaces(self, own: str, peer: PodPeer) -> Iterable[str]:
        if peer.namespaces is None:
            return (own,)
        # A pod may be seen before its namespace is; it is a peer once its labels are known.
        return (
            name
            for name, namespace in self._namespaces.items()
            if peer.namespaces.selects(namespace.labels)
        )
