"""From walls to the text that nft reads. Pure functions.

How a packet is judged:

- Not by its own addresses but by those of its connection, as connection tracking has them: the
  client before any address translation, the pod and port that a Service was translated to. They
  are the same for every packet of a connection in either direction. So a reply needs no rule of
  its own, and a connection that a changed policy forbids is cut at its next packet.
- Egress comes first, at the sender's node; ingress comes after it at the receiver's, in a chain
  of its own, because `accept` only ends the chain (of that hook and priority) that says it.
- What a node sends to its own pods passes the output hook, where there are no rules; what a pod
  sends to its own node passes the input hook, where its egress policies hold as for other nodes.
- A map leads from the pod's address to its profile, one for each combination of policies in use,
  so that a packet costs a few lookups with any number of pods and policies.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from bulkhead_network.addresses import Range, Ranges, show_address, show_range
from bulkhead_network.model import NumberedPorts
from bulkhead_network.policy import Allowance, Direction, DirectionName, PolicyWall, Walls

WALLS_TABLE = "bulkhead_network"
MASQUERADE_TABLE = "bulkhead_masquerade"

# Longest name of a chain that the kernel takes (NFT_NAME_MAXLEN with its closing zero byte).
LONGEST_NAME = 255

# The far end of a connection, seen from the pod whose wall it is.
FAR_END: Mapping[DirectionName, str] = {
    "ingress": "ct original ip saddr",
    "egress": "ct reply ip saddr",
}
DESTINATION_PORT = "ct reply proto-src"
WHOLE_PROTOCOL = (0, 65535)


def render_walls(walls: Walls) -> str:
    """Return a transaction that puts these walls in the place of all earlier ones."""
    sets = _Sets()
    ingress = _render_direction("ingress", walls.ingress, sets)
    egress = _render_direction("egress", walls.egress, sets)
    isolated = sorted({*walls.ingress.isolated, *walls.egress.isolated})
    return _replace_table(
        f"inet {WALLS_TABLE}",
        [
            *_block("set isolated", _typed("ipv4_addr", map(show_address, isolated))),
            *_block("set itself", _typed("ipv4_addr . ipv4_addr", map(_to_itself, isolated))),
            *sets.lines,
            *egress,
            *ingress,
            *_block("chain egress", _egress_rules()),
            *_base_chain("egress_forward", "forward", "filter", ["jump egress"]),
            *_base_chain("egress_input", "input", "filter", ["jump egress"]),
            # After egress, and after kube-proxy has translated Services in prerouting.
            *_base_chain("ingress_forward", "forward", "filter + 1", _ingress_rules()),
        ],
    )


def render_masquerade(pod_cidr: str, cluster_cidr: str) -> str:
    """Return a transaction that hides a node's pods behind it where they leave the cluster."""
    rule = f"ip saddr {pod_cidr} ip daddr != {cluster_cidr} masquerade fully-random"
    hook = "type nat hook postrouting priority srcnat; policy accept;"
    return _replace_table(f"ip {MASQUERADE_TABLE}", _block("chain postrouting", [hook, rule]))


def _egress_rules() -> list[str]:
    return [
        # Pods here have no IPv6 address but for the link-local one that the kernel gives them;
        # by it they could reach their node past all rules about addresses.
        'iifname "veth*" meta nfproto ipv6 drop',
        "ct state invalid,untracked ip saddr @isolated drop",
        # An error about a connection that is allowed, for example that a packet was too large.
        "meta l4proto icmp ct state related accept",
        # A pod may always reach itself, for example through its own Service.
        "ct original ip saddr . ct reply ip saddr @itself accept",
        "ct original ip saddr vmap @egress_profiles",
    ]


def _ingress_rules() -> list[str]:
    return [
        "ct state invalid,untracked ip daddr @isolated drop",
        "meta l4proto icmp ct state related accept",
        "ct original ip saddr . ct reply ip saddr @itself accept",
        "ct reply ip saddr vmap @ingress_profiles",
    ]


