"""An API server for pods and events that fails in every way in which a real one can.

It speaks list, watch, get, create and delete over HTTP, so that our client is tried too. What
happens to its objects goes to all watches, unless a test wants otherwise: answers can be replaced,
connections be cut, the whole server be away, versions be forgotten, and every byte of a watch be
written by hand.
"""

import json
import queue
import socket
import threading
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

Object = dict[str, Any]

PODS, EVENTS = "pods", "events"
LIST, WATCH = "list", "watch"
GET, CREATE, DELETE, LOG = "get", "create", "delete", "log"


class Request(NamedTuple):
    """What a client asked for."""

    kind: str
    verb: str
    query: dict[str, str]
    name: str = ""
    body: Any = None

    @property
    def version(self) -> str | None:
        return self.query.get("resourceVersion")


class Answer(NamedTuple):
    """What a request gets instead of what it asked for."""

    status: HTTPStatus
    body: bytes = b'{"kind": "Status", "status": "Failure", "message": "not now"}'


class _Change(NamedTuple):
    version: int
    kind: str
    change: str
    value: Object

    @property
    def line(self) -> bytes:
        return line(self.change, self.value)


# What a watch is to do besides sending bytes.
_END, _CUT = object(), object()


class _Watch(queue.SimpleQueue[Any]):
    def __init__(self, request: Request) -> None:
        super().__init__()
        self.request = request
        self.is_cut = False

    def chunks(self) -> Iterator[bytes]:
        """What is to be sent until the end; the last chunk of all is empty."""
        while (part := self.get()) not in {_END, _CUT}:
            yield part
        self.is_cut = part is _CUT
        if not self.is_cut:
            yield b""


class FakeApi:
    """The server, and what a test can do to it."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answers_410_within_a_watch = False
        self.longest_page = 500
        self._lock = threading.RLock()
        self._version = 100
        self._forgotten = 0
        self._objects: dict[str, dict[str, Object]] = {PODS: {}, EVENTS: {}}
        self._changes: list[_Change] = []
        self._watches: list[_Watch] = []
        self._is_deaf = False
        self._answers: dict[tuple[str, str], deque[Answer]] = defaultdict(deque)
        self._connections: set[socket.socket] = set()
        self._port = 0
        self._server: ThreadingHTTPServer | None = None
        self.come_back()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def version(self) -> int:
        with self._lock:
            return self._version

    # --- What happens in the cluster --------------------------------------------------------------

    def put(self, kind: str, value: Object) -> Object:
        """Make or change an object, and tell the watches; return it with its version."""
        with self._lock:
            uid = value["metadata"]["uid"]
            change = "MODIFIED" if uid in self._objects[kind] else "ADDED"
            value = self._next_version(value)
            self._objects[kind][uid] = value
            self._tell(kind, change, value)
            return value

    def remove(self, kind: str, uid: str) -> Object:
        """Remove an object, and tell the watches; return it as they hear of it."""
        with self._lock:
            value = self._next_version(self._objects[kind].pop(uid))
            self._tell(kind, "DELETED", value)
            return value

    def objects(self, kind: str) -> list[Object]:
        with self._lock:
            return list(self._objects[kind].values())

    # --- What happens to the server ---------------------------------------------------------------

    def answer_next(self, kind: str, verb: str, *answers: Answer) -> None:
        """Give these answers to the next requests of a kind, one each."""
        self._answers[kind, verb].extend(answers)

    def send(self, kind: str, *chunks: bytes) -> None:
        """Write to all watches, each of these in a chunk of its own."""
        with self._lock:
            for watch in self._watches_of(kind):
                for chunk in chunks:
                    watch.put(chunk)

    def end_watches(self, kind: str) -> None:
        """End all watches as the server does when their time is over."""
        self._stop_watches(kind, _END)

    def cut_watches(self, kind: str) -> None:
        """Cut the connections of all watches."""
        self._stop_watches(kind, _CUT)

    def forget(self) -> None:
        """Forget all old versions, as a server does every five minutes."""
        with self._lock:
            self._forgotten = self._version

    @contextmanager
    def deaf_watches(self) -> Iterator[None]:
        """Let what happens not reach the watches that there are."""
        self._is_deaf = True
        yield
        self._is_deaf = False

    @contextmanager
    def away(self) -> Iterator[None]:
        """Be away: no port is open, and every connection that was is cut."""
        self.leave()
        yield
        self.come_back()

    def leave(self) -> None:
        if self._server is None:
            return
        self._server.shutdown()
        self._server.server_close()
        self._server = None
        for kind in self._objects:
            self.cut_watches(kind)
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def come_back(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), _handler(self))
        self._server.daemon_threads = True
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=[0.01], daemon=True).start()

    # --- For the tests' conditions ----------------------------------------------------------------

    def count(self, kind: str, verb: str) -> int:
        with self._lock:
            return len([each for each in self.requests if each[:2] == (kind, verb)])

    def last_request(self, kind: str, verb: str) -> Request:
        with self._lock:
            return [each for each in self.requests if each[:2] == (kind, verb)][-1]

    def is_watched(self, kind: str) -> bool:
        with self._lock:
            return bool(self._watches_of(kind))

    # --- Inside -----------------------------------------------------------------------------------

    def respond(self, request: Request) -> Answer | _Watch:
        with self._lock:
            self.requests.append(request)
            answers = self._answers[request.kind, request.verb]
            if answers:
                return answers.popleft()
            if request.verb == LIST:
                items = [value for value in self.objects(request.kind) if _matches(value, request)]
                start = int(request.query.get("continue", 0))
                end = start + min(self.longest_page, int(request.query["limit"]))
                metadata = {"resourceVersion": str(self._version)}
                if end < len(items):
                    metadata["continue"] = str(end)
                page = {"kind": "List", "metadata": metadata, "items": items[start:end]}
                return Answer(HTTPStatus.OK, json.dumps(page).encode())
            if request.verb == WATCH:
                return self._watch(request)
            return self.respond_for_one(request)

    def respond_for_one(self, request: Request) -> Answer:
        """Answer a request for one object."""
        with self._lock:
            names = {each["metadata"]["name"]: each for each in self.objects(request.kind)}
            found = names.get(request.name)
            if request.verb == CREATE:
                if found:
                    return refusal(HTTPStatus.CONFLICT, "it already exists", "AlreadyExists")
                uid = f"uid-{self._version}"
                created = {"creationTimestamp": f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"}
                metadata = {**request.body["metadata"], "uid": uid, **created}
                return _of_object(self.put(request.kind, {**request.body, "metadata": metadata}))
            if found is None:
                return refusal(HTTPStatus.NOT_FOUND, f'{request.kind} "{request.name}" not found')
            if request.verb == DELETE:
                self.remove(request.kind, found["metadata"]["uid"])
            return _of_object(found)

    def _watch(self, request: Request) -> Answer | _Watch:
        since = int(request.version or 0)
        watch = _Watch(request)
        if since < self._forgotten:
            if not self.answers_410_within_a_watch:
                return Answer(HTTPStatus.GONE)
            watch.put(line("ERROR", too_old(since)))
            watch.put(_END)
            return watch
        for change in self._changes:
            is_news = change.kind == request.kind and change.version > since
            if is_news and _matches(change.value, request):
                watch.put(change.line)
        self._watches.append(watch)
        return watch

    def close(self, watch: _Watch) -> None:
        with self._lock, suppress(ValueError):
            self._watches.remove(watch)

    def _stop_watches(self, kind: str, how: object) -> None:
        with self._lock:
            for watch in self._watches_of(kind):
                watch.put(how)
                self._watches.remove(watch)

    def _watches_of(self, kind: str) -> list[_Watch]:
        return [watch for watch in self._watches if watch.request.kind == kind]

    def _next_version(self, value: Object) -> Object:
        self._version += 1
        metadata = {**value["metadata"], "resourceVersion": str(self._version)}
        return {**value, "metadata": metadata}

    def _tell(self, kind: str, change: str, value: Object) -> None:
        told = _Change(self._version, kind, change, value)
        self._changes.append(told)
        for watch in [] if self._is_deaf else self._watches_of(kind):
            if _matches(value, watch.request):
                watch.put(told.line)


def refusal(status: HTTPStatus, message: str, reason: str = "") -> Answer:
    """An answer with a Status object."""
    body = {"kind": "Status", "status": "Failure", "message": message, "reason": reason}
    return Answer(status, json.dumps(body).encode())


def _of_object(value: Object) -> Answer:
    return Answer(HTTPStatus.OK, json.dumps(value).encode())


def line(change: str, value: Object) -> bytes:
    """One line of a watch, as UTF-8 like the real one's."""
    return json.dumps({"type": change, "object": value}, ensure_ascii=False).encode() + b"\n"


