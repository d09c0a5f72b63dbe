"""The HTTP server that the kubelet's probes use."""

import json
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

_ALL_INTERFACES: Final = "0.0.0.0"  # noqa: S104 - the kubelet connects to the pod's address

Probe = Callable[[], tuple[bool, Mapping[str, Any]]]
"""Returns whether the answer is yes, and details for people."""


class HealthServer:
    """Answers `/readyz` and `/healthz` with JSON: status 200 for yes, 503 for no."""

    def __init__(self, port: int, *, readiness: Probe, health: Probe) -> None:
        """Bind the port; 0 takes a free one.

        Raises:
            OSError: The port is in use.
        """
        probes = {"/readyz": readiness, "/healthz": health}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                probe = probes.get(self.path.partition("?")[0])
                if probe is None:
                    self.send_error(HTTPStatus.NOT_FOUND, "Use /readyz or /healthz.")
                    return
                good, details = probe()
                body = json.dumps(details, indent=2).encode() + b"\n"
                self.send_response(HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - inherited
                """Log nothing: a probe comes every few seconds."""

        self._server = ThreadingHTTPServer((_ALL_INTERFACES, port), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]

    def start(self) -> None:
        """Start to answer; returns at once."""
        threading.Thread(target=self._server.serve_forever, name="health", daemon=True).start()

    def stop(self) -> None:
        """Stop to answer, and free the port."""
        self._server.shutdown()
        self._server.server_close()
