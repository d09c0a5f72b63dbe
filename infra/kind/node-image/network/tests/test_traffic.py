"""The rules at work: real packets between network namespaces through a node's real nftables.

`web` and `db` live in namespace team-a, `other` in team-b (labelled tier=data), `far` in team-c;
all on this node, so that every packet passes the walls of both its ends. `OUTSIDE` is no pod.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from netns import GATEWAY, Node, request
from network_objects import Json, namespaces, pods, policies, raw_namespace, raw_pod

from bulkhead_network.policy import resolve_walls
from bulkhead_network.ruleset import WALLS_TABLE, render_masquerade, render_walls

pytestmark = pytest.mark.needs_root

WEB, DB, OTHER, FAR = "10.244.1.2", "10.244.1.3", "10.244.1.4", "10.244.1.5"
OUTSIDE = "192.0.2.7"
SERVICE = "10.96.0.5"
NAMESPACES = namespaces(
    raw_namespace("team-a"), raw_namespace("team-b", tier="data"), raw_namespace("team-c")
)
HTTP = {"name": "http", "containerPort": 8080}
PODS = pods(
    raw_pod("team-a/web", WEB, labels={"app": "web"}, ports=[HTTP]),
    raw_pod("team-a/db", DB, labels={"app": "db"}, ports=[{**HTTP, "containerPort": 80}]),
    raw_pod("team-b/other", OTHER, ports=[HTTP]),
    raw_pod("team-c/far", FAR),
)
EVERY_POD: Json = {"podSelector": {}}
DENY_INGRESS: Json = {**EVERY_POD, "policyTypes": ["Ingress"]}
DENY_EGRESS: Json = {**EVERY_POD, "policyTypes": ["Egress"]}
WEB_POD: Json = {"podSelector": {"matchLabels": {"app": "web"}}}

# What kube-proxy does for a Service of `web` with port 80, hairpin included.
KUBE_PROXY = f"""
table ip service {{
    chain prerouting {{
        type nat hook prerouting priority dstnat;
        ip daddr {SERVICE} tcp dport 80 dnat to {WEB}:8080
    }}
    chain postrouting {{
        type nat hook postrouting priority srcnat;
        ip saddr {WEB} ip daddr {WEB} masquerade
    }}
}}
"""


@pytest.fixture(scope="module")
def made_node() -> Iterator[Node]:
    node = Node(f"bulkhead-{os.getpid()}")
    try:
        for number, ip in enumerate((WEB, DB, OTHER, FAR)):
            node.add_pod(ip, f"veth{number}")
            for port in (80, 8080, 8081):
                node.serve(ip, port)
            node.serve_udp(ip, 53)
        node.add_pod(OUTSIDE, "eth0")
        node.serve(OUTSIDE, 80)
        node.serve(GATEWAY, 80)
        node.apply(KUBE_PROXY)
        node.apply(render_masquerade("10.244.1.0/24", "10.244.0.0/16"))
        yield node
    finally:
        node.close()


@pytest.fixture
def node(made_node: Node) -> Node:
    enforce(made_node)
    return made_node


def enforce(node: Node, **specs: Json) -> None:
    """Let these policies of team-a, and no others, hold."""
    node.apply(render_walls(resolve_walls("here", PODS, NAMESPACES, policies(**specs))))


def sources(node: Node, target: str = WEB, port: int = 80) -> set[str]:
    everybody = {WEB, DB, OTHER, FAR, OUTSIDE} - {target}
    return {source for source in everybody if node.reaches(source, target, port)}


def targets(node: Node, source: str = WEB) -> set[str]:
    everybody = {WEB, DB, OTHER, FAR, OUTSIDE} - {source}
    return {target for target in everybody if node.reaches(source, target)}


def test_without_policies_everybody_reaches_everybody(node: Node) -> None:
    assert sources(node, WEB) == {DB, OTHER, FAR, OUTSIDE}
    assert targets(node, WEB) == {DB, OTHER, FAR, OUTSIDE}


def test_default_deny_of_ingress_leaves_replies_and_the_own_node_alone(node: Node) -> None:
    enforce(node, deny=DENY_INGRESS)
    assert sources(node, WEB) == set()
    assert targets(node, WEB) == {OTHER, FAR, OUTSIDE}
    assert node.reaches(GATEWAY, WEB)


def test_default_deny_of_egress_leaves_replies_and_probes_of_the_node_alone(node: Node) -> None:
    enforce(node, deny=DENY_EGRESS)
    assert targets(node, WEB) == set()
    assert sources(node, WEB) == {OTHER, FAR, OUTSIDE}
    assert node.reaches(GATEWAY, WEB)


def test_egress_walls_hold_for_the_own_node_too(node: Node) -> None:
    assert node.reaches(WEB, GATEWAY)
    enforce(node, deny=DENY_EGRESS)
    assert not node.reaches(WEB, GATEWAY)
    enforce(node, deny={**EVERY_POD, "egress": [{"to": [{"ipBlock": {"cidr": f"{GATEWAY}/32"}}]}]})
    assert node.reaches(WEB, GATEWAY)


def test_there_is_no_way_round_the_walls_by_link_local_ipv6(node: Node) -> None:
    node.apply(f"delete table inet {WALLS_TABLE}")
    assert node.reaches_by_link_local(WEB, "veth0", 7000)
    enforce(node)
    assert not node.reaches_by_link_local(WEB, "veth0", 7000)


PEERS: list[tuple[list[Json], set[str]]] = [
    ([{"podSelector": {}}], {DB}),
    ([{"namespaceSelector": {"matchLabels": {"tier": "data"}}}], {OTHER}),
    ([{"namespaceSelector": {}}], {DB, OTHER, FAR}),
    ([{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}], {OUTSIDE}),
    ([{"ipBlock": {"cidr": "10.244.0.0/16", "except": [f"{OTHER}/31"]}}], {DB}),
]


@pytest.mark.parametrize(
    ("peers", "expected"),
    PEERS,
)
def test_peers_are_let_through_in_either_direction(
    node: Node, peers: list[Json], expected: set[str]
) -> None:
    enforce(node, p={**WEB_POD, "ingress": [{"from": peers}]})
    assert sources(node, WEB) == expected
    enforce(node, p={**WEB_POD, "policyTypes": ["Egress"], "egress": [{"to": peers}]})
    assert targets(node, WEB) == expected


PORTS: list[tuple[Json, set[int]]] = [
    ({"port": 80}, {80}),
    ({"port": 8000, "endPort": 8080}, {8080}),
    ({"port": "http"}, {8080}),
    ({"protocol": "TCP"}, {80, 8080, 8081}),
    ({"port": 80, "protocol": "UDP"}, set()),
]


@pytest.mark.parametrize(
    ("port", "opened"),
    PORTS,
)
def test_ports_are_let_through_in_either_direction(
    node: Node, port: Json, opened: set[int]
) -> None:
    enforce(node, p={**WEB_POD, "ingress": [{"ports": [port]}]})
    assert {number for number in (80, 8080, 8081) if node.reaches(FAR, WEB, number)} == opened
    enforce(node, p={**WEB_POD, "policyTypes": ["Egress"], "egress": [{"ports": [port]}]})
    assert {number for number in (80, 8080, 8081) if node.reaches(WEB, OTHER, number)} == opened


def test_a_port_of_udp_is_not_one_of_tcp(node: Node) -> None:
    enforce(node, p={**WEB_POD, "ingress": [{"ports": [{"port": 53, "protocol": "UDP"}]}]})
    assert node.reaches_by_udp(FAR, WEB, 53)
    enforce(node, p={**WEB_POD, "ingress": [{"ports": [{"port": 53}]}]})
    assert not node.reaches_by_udp(FAR, WEB, 53)


def test_behind_a_service_policies_see_pods(node: Node) -> None:
    assert node.reaches(FAR, SERVICE)
    from_db = {"from": [{"podSelector": {"matchLabels": {"app": "db"}}}], "ports": [{"port": 8080}]}
    enforce(node, p={**WEB_POD, "ingress": [from_db]})
    assert not node.reaches(FAR, SERVICE)
    assert node.reaches(DB, SERVICE)
    to_web = {"to": [{"podSelector": {"matchLabels": {"app": "web"}}}], "ports": [{"port": 8080}]}
    enforce(node, p={**EVERY_POD, "policyTypes": ["Egress"], "egress": [to_web]})
    assert node.reaches(DB, SERVICE)
    assert not node.reaches(DB, WEB, 80)


def test_a_pod_always_reaches_itself_through_its_service(node: Node) -> None:
    enforce(node, deny={**EVERY_POD, "policyTypes": ["Ingress", "Egress"]})
    assert node.reaches(WEB, SERVICE)


def test_both_ends_must_agree(node: Node) -> None:
    to_web = {"to": [{"podSelector": {"matchLabels": {"app": "web"}}}]}
    enforce(node, out={**EVERY_POD, "policyTypes": ["Egress"], "egress": [to_web]})
    assert node.reaches(DB, WEB)
    enforce(
        node,
        out={**EVERY_POD, "policyTypes": ["Egress"], "egress": [to_web]},
        into={**WEB_POD, "policyTypes": ["Ingress"]},
    )
    assert not node.reaches(DB, WEB)


def test_a_connection_ends_when_it_becomes_forbidden_and_goes_on_when_allowed_again(
    node: Node,
) -> None:
    client = node.connect(FAR, WEB, 80)
    assert client is not None
    assert request(client) == FAR
    enforce(node, deny=DENY_INGRESS)
    assert request(client) == ""
    enforce(node)
    client.settimeout(5)  # TCP sends the lost line again by itself
    assert client.recv(100).decode().strip() == FAR


def test_nothing_slips_through_while_rules_are_replaced(node: Node) -> None:
    enforce(node, deny=DENY_INGRESS)
    is_over = threading.Event()

    def replace_rules() -> None:
        try:
            for count in range(100):
                nobody: Json = {**WEB_POD, "ingress": []}
                enforce(node, deny=DENY_INGRESS, **{f"p{count}": nobody})
        finally:
            is_over.set()

    replacing = threading.Thread(target=replace_rules)
    client = node.datagrams(FAR)
    client.setblocking(False)
    tried = answered = 0
    replacing.start()
    while not is_over.is_set():
        client.sendto(b"hello", (WEB, 53))
        tried += 1
        with suppress(BlockingIOError):
            answered += len(client.recv(100))
    replacing.join()
    assert tried > 1000
    assert answered == 0


def test_what_leaves_the_cluster_shows_the_address_of_the_node(node: Node) -> None:
    to_outside, to_pod = node.connect(WEB, OUTSIDE, 80), node.connect(WEB, DB, 80)
    assert to_outside is not None
    assert to_pod is not None
    assert request(to_outside) == GATEWAY
    assert request(to_pod) == WEB


def test_an_answer_comes_at_once(node: Node) -> None:
    """Guards the other tests: what they take for forbidden is not just slow."""
    enforce(node, p={**WEB_POD, "ingress": [{"from": [{"podSelector": {}}]}]})
    started = time.monotonic()
    assert node.reaches(DB, WEB)
    assert time.monotonic() - started < 0.1