def bookmark(version: int) -> bytes:
    return line("BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": str(version)}})


def too_old(version: int) -> Object:
    return {
        "kind": "Status",
        "status": "Failure",
        "message": f"too old resource version: {version}",
        "reason": "Expired",
        "code": 410,
    }


def _matches(value: Object, request: Request) -> bool:
    labels = value["metadata"].get("labels", {})
    fields = {
        "involvedObject.kind": value.get("involvedObject", {}).get("kind"),
        "involvedObject.name": value.get("involvedObject", {}).get("name"),
        "reason": value.get("reason"),
    }
    return all(
        given.get(key) == wanted if equals else key in given
        for given, selector in ((labels, "labelSelector"), (fields, "fieldSelector"))
        for key, equals, wanted in _terms(request.query.get(selector))
    )


def _terms(selector: str | None) -> Iterable[tuple[str, str, str]]:
    return [term.partition("=") for term in selector.split(",")] if selector else []


class _Handler(BaseHTTPRequestHandler):
    api: FakeApi
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.api._connections.add(self.connection)

    def finish(self) -> None:
        self.api._connections.discard(self.connection)
        with suppress(OSError):
            super().finish()

    def do_GET(self) -> None:
        query = {key: each[0] for key, each in parse_qs(urlsplit(self.path).query).items()}
        kind, name, subresource = self._resource()
        verb = WATCH if query.get("watch") == "true" else (GET if name else LIST)
        self._respond(Request(kind, subresource or verb, query, name))

    def do_POST(self) -> None:
        body = self._body()
        self._respond(Request(self._resource()[0], CREATE, {}, body["metadata"]["name"], body))

    def do_DELETE(self) -> None:
        kind, name, _ = self._resource()
        self._respond(Request(kind, DELETE, {}, name, self._body()))

    def _resource(self) -> list[str]:
        """Kind, name and subresource, empty where there is none."""
        path = urlsplit(self.path).path.partition("/namespaces/")[2]
        return [*path.split("/")[1:], "", ""][:3]

    def _body(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def _respond(self, request: Request) -> None:
        response = self.api.respond(request)
        with suppress(OSError):  # the client has gone, or was cut off
            if isinstance(response, _Watch):
                self._stream(response)
            else:
                self._answer(response)

    def _answer(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def _stream(self, watch: _Watch) -> None:
        try:
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "application/json")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for chunk in watch.chunks():
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            if watch.is_cut:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
        finally:
            self.api.close(watch)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Stay silent; `requests` has them."""


def _handler(api: FakeApi) -> type[BaseHTTPRequestHandler]:
    return type("Handler", (_Handler,), {"api": api})
