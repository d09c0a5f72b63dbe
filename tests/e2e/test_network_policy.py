"""NetworkPolicy is enforced by the cluster's network: tried with real connections.

Five pods exist for the whole module. `server`, `near` (on its node) and `across` (on another one)
are in one namespace, where the policies are made; `neighbour` (on the server's node) and `stranger`
(on the other) in a second one, which is labelled. Labels `tier` of a pod repeat in both, because
a policy that names a label means pods of its own namespace. Connections are tried inside the pods
with exec, which no policy restricts.
"""

from __future__ import annotations

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e import cluster, pods
from tests.e2e.waiting import NotYet, until

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.e2e.cluster import Kube

SERVER, NEAR, ACROSS, NEIGHBOUR, STRANGER = "server", "near", "across", "neighbour", "stranger"
EVERYBODY = {SERVER, NEAR, ACROSS, NEIGHBOUR, STRANGER}
CLIENTS = EVERYBODY - {SERVER}

TIERS = {SERVER: "back", NEAR: "front", ACROSS: "middle", NEIGHBOUR: "front", STRANGER: "middle"}
ABROAD = "bulkhead.dev/e2e-abroad"

MAIN_PORT, SIDE_PORT, PORT_NAME = 8080, 8081, "main-port"

SERVE = f"""
import socketserver, threading

class Greet(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(b"hello")

class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True

threading.Thread(target=Server(("", {SIDE_PORT}), Greet).serve_forever, daemon=True).start()
Server(("", {MAIN_PORT}), Greet).serve_forever()
"""

# Prints those of its arguments, host:port, that greet within a second.
VISIT = """
import concurrent.futures, json, socket, sys

def visit(target):
    host, port = target.split(":")
    try:
        with socket.create_connection((host, int(port)), 1) as connection:
            return connection.recv(5) == b"hello"
    except OSError:
        return False

targets = sys.argv[1:]
with concurrent.futures.ThreadPoolExecutor(len(targets)) as pool:
    greeted = pool.map(visit, targets)
print(json.dumps([target for target, came in zip(targets, greeted) if came]))
"""

# Fails if any of many early connections gets through; its first one leaves at its first moment.
BREAK_OUT = """
import socket, sys, time

ends = time.monotonic() + 3
while time.monotonic() < ends:
    try:
        socket.create_connection((sys.argv[1], int(sys.argv[2])), 0.2).close()
    except OSError:
        continue
    sys.exit("reached the other pod")
"""

Spec = dict[str, Any]

ALL_PODS: Spec = {"podSelector": {}}
THE_SERVER: Spec = {"podSelector": {"matchLabels": {"tier": TIERS[SERVER]}}}


