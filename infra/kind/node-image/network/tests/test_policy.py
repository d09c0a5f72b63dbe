"""The meaning of policies, as walls, before they become rules.

The cluster of these tests: `web` and `db` in team-a on this node, `other` in team-b (labelled
tier=data) on another one, `far` in team-c without labels.
"""

import pytest
from network_objects import Json, namespaces, number, pods, policies, raw_namespace, raw_pod

from bulkhead_network import addresses
from bulkhead_network.policy import Direction, Walls, resolve_walls

WEB, DB, OTHER, FAR = "10.244.1.2", "10.244.1.3", "10.244.2.2", "10.244.2.3"
OUTSIDE = "192.0.2.7"
NAMESPACES = namespaces(
    raw_namespace("team-a"), raw_namespace("team-b", tier="data"), raw_namespace("team-c")
)
HTTP = {"name": "http", "containerPort": 8080}
CLUSTER = (
    raw_pod("team-a/web", WEB, labels={"app": "web"}, ports=[HTTP]),
    raw_pod("team-a/db", DB, labels={"app": "db"}, ports=[{**HTTP, "containerPort": 9090}]),
    raw_pod("team-b/other", OTHER, labels={"app": "web"}, ports=[HTTP], node="there"),
    raw_pod("team-c/far", FAR, node="there"),
)
EVERY_POD: Json = {"podSelector": {}}
WEB_POD: Json = {"podSelector": {"matchLabels": {"app": "web"}}}


def walls(cluster: tuple[Json, ...] = CLUSTER, **specs: Json) -> Walls:
    return resolve_walls("here", pods(*cluster), NAMESPACES, policies(**specs))


def ingress(rule: Json) -> Walls:
    return walls(p={**WEB_POD, "policyTypes": ["Ingress"], "ingress": [rule]})


def egress(rule: Json) -> Walls:
    return walls(p={**WEB_POD, "policyTypes": ["Egress"], "egress": [rule]})


def is_open(found: Walls, source: str, target: str, port: int = 80, protocol: str = "TCP") -> bool:
    """Read the walls as the rules do: egress of the source and ingress of the target."""
    destination = number(target), port, protocol
    return _lets_through(
        found.egress, number(source), number(target), destination
    ) and _lets_through(found.ingress, number(target), number(source), destination)


def _lets_through(
    direction: Direction, pod: int, far_end: int, destination: tuple[int, int, str]
) -> bool:
    address, port, protocol = destination
    if pod not in direction.isolated:
        return True
    return any(
        (allowed.peers is None or addresses.contains(allowed.peers, far_end))
        and (
            allowed.ports is None
            or any(p.protocol == protocol and p.first <= port <= p.last for p in allowed.ports)
            or any(
                name == protocol and (address, port) in targets
                for name, targets in allowed.named_ports
            )
        )
        for index in direction.isolated[pod]
        for allowed in direction.policies[index].allowances
    )


def sources(found: Walls, target: str = WEB) -> set[str]:
    """Of all pods and the world outside, who reaches port 80 of the target?"""
    everybody = {WEB, DB, OTHER, FAR, OUTSIDE} - {target}
    return {source for source in everybody if is_open(found, source, target)}


def targets(found: Walls, source: str = WEB) -> set[str]:
    """Whose port 80 does the source reach?"""
    everybody = {WEB, DB, OTHER, FAR, OUTSIDE} - {source}
    return {target for target in everybody if is_open(found, source, target)}


def test_without_policies_no_pod_is_isolated() -> None:
    found = walls()
    assert not found.ingress.isolated
    assert not found.egress.isolated


def test_a_policy_isolates_only_the_pods_it_selects_and_only_in_its_direction() -> None:
    found = walls(deny={**WEB_POD, "policyTypes": ["Ingress"]})
    assert sources(found, WEB) == set()
    assert sources(found, DB) == {WEB, OTHER, FAR, OUTSIDE}
    assert targets(found, WEB) == {DB, OTHER, FAR, OUTSIDE}


def test_default_deny_closes_both_ways() -> None:
    found = walls(deny={**EVERY_POD, "policyTypes": ["Ingress", "Egress"]})
    assert sources(found, WEB) == targets(found, WEB) == set()


def test_a_policy_holds_for_its_own_namespace_only() -> None:
    found = walls(deny={**EVERY_POD, "policyTypes": ["Ingress"]})
    assert sources(found, OTHER) == {WEB, DB, FAR, OUTSIDE}


def test_pods_of_other_nodes_have_their_walls_there() -> None:
    assert not resolve_walls(
        "there", pods(*CLUSTER), NAMESPACES, policies(deny={**EVERY_POD})
    ).ingress.isolated


ISOLATED_WAYS: list[tuple[Json, str]] = [
    ({}, "ingress"),
    ({"ingress": []}, "ingress"),
    ({"egress": []}, "ingress"),
    ({"egress": [{}]}, "ingress egress"),
    ({"policyTypes": ["Egress"], "ingress": [{}]}, "egress"),
]


@pytest.mark.parametrize(
    ("spec", "isolated_ways"),
    ISOLATED_WAYS,
)
def test_policy_types_default_to_what_the_rules_are_about(spec: Json, isolated_ways: str) -> None:
    found = walls(p={**EVERY_POD, **spec})
    ways = {"ingress": found.ingress.isolated, "egress": found.egress.isolated}
    assert [way for way, isolated in ways.items() if isolated] == isolated_ways.split()


