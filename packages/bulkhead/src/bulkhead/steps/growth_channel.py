"""How a running step requests more memory from its run.

A step's pod has no Kubernetes token, so it cannot change its own limit. It sends an HTTP request to
the run's pod, with a secret for this one attempt at this one step. The secret only allows to
request memory for that step, up to its `max_memory`. If no run pod answers, for example because
another pod has resumed the run, the step keeps its limit.

Both ends use only the standard library: the step's end is loaded before anything else.
"""

import hashlib
import hmac
import http.client
import json
import os
import secrets
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

ADDRESS_ENV: Final = "BULKHEAD_GROWTH_ADDRESS"
"""Host and port of the run's pod."""

STEP_ENV: Final = "BULKHEAD_GROWTH_STEP"
"""Name of the step's Job: which step and which attempt."""

SECRET_ENV: Final = "BULKHEAD_GROWTH_SECRET"  # noqa: S105 - a variable's name

_SECONDS: Final = 8.0
_LONGEST_REQUEST: Final = 1024

Grow = Callable[[str], int | None]
"""Raises the memory of the step with this Job; returns its new limit in bytes, or None."""


class GrowthChannel:
    """The run's end of the channel."""

    def __init__(self, grow: Grow) -> None:
        """Prepare the channel; `start` opens it.

        Args:
            grow: called for each request with a valid secret, in a thread of its own.
        """
        self._key = secrets.token_bytes(32)
        self._grow = grow
        self._server: ThreadingHTTPServer | None = None

    @property
    def is_open(self) -> bool:
        """Whether the channel listens for requests."""
        return self._server is not None

    def start(self, host: str) -> None:
        """Listen on a free port of this pod's address, in threads that end with the process."""
        server = _server_class(host)((host, 0), _handler(self._answer))
        self._server = server
        threading.Thread(target=server.serve_forever, name="growth", daemon=True).start()

    def environment(self, job_name: str) -> list[dict[str, str]]:
        """Return the variables by which a step's pod finds the channel; none while it is closed."""
        if self._server is None:
            return []
        host, port = self._server.server_address[:2]
        shown = f"[{host}]" if ":" in str(host) else host
        return [
            {"name": ADDRESS_ENV, "value": f"{shown}:{port}"},
            {"name": STEP_ENV, "value": job_name},
            {"name": SECRET_ENV, "value": self._secret(job_name)},
        ]

    def _secret(self, job_name: str) -> str:
        return hmac.new(self._key, job_name.encode(), hashlib.sha256).hexdigest()

    def _answer(self, job_name: str, secret: str) -> tuple[HTTPStatus, int | None]:
        if not hmac.compare_digest(secret.encode(), self._secret(job_name).encode()):
            return HTTPStatus.FORBIDDEN, None
        return HTTPStatus.OK, self._grow(job_name)


def _server_class(host: str) -> type[ThreadingHTTPServer]:
    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        daemon_threads = True

    return Server


def _handler(
    answer: Callable[[str, str], tuple[HTTPStatus, int | None]],
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _SECONDS

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length") or ""
            known = int(length) if length.isdecimal() else 0
            job_name = self.rfile.read(min(known, _LONGEST_REQUEST)).decode(errors="replace")
            status, limit = answer(job_name, self.headers.get("Authorization") or "")
            body = json.dumps({"limit": limit}).encode()
            with suppress(ConnectionError):  # the step has ended since its request
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Write no access log: the result of a request is an event of the run."""

    return Handler


def request_memory() -> int | None:
    """Request more memory for this step from its run. Called in the step's pod.

    Returns:
        The limit after the request, in bytes; None where it cannot grow, or no run pod answers.
    """
    try:
        connection = http.client.HTTPConnection(os.environ[ADDRESS_ENV], timeout=_SECONDS)
        headers = {"Authorization": os.environ[SECRET_ENV]}
        connection.request("POST", "/", os.environ[STEP_ENV], headers)
        response = connection.getresponse()
        answer = json.loads(response.read())
        connection.close()
    except (OSError, http.client.HTTPException, ValueError):
        return None
    return answer["limit"] if response.status == HTTPStatus.OK else None


def is_available() -> bool:
    """Return whether this pod has the address of its run."""
    return ADDRESS_ENV in os.environ
