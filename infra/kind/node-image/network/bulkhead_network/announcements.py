"""Answers the CNI plugin's request for a new pod, once the pod's walls are in force.

The plugin sends a line with CNI_ARGS and then its configuration, and closes its side. The answer is
a line, `ok` or `error`, and then the plugin's output: the result of the plugins before it, or an
error in CNI's format.
"""

import json
import socketserver
from pathlib import Path
from typing import cast

from bulkhead_network import addresses
from bulkhead_network.cluster import Cluster

# Long enough for the pod to arrive by the agent's own watch while the API server is slow.
TIMEOUT_SECONDS = 10.0

# Of the CNI specification: 7 is an invalid configuration, after 11 the runtime retries later.
INVALID, TRY_AGAIN = 7, 11


class AnnouncementServer(socketserver.ThreadingUnixStreamServer):
    """Receives announcements of new pods, on a Unix socket for root only."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, path: Path, cluster: Cluster) -> None:
        """Listen at `path`, in the place of an agent that ended before.

        Raises:
            OSError: the socket could not be made.
        """
        self.cluster = cluster
        path.unlink(missing_ok=True)
        super().__init__(str(path), _Handler)
        path.chmod(0o600)


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        request = self.rfile.read().decode(errors="replace")
        answer = answer_announcement(request, cast("AnnouncementServer", self.server).cluster)
        self.wfile.write(answer.encode())


def answer_announcement(request: str, cluster: Cluster, timeout: float = TIMEOUT_SECONDS) -> str:
    """Wait up to `timeout` seconds for the walls of the announced pod; return the answer."""
    cni_args, _, config = request.partition("\n")
    try:
        uid = dict(entry.split("=", 1) for entry in cni_args.split(";"))["K8S_POD_UID"]
        result = json.loads(config)["prevResult"]
        listed = (addresses.address(ip["address"].split("/")[0]) for ip in result["ips"])
        address = next(number for number in listed if number is not None)
    except (KeyError, ValueError, StopIteration) as error:
        reason = (
            f"{type(error).__name__} {error} in CNI_ARGS {cni_args!r} and configuration {config}"
        )
        return _error(INVALID, "no pod with an IPv4 address was announced", reason)
    if cluster.announce(uid, address, timeout):
        return f"ok\n{json.dumps(result)}\n"
    return _error(
        TRY_AGAIN,
        "the network policies of the pod are not in force",
        f"pod {uid} at {addresses.show_address(address)}, after {timeout:g} s: "
        "see the log of the bulkhead-network pod of this node",
    )


def _error(code: int, message: str, details: str) -> str:
    error = {"cniVersion": "1.0.0", "code": code, "msg": message, "details": details}
    return f"error\n{json.dumps(error)}\n"
