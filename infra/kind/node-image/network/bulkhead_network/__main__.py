"""Start the network agent of a node: `python3 -m bulkhead_network`.

Reads from its environment:

- NODE_NAME: the node it runs on;
- POD_SUBNET: the range of all pods of the cluster, for example 10.244.0.0/16;
- CONTROL_PLANE_ENDPOINT: host:port of the API server, which kind adds to the DaemonSet of its
  CNI manifest; without it the `kubernetes` Service is used, which works once kube-proxy does.
"""

import logging
import os
import ssl
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from bulkhead_network import addresses
from bulkhead_network.agent import Agent, Settings
from bulkhead_network.announcements import AnnouncementServer
from bulkhead_network.api import ApiServer, Follower
from bulkhead_network.cluster import Cluster
from bulkhead_network.host import Host
from bulkhead_network.readiness import ReadyServer

log = logging.getLogger("bulkhead_network")

CREDENTIALS = Path("/var/run/secrets/kubernetes.io/serviceaccount")
SOCKET = Path("/run/bulkhead-network/agent.sock")
CNI_CONFIG_FOLDER = Path("/etc/cni/net.d")
CNI_PLUGIN_FOLDER = Path("/usr/lib/cni")


def main() -> None:
    """Run until killed. The rules stay in force afterwards."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    settings = _settings()
    cluster = Cluster(settings.node)
    agent = Agent(settings, cluster, Host())
    server = _api_server()
    log.info("node %s, API server %s:%d", settings.node, server.host, server.port)
    for path, collection in (
        ("/api/v1/nodes", cluster.nodes),
        ("/api/v1/namespaces", cluster.namespaces),
        ("/api/v1/pods", cluster.pods),
        ("/apis/networking.k8s.io/v1/networkpolicies", cluster.policies),
    ):
        _start(path, Follower(server, path, collection).run)
    _start("readyz", ReadyServer(agent.problem).serve_forever)
    _start("announcements", AnnouncementServer(settings.socket, cluster).serve_forever)
    agent.run()


def _settings() -> Settings:
    pod_subnet = _environment("POD_SUBNET")
    try:
        is_ipv4 = addresses.block(pod_subnet) is not None
    except ValueError:
        is_ipv4 = False
    if not is_ipv4:
        sys.exit(f"POD_SUBNET is {pod_subnet!r}: expected one IPv4 range such as 10.244.0.0/16")
    return Settings(
        node=_environment("NODE_NAME"),
        cluster_cidr=pod_subnet,
        socket=SOCKET,
        cni_config_folder=CNI_CONFIG_FOLDER,
        cni_plugin_folder=CNI_PLUGIN_FOLDER,
    )


def _api_server() -> ApiServer:
    endpoint = os.environ.get("CONTROL_PLANE_ENDPOINT")
    if not endpoint:
        endpoint = ":".join(
            map(_environment, ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"))
        )
    host, _, port = endpoint.rpartition(":")
    return ApiServer(
        host=host.strip("[]"),
        port=int(port),
        tls=ssl.create_default_context(cafile=str(CREDENTIALS / "ca.crt")),
        token_file=CREDENTIALS / "token",
    )


def _environment(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        sys.exit(f"{name} is not set in the environment: see daemonset.yaml")
    return value


def _start(name: str, run: Callable[[], None]) -> None:
    def run_or_die() -> None:
        try:
            run()
        except BaseException:
            # An agent that lives on half dead would look healthy and enforce old policies.
            log.exception("%s: unexpected error, the agent ends", name)
            os._exit(1)

    threading.Thread(target=run_or_die, name=name, daemon=True).start()


if __name__ == "__main__":
    main()
