"""The readiness probe of the agent: is the network of this node up to date?

`GET http://127.0.0.1:10271/readyz` answers 200 once walls are in force and the latest change was
taken over, and 503 with the reason otherwise.
"""

from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast

ADDRESS = ("127.0.0.1", 10271)


class ReadyServer(ThreadingHTTPServer):
    """Serves the readiness of the agent."""

    daemon_threads = True

    def __init__(
        self, problem: Callable[[], str | None], address: tuple[str, int] = ADDRESS
    ) -> None:
        """Listen; `problem` gives the reason why the agent is not ready, or None.

        Raises:
            OSError: the port is taken, most likely by another agent.
        """
        self.problem = problem
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path != "/readyz":
            self._answer(HTTPStatus.NOT_FOUND, f"{self.path}: only /readyz is here")
            return
        problem = cast("ReadyServer", self.server).problem()
        if problem is None:
            self._answer(HTTPStatus.OK, "ok")
        else:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, problem)

    def _answer(self, status: HTTPStatus, text: str) -> None:
        body = f"{text}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - name of the base
        """Log nothing: kubelet probes every few seconds."""
