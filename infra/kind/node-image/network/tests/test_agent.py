"""The agent's loop, with fakes of `nft` and `ip`."""

import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import HTTPError

import pytest
from network_objects import Json, number, raw_namespace, raw_pod, raw_policy

from bulkhead_network import agent as agent_module, cni, routes
from bulkhead_network.agent import Agent, Settings
from bulkhead_network.cluster import Cluster
from bulkhead_network.host import Host, HostError
from bulkhead_network.model import node_from
from bulkhead_network.readiness import ReadyServer


def raw_node(name: str, cidr: str | None, ip: str) -> Json:
    return {
        "metadata": {"name": name},
        "spec": {"podCIDR": cidr, "podCIDRs": [cidr]} if cidr else {},
        "status": {
            "addresses": [
                {"type": "Hostname", "address": name},
                {"type": "InternalIP", "address": "fd00::1"},
                {"type": "InternalIP", "address": ip},
            ]
        },
    }


HERE = raw_node("here", "10.244.1.0/24", "10.89.0.3")
THERE = raw_node("there", "10.244.0.0/24", "10.89.0.2")


class FakeHost(Host):
    """Records what would be done to the node."""

    def __init__(self) -> None:
        self.transactions: list[str] = []
        self.routes: dict[str, str] = {}
        self.is_broken = False
        self.changed = threading.Condition()

    def apply_ruleset(self, transaction: str) -> None:
        with self.changed:
            self.changed.notify_all()
            if self.is_broken:
                raise HostError("nft -f -: out of order")
            self.transactions.append(transaction)

    def ip(self, *arguments: str) -> None:
        _, verb, cidr, *rest = arguments
        if verb == "replace":
            self.routes[cidr] = rest[1]
        else:
            del self.routes[cidr]

    def ip_json(self, *arguments: str) -> list[Json]:
        if arguments[:3] == ("route", "show", "default"):
            return [{"dst": "default", "dev": "eth0"}]
        if arguments[0] == "link":
            return [{"ifname": arguments[-1], "mtu": 1400}]
        return [{"dst": cidr, "gateway": gateway} for cidr, gateway in self.routes.items()]

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, 10), what


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    monkeypatch.setattr(agent_module, "RETRY_SECONDS", 0.02)
    return FakeHost()


@pytest.fixture
def cluster() -> Cluster:
    return Cluster("here")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    for name in ("config", "plugins"):
        (tmp_path / name).mkdir()
    return Settings(
        node="here",
        cluster_cidr="10.244.0.0/16",
        socket=tmp_path / "agent.sock",
        cni_config_folder=tmp_path / "config",
        cni_plugin_folder=tmp_path / "plugins",
    )


@pytest.fixture
def agent(host: FakeHost, cluster: Cluster, settings: Settings) -> Agent:
    started = Agent(settings, cluster, host)
    threading.Thread(target=started.run, daemon=True).start()
    return started


def fill(cluster: Cluster) -> None:
    cluster.nodes.replace([HERE, THERE])
    cluster.namespaces.replace([raw_namespace("team-a")])
    cluster.pods.replace([raw_pod("team-a/web", "10.244.1.2")])
    cluster.policies.replace([])


def await_walls(cluster: Cluster) -> None:
    """A pod that is announced waits for the walls: so does this."""
    assert cluster.announce("uid-web", number("10.244.1.2"), 10)


def until_ready(agent: Agent) -> None:
    ends = time.monotonic() + 10
    while agent.problem():
        assert time.monotonic() < ends, agent.problem()
        time.sleep(0.01)


