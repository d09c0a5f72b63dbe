"""HTTP servers whose answers, nearly all of them JSON, a test gives itself."""

import contextlib
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import yaml

Answer = Callable[[str, dict[str, str]], tuple[int, Any]]
"""Takes the path and the query of what is read; returns status and JSON."""


class JsonHandler(BaseHTTPRequestHandler):
    """Answers, to be made with `answer` and `raw`; keeps quiet, also when the asker is gone."""

    protocol_version = "HTTP/1.1"

    def asked(self) -> tuple[str, dict[str, str]]:
        """Path and query of what is read."""
        url = urlsplit(self.path)
        return url.path, dict(parse_qsl(url.query))

    def body(self) -> Any:
        """What was sent."""
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, body: Any, status: int = 200) -> None:
        self.raw(json.dumps(body).encode(), status)

    def raw(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def handle(self) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            super().handle()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256


def serve(handler: type[JsonHandler], port: int = 0) -> ThreadingHTTPServer:
    """Serve on loopback, on a free port or this one, until the server is shut down."""
    server = _Server(("127.0.0.1", port), handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server


def ask(port: int, path: str) -> tuple[int, Any]:
    """Return status and JSON of what a server on loopback answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@contextlib.contextmanager
def kubeconfig_to(answer: Answer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Serve the answers and let KUBECONFIG name the server."""

    class Handler(JsonHandler):
        def do_GET(self) -> None:
            status, answered = answer(*self.asked())
            self.answer(answered, status)

    server = serve(Handler)
    file = folder / "kubeconfig"
    file.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [
                    {
                        "name": "test",
                        "cluster": {"server": f"http://127.0.0.1:{server.server_address[1]}"},
                    }
                ],
                "users": [{"name": "test", "user": {"token": "test"}}],
                "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
                "current-context": "test",
            }
        )
    )
    monkeypatch.setenv("KUBECONFIG", str(file))
    try:
        yield file
    finally:
        server.shutdown()
        server.server_close()