@dataclass
class Playground:
    """The pods, by their short names, and the policies in force between them."""

    kube: Kube
    home: str
    abroad: str
    addresses: dict[str, str]
    nodes: tuple[str, str]

    def __post_init__(self) -> None:
        # Two threads must not share a client for exec.
        self._own = {name: cluster.connect() for name in EVERYBODY}

    def namespace_of(self, pod: str) -> str:
        """The namespace that a pod is in."""
        return self.abroad if pod in {NEIGHBOUR, STRANGER} else self.home

    def enforce(self, name: str, spec: Spec) -> None:
        """Make a policy, or replace the one of that name."""
        policy = {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": name, "namespace": self.home},
            "spec": spec,
        }
        existing = self.kube.net.list_namespaced_network_policy(self.home).items
        if name in {policy.metadata.name for policy in existing}:
            self.kube.net.replace_namespaced_network_policy(name, self.home, policy)
        else:
            self.kube.net.create_namespaced_network_policy(self.home, policy)

    def lift(self, name: str) -> None:
        """Remove a policy."""
        self.kube.net.delete_namespaced_network_policy(name, self.home)

    def lift_all(self) -> None:
        """Remove all policies."""
        self.kube.net.delete_collection_namespaced_network_policy(self.home)

    def visits(self, source: str, targets: Iterable[str]) -> set[str]:
        """Those of the targets, host:port, that a pod reaches."""
        answer = pods.execute(
            self._own[source],
            self.namespace_of(source),
            source,
            ["python3", "-c", VISIT, *sorted(targets)],
        )
        # The client library turns JSON into Python and that into text again: quotes differ.
        return set(json.loads(answer.replace("'", '"')))

    def visitors(self, target: str = SERVER, port: int = MAIN_PORT) -> set[str]:
        """Who reaches this port of a pod?"""
        return self.visitors_at(self.addresses[target], port, EVERYBODY - {target})

    def visitors_at(self, host: str, port: int, sources: Iterable[str]) -> set[str]:
        """Which of the sources reach this place?"""
        with ThreadPoolExecutor(len(EVERYBODY)) as pool:
            places = {s: pool.submit(self.visits, s, [f"{host}:{port}"]) for s in sources}
            return {source for source, place in places.items() if place.result()}

    def visited(self, source: str = SERVER, port: int = MAIN_PORT) -> set[str]:
        """Whose port does a pod reach?"""
        places = {f"{self.addresses[t]}:{port}": t for t in EVERYBODY - {source}}
        return {places[place] for place in self.visits(source, places)}

    def ports(self, source: str, target: str) -> set[int]:
        """Which of its two ports does one pod reach at another?"""
        host = self.addresses[target]
        places = {f"{host}:{port}": port for port in (MAIN_PORT, SIDE_PORT)}
        return {places[place] for place in self.visits(source, places)}

    def await_visitors(self, expected: set[str], port: int = MAIN_PORT) -> None:
        """Wait until exactly these pods reach the server's port."""

        def comes_true() -> bool | NotYet:
            found = self.visitors(SERVER, port)
            return found == expected or NotYet(found)

        until(comes_true, 30, f"{sorted(expected)} alone to reach port {port} of the server")

    def await_visited(self, expected: set[str]) -> None:
        """Wait until the server reaches these pods, and no others."""

        def comes_true() -> bool | NotYet:
            found = self.visited()
            return found == expected or NotYet(found)

        until(comes_true, 30, f"the server to reach {sorted(expected)} alone")

    def await_ports(self, source: str, target: str, expected: set[int]) -> None:
        """Wait until one pod reaches these ports of another, and no others."""

        def comes_true() -> bool | NotYet:
            found = self.ports(source, target)
            return found == expected or NotYet(found)

        until(comes_true, 30, f"{source} to reach ports {sorted(expected)} alone of {target}")


@pytest.fixture(scope="module")
def playground(kube: Kube, tools_image: str) -> Iterator[Playground]:
    """The five pods, ready."""
    nodes = sorted(node.metadata.name for node in kube.core.list_node().items)
    assert len(nodes) > 1, f"connections across nodes need two nodes, the cluster has {nodes}"
    suffix = uuid.uuid4().hex[:8]
    home, abroad = f"bulkhead-e2e-home-{suffix}", f"bulkhead-e2e-abroad-{suffix}"
    try:
        cluster.create_namespace(kube, home)
        cluster.create_namespace(kube, abroad, {ABROAD: "true"})
        there = Playground(kube, home, abroad, {}, (nodes[0], nodes[1]))
        for name in EVERYBODY:
            node = nodes[name in {ACROSS, STRANGER}]
            pods.create(kube, _pod(there, name, ["python3", "-c", SERVE], node, tools_image))
        for name in EVERYBODY:
            pod = pods.running(kube, there.namespace_of(name), name, timeout=120)
            there.addresses[name] = pod.status.pod_ip
        yield there
    finally:
        for namespace in (home, abroad):
            cluster.delete_namespace(kube, namespace)


@pytest.fixture
def field(playground: Playground) -> Iterator[Playground]:
    """The playground without policies, seen to be open in both directions."""
    playground.await_visitors(CLIENTS)
    playground.await_visited(CLIENTS)
    yield playground
    playground.lift_all()


def _pod(there: Playground, name: str, command: list[str], node: str, image: str) -> dict[str, Any]:
    labels = {"tier": TIERS[name]} if name in TIERS else {}
    pod = pods.restricted_pod(
        name, there.namespace_of(name), command, labels=labels, node=node, image=image
    )
    (container,) = pod["spec"]["containers"]
    container["ports"] = [{"name": PORT_NAME, "containerPort": MAIN_PORT}]
    return pod


def _ingress(*rules: Spec, pods_of: Spec = THE_SERVER) -> Spec:
    return {**pods_of, "policyTypes": ["Ingress"], "ingress": list(rules)}