def test_the_node_is_ready_for_pods_only_after_its_rules_are_in_force(
    agent: Agent, cluster: Cluster, host: FakeHost, settings: Settings
) -> None:
    host.is_broken = True
    fill(cluster)
    host.wait_for(lambda: "out of order" in (agent.problem() or ""), "the problem is reported")
    assert not list(settings.cni_config_folder.iterdir())
    host.is_broken = False
    await_walls(cluster)
    until_ready(agent)
    config = (settings.cni_config_folder / cni.CONFIG_FILE).read_text()
    assert '"subnet": "10.244.1.0/24"' in config
    assert '"mtu": 1400' in config
    plugin = settings.cni_plugin_folder / cni.PLUGIN
    assert plugin.stat().st_mode & 0o777 == 0o755
    assert sorted(file.name for file in settings.cni_config_folder.iterdir()) == [cni.CONFIG_FILE]


def test_a_change_is_one_transaction_and_no_change_is_none(
    agent: Agent, cluster: Cluster, host: FakeHost
) -> None:
    fill(cluster)
    await_walls(cluster)
    before = len(host.transactions)
    for n in range(3, 100):
        cluster.pods.put(raw_pod(f"team-a/p{n}", f"10.244.1.{n}"))
    cluster.policies.put(raw_policy("team-a/deny", {"podSelector": {}}))
    host.wait_for(lambda: len(host.transactions) > before, "the policy is taken over")
    assert cluster.announce("uid-p99", number("10.244.1.99"), 10)
    assert "10.244.1.99" in host.transactions[-1]
    # The burst above is a hundred changes; a slow machine may see it in more than one piece.
    assert len(host.transactions) - before < 10
    settled = len(host.transactions)
    cluster.announce("uid-p99", number("10.244.1.99"), 10)
    await_walls(cluster)
    assert len(host.transactions) == settled
    assert agent.problem() is None


def test_rules_that_were_refused_are_tried_again(
    agent: Agent, cluster: Cluster, host: FakeHost
) -> None:
    fill(cluster)
    await_walls(cluster)
    host.is_broken = True
    cluster.policies.put(raw_policy("team-a/deny", {"podSelector": {}}))
    host.wait_for(agent.problem, "the problem is reported")
    host.is_broken = False
    host.wait_for(
        lambda: "ingress/team-a/deny" in host.transactions[-1], "the policy is taken over"
    )


def test_a_node_without_a_pod_range_says_so(agent: Agent, cluster: Cluster, host: FakeHost) -> None:
    fill(cluster)
    cluster.nodes.replace([raw_node("here", None, "10.89.0.3")])
    with host.changed:
        host.changed.wait_for(lambda: "node here has no" in (agent.problem() or ""), 0.5)
    assert "node here has no IPv4 pod range" in (agent.problem() or "")


def test_routes_follow_the_nodes(host: FakeHost) -> None:
    routes.sync_routes(host, routes.wanted_routes("here", map(node_from, (HERE, THERE))))
    assert host.routes == {"10.244.0.0/24": "10.89.0.2"}
    moved = raw_node("there", "10.244.0.0/24", "10.89.0.9")
    new = raw_node("new", "10.244.7.0/24", "10.89.0.7")
    routes.sync_routes(host, routes.wanted_routes("here", map(node_from, (HERE, moved, new))))
    assert host.routes == {"10.244.0.0/24": "10.89.0.9", "10.244.7.0/24": "10.89.0.7"}
    routes.sync_routes(host, routes.wanted_routes("here", map(node_from, (HERE, new))))
    assert host.routes == {"10.244.7.0/24": "10.89.0.7"}


@pytest.fixture
def problems() -> Iterator[tuple[list[str | None], str]]:
    reported: list[str | None] = ["not listed yet"]
    server = ReadyServer(lambda: reported[-1], ("127.0.0.1", 0))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield reported, f"http://127.0.0.1:{server.server_port}/readyz"
    server.shutdown()
    server.server_close()


def test_readyz_reports_the_problem_and_then_that_there_is_none(
    problems: tuple[list[str | None], str],
) -> None:
    reported, url = problems
    with pytest.raises(HTTPError, match="503") as refusal:
        urllib.request.urlopen(url)
    assert refusal.value.read() == b"not listed yet\n"
    reported.append(None)
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"ok\n"