PEERS: list[tuple[list[Json], set[str]]] = [
    ([], {DB, OTHER, FAR, OUTSIDE}),
    ([{"podSelector": {}}], {DB}),
    ([{"podSelector": {"matchLabels": {"app": "none"}}}], set()),
    ([{"namespaceSelector": {}}], {DB, OTHER, FAR}),
    ([{"namespaceSelector": {"matchLabels": {"tier": "data"}}}], {OTHER}),
    (
        [
            {
                "namespaceSelector": {
                    "matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]
                }
            }
        ],
        {DB, FAR},
    ),
    ([{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "web"}}}], {OTHER}),
    (
        [
            {"podSelector": {"matchLabels": {"app": "db"}}},
            {"namespaceSelector": {"matchLabels": {"tier": "data"}}},
        ],
        {DB, OTHER},
    ),
    ([{"ipBlock": {"cidr": "0.0.0.0/0"}}], {DB, OTHER, FAR, OUTSIDE}),
    ([{"ipBlock": {"cidr": "192.0.2.0/24"}}], {OUTSIDE}),
    ([{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.244.0.0/16"]}}], {OUTSIDE}),
    ([{"ipBlock": {"cidr": "10.244.0.0/16", "except": [f"{OTHER}/31"]}}], {DB}),
    ([{"ipBlock": {"cidr": "::/0"}}], set()),
    (
        [
            {"ipBlock": {"cidr": "10.244.0.0/16", "except": ["10.244.1.0/24"]}},
            {"podSelector": {}},
        ],
        {DB, OTHER, FAR},
    ),
]


@pytest.mark.parametrize(
    ("peers", "expected"),
    PEERS,
)
def test_peers_mean_the_same_in_both_directions(peers: list[Json], expected: set[str]) -> None:
    assert sources(ingress({"from": peers})) == expected
    assert targets(egress({"to": peers})) == expected


PORTS: list[tuple[list[Json], set[tuple[str, int]]]] = [
    ([{"port": 80}], {("TCP", 80)}),
    ([{"port": 53, "protocol": "UDP"}], {("UDP", 53)}),
    ([{"port": 53, "protocol": "UDP"}, {"port": 53}], {("UDP", 53), ("TCP", 53)}),
    ([{"port": 79, "endPort": 81}], {("TCP", 80)}),
    ([{"protocol": "SCTP"}], {("SCTP", 80), ("SCTP", 53), ("SCTP", 8080)}),
    ([{"port": "http"}], {("TCP", 8080)}),
    ([{"port": "http", "protocol": "UDP"}], set()),
    ([{"port": "unknown"}], set()),
    ([{"port": "http"}, {"port": 80}], {("TCP", 80), ("TCP", 8080)}),
]


@pytest.mark.parametrize(
    ("ports", "opened"),
    PORTS,
)
def test_ports_open_what_they_name_and_nothing_else(
    ports: list[Json], opened: set[tuple[str, int]]
) -> None:
    tried = {(protocol, port) for protocol in ("TCP", "UDP", "SCTP") for port in (53, 80, 8080)}
    into, out_of = ingress({"ports": ports}), egress({"ports": ports})
    assert {(p, n) for p, n in tried if is_open(into, FAR, WEB, n, p)} == opened
    assert {(p, n) for p, n in tried if is_open(out_of, WEB, OTHER, n, p)} == opened


def test_a_named_port_is_the_number_that_each_destination_gives_it() -> None:
    found = walls(p={**EVERY_POD, "ingress": [{"ports": [{"port": "http"}]}]})
    assert is_open(found, FAR, WEB, 8080)
    assert is_open(found, FAR, DB, 9090)
    assert not is_open(found, FAR, DB, 8080)
    assert not is_open(found, FAR, WEB, 9090)


def test_a_named_port_of_an_egress_rule_is_looked_up_among_its_peers_only() -> None:
    rule = {
        "to": [{"namespaceSelector": {"matchLabels": {"tier": "data"}}}],
        "ports": [{"port": "http"}],
    }
    found = egress(rule)
    assert is_open(found, WEB, OTHER, 8080)
    assert not is_open(found, WEB, DB, 9090)


def test_peers_and_ports_of_one_rule_belong_together() -> None:
    found = walls(
        p={
            **WEB_POD,
            "ingress": [
                {"from": [{"podSelector": {}}], "ports": [{"port": 80}]},
                {"from": [{"ipBlock": {"cidr": f"{OUTSIDE}/32"}}], "ports": [{"port": 443}]},
            ],
        }
    )
    assert is_open(found, DB, WEB, 80)
    assert not is_open(found, DB, WEB, 443)
    assert is_open(found, OUTSIDE, WEB, 443)
    assert not is_open(found, OUTSIDE, WEB, 80)


def test_several_policies_add_up() -> None:
    found = walls(
        deny={**EVERY_POD},
        pods={**WEB_POD, "ingress": [{"from": [{"podSelector": {}}]}]},
        world={**WEB_POD, "ingress": [{"from": [{"ipBlock": {"cidr": f"{OUTSIDE}/32"}}]}]},
    )
    assert sources(found, WEB) == {DB, OUTSIDE}
    assert sources(found, DB) == set()


def test_pods_of_the_host_network_are_neither_isolated_nor_peers() -> None:
    host = raw_pod("team-a/host", "10.89.0.5", host_network=True)
    found = walls((*CLUSTER, host), p={**EVERY_POD, "ingress": [{"from": [{"podSelector": {}}]}]})
    assert number("10.89.0.5") not in found.ingress.isolated
    assert not is_open(found, "10.89.0.5", WEB)


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_the_address_of_a_pod_that_has_ended_belongs_to_no_pod(phase: str) -> None:
    ended = raw_pod("team-a/ended", "10.244.1.9", phase=phase)
    found = walls((*CLUSTER, ended), p={**EVERY_POD, "ingress": [{"from": [{"podSelector": {}}]}]})
    assert number("10.244.1.9") not in found.ingress.isolated
    assert not is_open(found, "10.244.1.9", WEB)