def _egress(*rules: Spec, pods_of: Spec = THE_SERVER) -> Spec:
    return {**pods_of, "policyTypes": ["Egress"], "egress": list(rules)}


def _tier(*names: str) -> Spec:
    expression = {"key": "tier", "operator": "In", "values": [TIERS[name] for name in names]}
    return {"podSelector": {"matchExpressions": [expression]}}


ABROAD_NAMESPACES: Spec = {"namespaceSelector": {"matchLabels": {ABROAD: "true"}}}


def test_default_deny_of_ingress_lets_nobody_in_and_replies_back(field: Playground) -> None:
    field.enforce("deny", _ingress(pods_of=ALL_PODS))
    field.await_visitors(set())
    field.await_visited({NEIGHBOUR, STRANGER})


def test_default_deny_of_egress_lets_nobody_out_and_replies_back(field: Playground) -> None:
    field.enforce("deny", _egress(pods_of=ALL_PODS))
    field.await_visited(set())
    field.await_visitors({NEIGHBOUR, STRANGER})


@pytest.mark.parametrize("name", [NEAR, ACROSS])
def test_pods_are_allowed_by_their_label_in_the_policys_own_namespace(
    field: Playground, name: str
) -> None:
    """`near` is on the server's node and `across` is not; pods abroad have the same labels."""
    field.enforce("deny", _ingress(pods_of=ALL_PODS))
    field.enforce("allow", _ingress({"from": [_tier(name)]}))
    field.await_visitors({name})


def test_pods_are_allowed_by_the_label_of_their_namespace(field: Playground) -> None:
    field.enforce("allow", _ingress({"from": [ABROAD_NAMESPACES]}))
    field.await_visitors({NEIGHBOUR, STRANGER})


def test_labels_of_namespace_and_pod_in_one_peer_must_both_fit(field: Playground) -> None:
    field.enforce("allow", _ingress({"from": [{**ABROAD_NAMESPACES, **_tier(STRANGER)}]}))
    field.await_visitors({STRANGER})


def test_peers_of_a_rule_and_policies_of_a_pod_add_up(field: Playground) -> None:
    field.enforce(
        "one", _ingress({"from": [_tier(NEAR), {**ABROAD_NAMESPACES, **_tier(STRANGER)}]})
    )
    field.await_visitors({NEAR, STRANGER})
    field.enforce("two", _ingress({"from": [_tier(ACROSS)]}))
    field.await_visitors({NEAR, ACROSS, STRANGER})


def test_an_ip_block_lets_its_addresses_in_except_its_exceptions(field: Playground) -> None:
    exceptions = [f"{field.addresses[name]}/32" for name in (NEAR, STRANGER)]
    everywhere_else = {"ipBlock": {"cidr": "0.0.0.0/0", "except": exceptions}}
    field.enforce("allow", _ingress({"from": [everywhere_else]}))
    field.await_visitors({ACROSS, NEIGHBOUR})


def test_an_ip_block_lets_out_to_its_addresses_except_its_exceptions(field: Playground) -> None:
    exceptions = [f"{field.addresses[name]}/32" for name in (NEAR, STRANGER)]
    everywhere_else = {"ipBlock": {"cidr": "0.0.0.0/0", "except": exceptions}}
    field.enforce("allow", _egress({"to": [everywhere_else]}))
    field.await_visited({ACROSS, NEIGHBOUR})


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        ({"port": SIDE_PORT}, {SIDE_PORT}),
        ({"port": MAIN_PORT - 10, "endPort": MAIN_PORT}, {MAIN_PORT}),
        ({"port": PORT_NAME}, {MAIN_PORT}),
        ({"port": MAIN_PORT, "protocol": "UDP"}, set[int]()),
    ],
    ids=["number", "range", "name", "other-protocol"],
)
def test_a_rule_for_a_port_opens_that_port_alone(
    field: Playground, port: Spec, expected: set[int]
) -> None:
    field.enforce("port", _ingress({"ports": [port]}))
    for source in (NEAR, STRANGER):
        field.await_ports(source, SERVER, expected)
    field.lift("port")
    field.enforce("port-out", _egress({"ports": [port]}))
    for target in (NEAR, STRANGER):
        field.await_ports(SERVER, target, expected)