def _render_direction(name: DirectionName, direction: Direction, sets: "_Sets") -> list[str]:
    chains = [_chain_name(name, policy) for policy in direction.policies]
    lines: list[str] = []
    for chain, policy in zip(chains, direction.policies, strict=True):
        rules = (
            rule
            for allowance in policy.allowances
            for rule in _allowance_rules(name, allowance, sets)
        )
        lines += _block(f"chain {chain}", rules)
    profiles = {
        combination: f"{name}-profile-{number}"
        for number, combination in enumerate(sorted(set(direction.isolated.values())), 1)
    }
    for combination, profile in profiles.items():
        jumps = (f"jump {chains[index]}" for index in combination)
        lines += _block(f"chain {profile}", [*jumps, "counter drop"])
    entries = (
        f"{show_address(address)} : goto {profiles[combination]}"
        for address, combination in sorted(direction.isolated.items())
    )
    return [*lines, *_block(f"map {name}_profiles", _typed("ipv4_addr : verdict", entries))]


def _allowance_rules(name: DirectionName, allowance: Allowance, sets: "_Sets") -> Iterable[str]:
    if allowance.peers == ():
        return
    peers = "" if allowance.peers is None else f"{FAR_END[name]} @{sets.peers(allowance.peers)} "
    if allowance.ports is None:
        yield f"{peers}accept"
        return
    for ports in allowance.ports:
        yield f"{peers}{_port_match(ports)} accept"
    for protocol, targets in allowance.named_ports:
        match = f"ct reply ip saddr . {DESTINATION_PORT} @{sets.targets(targets)}"
        yield f"{peers}meta l4proto {protocol.lower()} {match} accept"


def _port_match(ports: NumberedPorts) -> str:
    protocol = f"meta l4proto {ports.protocol.lower()}"
    if (ports.first, ports.last) == WHOLE_PROTOCOL:
        return protocol
    if ports.first == ports.last:
        return f"{protocol} {DESTINATION_PORT} {ports.first}"
    return f"{protocol} {DESTINATION_PORT} {ports.first}-{ports.last}"


class _Sets:
    """The named sets of a ruleset; equal ones are made once."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._peers: dict[Ranges, str] = {}
        self._targets: dict[tuple[tuple[int, int], ...], str] = {}

    def peers(self, ranges: Ranges) -> str:
        if ranges not in self._peers:
            name = self._peers[ranges] = f"peers-{len(self._peers) + 1}"
            # Single addresses are looked up by hash; a set with intervals is a tree.
            flags = ["flags interval"] if any(map(_is_interval, ranges)) else []
            elements = _typed("ipv4_addr", map(show_range, ranges), flags)
            self.lines += _block(f"set {name}", elements)
        return self._peers[ranges]

    def targets(self, targets: tuple[tuple[int, int], ...]) -> str:
        if targets not in self._targets:
            name = self._targets[targets] = f"named-ports-{len(self._targets) + 1}"
            elements = (f"{show_address(address)} . {port}" for address, port in targets)
            self.lines += _block(f"set {name}", _typed("ipv4_addr . inet_service", elements))
        return self._targets[targets]


def _is_interval(numbers: Range) -> bool:
    first, last = numbers
    return first != last


def _to_itself(address: int) -> str:
    return f"{show_address(address)} . {show_address(address)}"


def _chain_name(direction: DirectionName, policy: PolicyWall) -> str:
    name = f"{direction}/{policy.namespace}/{policy.name}"
    if len(name) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return f"{name[: LONGEST_NAME - len(digest) - 1]}-{digest}"


def _typed(element_type: str, elements: Iterable[str], flags: Sequence[str] = ()) -> list[str]:
    lines = [f"type {element_type}", *flags]
    listed = ",\n\t\t\t".join(elements)
    # nft refuses an empty list of elements.
    return [*lines, f"elements = {{\n\t\t\t{listed}\n\t\t}}"] if listed else lines


def _base_chain(name: str, hook: str, priority: str, rules: Sequence[str]) -> list[str]:
    declaration = f"type filter hook {hook} priority {priority}; policy accept;"
    return _block(f"chain {name}", [declaration, *rules])


def _block(head: str, body: Iterable[str]) -> list[str]:
    return [f"\t{head} {{", *(f"\t\t{line}" for line in body), "\t}"]


def _replace_table(table: str, body: Sequence[str]) -> str:
    # The first line makes the second one valid where there is no such table yet.
    return "\n".join(
        [f"table {table}", f"delete table {table}", f"table {table} {{", *body, "}", ""]
    )
