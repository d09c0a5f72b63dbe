"""The loop that turns each change of the cluster into rules, routes and CNI configuration."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bulkhead_network import cni
from bulkhead_network.cluster import Cluster, Snapshot
from bulkhead_network.host import Host, HostError
from bulkhead_network.policy import resolve_walls
from bulkhead_network.routes import sync_routes, wanted_routes
from bulkhead_network.ruleset import render_masquerade, render_walls

if TYPE_CHECKING:
    from bulkhead_network.model import Node

log = logging.getLogger(__name__)

# Changes come in bursts: a Deployment that scales is dozens of them. Those that come this long
# after the first are taken together, and at least twice as long as it took the last time, so
# that an agent with much to do still leaves two thirds of a processor to others.
SETTLE_SECONDS = 0.025
SETTLE_PER_WORK = 2.0

# All rules and routes are restored this often even if nothing changed, in case another program
# flushed the rules or removed a route.
REPAIR_SECONDS = 60.0
RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Settings:
    """Where an agent works."""

    node: str
    cluster_cidr: str
    socket: Path
    cni_config_folder: Path
    cni_plugin_folder: Path


class Agent:
    """Keeps one node's network as the cluster wants it."""

    def __init__(self, settings: Settings, cluster: Cluster, host: Host) -> None:
        """Prepare; nothing on the node is touched before `run`."""
        self._settings = settings
        self._cluster = cluster
        self._host = host
        self._applied = ""
        self._wired: tuple[Node, ...] = ()
        self._problem: str | None = "nodes, namespaces, pods and policies have not been listed yet"

    def problem(self) -> str | None:
        """Return why the node's network is not as the cluster wants it, or None if it is."""
        return self._problem

    def run(self) -> None:
        """Work without end. Errors are logged and the work is retried; rules stay in force."""
        work_seconds = 0.0
        wait_seconds = REPAIR_SECONDS
        while True:
            is_changed = self._cluster.wait_for_change(wait_seconds)
            if is_changed:
                time.sleep(max(SETTLE_SECONDS, SETTLE_PER_WORK * work_seconds))
            started = time.monotonic()
            try:
                self._problem = self._work(repair=not is_changed)
            except (HostError, OSError, LookupError, ValueError) as error:
                self._problem = f"{type(error).__name__}: {error}"
                log.warning("retrying in %.0f s: %s", RETRY_SECONDS, self._problem)
            work_seconds = time.monotonic() - started
            wait_seconds = RETRY_SECONDS if self._problem else REPAIR_SECONDS

    def _work(self, *, repair: bool) -> str | None:
        snapshot = self._cluster.snapshot()
        if snapshot is None:
            return self._problem
        own = next((node for node in snapshot.nodes if node.name == self._settings.node), None)
        if own is None or own.pod_cidr is None:
            return f"node {self._settings.node} has no IPv4 pod range in its spec.podCIDRs yet"
        self._apply_rules(own.pod_cidr, snapshot, repair=repair)
        self._cluster.set_in_force(snapshot)
        if repair or snapshot.nodes != self._wired:
            sync_routes(self._host, wanted_routes(self._settings.node, snapshot.nodes))
            self._install_cni(own.pod_cidr)
            self._wired = snapshot.nodes
        return None

    def _apply_rules(self, pod_cidr: str, snapshot: Snapshot, *, repair: bool) -> None:
        walls = resolve_walls(
            self._settings.node, snapshot.pods, snapshot.namespaces, snapshot.policies
        )
        cluster_cidr = self._settings.cluster_cidr
        rules = render_walls(walls) + render_masquerade(pod_cidr, cluster_cidr)
        if rules == self._applied and not repair:
            return
        started = time.monotonic()
        self._host.apply_ruleset(rules)
        if rules != self._applied:
            log.info(
                "rules applied in %.0f ms: %d pods isolated for ingress, %d for egress",
                1000 * (time.monotonic() - started),
                len(walls.ingress.isolated),
                len(walls.egress.isolated),
            )
        self._applied = rules

    def _install_cni(self, pod_cidr: str) -> None:
        settings = self._settings
        config = cni.render_config(pod_cidr, cni.default_mtu(self._host), settings.socket)
        if cni.install(config, settings.cni_config_folder, settings.cni_plugin_folder):
            log.info("CNI configuration written: pods of this node live in %s", pod_cidr)