@pytest.mark.parametrize("name", [NEAR, ACROSS])
def test_egress_is_allowed_by_label(field: Playground, name: str) -> None:
    field.enforce("allow", _egress({"to": [_tier(name)]}))
    field.await_visited({name})


def test_egress_is_allowed_by_the_label_of_the_namespace(field: Playground) -> None:
    field.enforce("allow", _egress({"to": [ABROAD_NAMESPACES]}))
    field.await_visited({NEIGHBOUR, STRANGER})


def test_sender_and_receiver_must_both_allow_a_connection(field: Playground) -> None:
    field.enforce("into-server", _ingress({"from": [_tier(NEAR, ACROSS)]}))
    field.enforce("out-of-across", _egress(pods_of=_tier(ACROSS)))
    field.await_visitors({NEAR})


def test_a_policy_that_is_changed_or_removed_holds_for_pods_that_live(field: Playground) -> None:
    field.enforce("allow", _ingress({"from": [_tier(NEAR)]}))
    field.await_visitors({NEAR})
    field.enforce("allow", _ingress({"from": [_tier(ACROSS)]}))
    field.await_visitors({ACROSS})
    field.enforce("allow", _ingress())
    field.await_visitors(set())
    field.lift("allow")
    field.await_visitors(CLIENTS)


def test_a_label_that_is_changed_moves_a_pod_between_policies(field: Playground) -> None:
    field.enforce("allow", _ingress({"from": [_tier(NEAR)]}))
    field.await_visitors({NEAR})
    try:
        _label(field, ACROSS, TIERS[NEAR])
        field.await_visitors({NEAR, ACROSS})
    finally:
        _label(field, ACROSS, TIERS[ACROSS])
    field.await_visitors({NEAR})


def test_a_service_is_no_way_round_the_policies_of_its_pods(field: Playground) -> None:
    service = {
        "metadata": {"name": SERVER},
        "spec": {
            "selector": {"tier": TIERS[SERVER]},
            "ports": [{"port": 80, "targetPort": MAIN_PORT}],
        },
    }
    address = field.kube.core.create_namespaced_service(field.home, service).spec.cluster_ip

    def await_customers(expected: set[str]) -> None:
        def comes_true() -> bool | NotYet:
            found = field.visitors_at(address, 80, CLIENTS)
            return found == expected or NotYet(found)

        until(comes_true, 30, f"{sorted(expected)} alone to reach the Service")

    await_customers(CLIENTS)
    # The port of the pod and not of the Service is what policies are about.
    field.enforce("allow", _ingress({"from": [_tier(NEAR)], "ports": [{"port": MAIN_PORT}]}))
    await_customers({NEAR})
    field.kube.core.delete_namespaced_service(SERVER, field.home)


def test_kubelet_probes_a_pod_that_lets_nobody_in_or_out(
    field: Playground, tools_image: str
) -> None:
    field.enforce("deny", {**ALL_PODS, "policyTypes": ["Ingress", "Egress"]})
    field.await_visitors(set())
    pod = _pod(field, "probed", ["python3", "-c", SERVE], field.nodes[0], tools_image)
    pod["spec"]["containers"][0]["readinessProbe"] = {
        "tcpSocket": {"port": MAIN_PORT},
        "periodSeconds": 1,
    }
    pods.create(field.kube, pod)
    pods.running(field.kube, field.home, "probed")
    field.kube.core.delete_namespaced_pod("probed", field.home, grace_period_seconds=0)


def test_a_new_pod_is_walled_in_from_its_first_moment(field: Playground, tools_image: str) -> None:
    field.enforce("deny", _egress(pods_of=ALL_PODS))
    field.await_visited(set())
    command = ["python3", "-c", BREAK_OUT, field.addresses[STRANGER], str(MAIN_PORT)]
    names = [f"prisoner-{number}" for number in range(len(field.nodes))]
    for name, node in zip(names, field.nodes, strict=True):
        pods.create(field.kube, _pod(field, name, command, node, tools_image))
    for name in names:
        phase = pods.finished(field.kube, field.home, name)
        logs = field.kube.core.read_namespaced_pod_log(name, field.home)
        assert phase == "Succeeded", logs


def _label(field: Playground, pod: str, tier: str) -> None:
    field.kube.core.patch_namespaced_pod(
        pod, field.namespace_of(pod), {"metadata": {"labels": {"tier": tier}}}
    )
