"""What the kubelet asks: is the first workspace there, and does every thread still move.

An API server that is away is no ill health: a restart would not bring it back, and the workspace
on disk is still the best one. What a restart heals is a thread that died or hangs. So `/healthz`
looks at nothing but the threads: each beats whenever it tries something, with or without success,
and everything that it waits for has a time limit.
"""

import json
import logging
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

_log = logging.getLogger(__name__)

_ALL_INTERFACES: Final = "0.0.0.0"  # noqa: S104 - the kubelet asks on the pod's address


class Pulse:
    """The sign of life of one thread."""

    def __init__(self, name: str, *, seconds: float) -> None:
        """Start counting.

        Args:
            name: Shown to whoever reads `/healthz`.
            seconds: The longest time that the thread may go without a beat.
        """
        self.name = name
        self._seconds = seconds
        self._last = time.monotonic()
        self._died: str | None = None
        self._retired = False

    def beat(self) -> None:
        """Say that the thread moves."""
        self._last = time.monotonic()

    def retire(self) -> None:
        """The thread is not needed any more; its end is in order."""
        self._retired = True

    def guard(self, run: Callable[[], None]) -> Callable[[], None]:
        """Wrap a thread's function so that its end, by an error or not, is known."""

        def guarded() -> None:
            try:
                run()
                self._died = "ended"
            except Exception as error:  # noqa: BLE001 - shown by /healthz
                _log.exception("thread died: %s", self.name)
                self._died = f"died of {error!r}"

        return guarded

    @property
    def illness(self) -> str | None:
        """What is wrong; None where nothing is."""
        if self._retired:
            return None
        if self._died is not None:
            return f"{self.name}: {self._died}"
        silent = time.monotonic() - self._last
        if silent > self._seconds:
            return f"{self.name}: hangs since {silent:.0f} s (limit {self._seconds:.0f} s)"
        return None


class HealthServer:
    """Answers `/readyz` and `/healthz` with JSON: 200 for yes, 503 for no."""

    def __init__(
        self,
        port: int,
        *,
        readiness: Callable[[], tuple[bool, dict[str, Any]]],
        health: Callable[[], tuple[bool, dict[str, Any]]],
    ) -> None:
        """Bind the port; 0 takes a free one.

        Raises:
            OSError: The port is taken.
        """
        answers = {"/readyz": readiness, "/healthz": health}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer = answers.get(self.path.partition("?")[0])
                if answer is None:
                    self.send_error(HTTPStatus.NOT_FOUND, "there are /readyz and /healthz")
                    return
                good, details = answer()
                body = json.dumps(details, indent=2).encode() + b"\n"
                self.send_response(HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - inherited
                """Say nothing of the kubelet's questions every few seconds."""

        self._server = ThreadingHTTPServer((_ALL_INTERFACES, port), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]

    def start(self) -> None:
        """Begin to answer; returns at once."""
        threading.Thread(target=self._server.serve_forever, name="health", daemon=True).start()

    def stop(self) -> None:
        """Free the port."""
        self._server.shutdown()
        self._server.server_close()
