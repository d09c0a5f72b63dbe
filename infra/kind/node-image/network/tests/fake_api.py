"""A small API server for one collection, over real HTTP, with errors on demand."""

import json
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

Json = dict[str, Any]

# Instead of an event: end the watch properly, or cut the connection in the middle of a line.
END, CUT = "end", "cut"


class FakeApi(ThreadingHTTPServer):
    """Lists `objects` at `version`, then sends the contents of `events` to watching clients."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int = 0) -> None:
        """Start serving at this port, or a free one."""
        super().__init__(("127.0.0.1", port), _Handler)
        self.objects: list[Json] = []
        self.version = 1
        self.page_size = 500
        self.refusals: list[int] = []
        self.events: queue.Queue[Json | str] = queue.Queue()
        self.lists = 0
        self.watched_from: list[str] = []
        self.connections = 0
        self.tokens: list[str | None] = []
        self.changed = threading.Condition()
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def get_request(self) -> Any:
        """Count connections."""
        self.connections += 1
        return super().get_request()

    def send(self, kind: str, obj: Json, version: int | None = None) -> None:
        """Send a watch event; `version` defaults to the next one."""
        self.version = version if version is not None else self.version + 1
        metadata = {**obj["metadata"], "resourceVersion": str(self.version)}
        self.events.put({"type": kind, "object": {**obj, "metadata": metadata}})

    def send_gone(self) -> None:
        """Say in a running watch that its version is too old."""
        status = {"kind": "Status", "code": 410, "message": "too old resource version"}
        self.events.put({"type": "ERROR", "object": status})

    def wait_for_watches(self, count: int) -> None:
        """Wait until a client has watched this often."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.watched_from) >= count, 10), (
                f"{len(self.watched_from)} watches, expected {count}"
            )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        api = cast("FakeApi", self.server)
        api.tokens.append(self.headers["Authorization"])
        query = {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()}
        if api.refusals:
            self._send(json.dumps({"kind": "Status"}), api.refusals.pop(0))
        elif query.get("watch"):
            self._watch(api, query["resourceVersion"])
        else:
            self._list(api, int(query.get("continue", 0)))

    def _list(self, api: FakeApi, start: int) -> None:
        end = start + api.page_size
        metadata = {"resourceVersion": str(api.version)}
        if end < len(api.objects):
            metadata["continue"] = str(end)
        api.lists += start == 0
        self._send(json.dumps({"metadata": metadata, "items": api.objects[start:end]}))

    def _watch(self, api: FakeApi, version: str) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with api.changed:
            api.watched_from.append(version)
            api.changed.notify_all()
        while True:
            event = api.events.get()
            if event == END:
                self.wfile.write(b"0\r\n\r\n")
                return
            if event == CUT:
                self.wfile.write(b'40\r\n{"type": "ADDED", "obj')
                self.close_connection = True
                return
            line = json.dumps(event).encode() + b"\n"
            self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")

    def _send(self, text: str, status: int = 200) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - name of the base
        """Stay silent."""
