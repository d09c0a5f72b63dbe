"""What the container runtime reads to give pods of this node their interface and address."""

import json
from pathlib import Path

from bulkhead_network.host import Host

CONFIG_FILE = "10-bulkhead.conflist"
PLUGIN = "bulkhead-announce"
PLUGIN_SOURCE = Path(__file__).with_name(PLUGIN)


def render_config(pod_cidr: str, mtu: int, socket: Path) -> str:
    """Return the configuration for pods of this range.

    `ptp` and not `bridge`: a packet between two pods of a node must pass the node's forward hook,
    where the walls are. `socket` is where the agent receives announcements of new pods.
    """
    ptp = {
        "type": "ptp",
        "ipMasq": False,
        "mtu": mtu,
        "ipam": {
            "type": "host-local",
            # Under /run, so that addresses of pods that a reboot ended are free again.
            "dataDir": "/run/cni-ipam-state",
            "ranges": [[{"subnet": pod_cidr}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    announce = {"type": PLUGIN, "socket": str(socket)}
    config = {"cniVersion": "1.0.0", "name": "bulkhead", "plugins": [ptp, portmap, announce]}
    return json.dumps(config, indent=2) + "\n"


def default_mtu(host: Host) -> int:
    """Return the MTU in bytes of the interface that leads out of the node.

    Raises:
        HostError: `ip` failed.
        LookupError: the node has no default route.
    """
    routes = host.ip_json("route", "show", "default")
    if not routes:
        raise LookupError("the node has no default route, so the MTU of its pods is not known")
    return int(host.ip_json("link", "show", "dev", routes[0]["dev"])[0]["mtu"])


def install(config: str, config_folder: Path, plugin_folder: Path) -> bool:
    """Put the plugin and the configuration in place; say whether anything had to be written.

    The configuration comes last, since kubelet calls the node ready as soon as it is there.

    Raises:
        OSError: a file could not be written.
    """
    written = [
        _write(plugin_folder / PLUGIN, PLUGIN_SOURCE.read_text(), 0o755),
        _write(config_folder / CONFIG_FILE, config, 0o644),
    ]
    return any(written)


def _write(path: Path, text: str, mode: int) -> bool:
    if path.is_file() and path.read_text() == text:
        return False
    # The dot hides the half-written file from the runtime, which reads every *.conflist.
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_text(text)
    unfinished.chmod(mode)
    unfinished.replace(path)
    return True
