"""A small API server and a small web server, both real HTTP servers that can misbehave."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from packages.bulkhead.tests.json_server import JsonHandler, ask, serve
from packages.bulkhead.tests.waiting import wait_until

from bulkhead import names
from bulkhead.discovery.sync import Settings, WorkspaceSync
from bulkhead.kube.api import KubernetesApi

if TYPE_CHECKING:
    from http.server import ThreadingHTTPServer


def service_object(
    name: str,
    namespace: str,
    *,
    location: str | None = None,
    port: int | None = 3030,
    created: str = "2030-01-01T00:00:00Z",
    version: int = 1,
) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{namespace}-{name}",
            "resourceVersion": str(version),
            "creationTimestamp": created,
            "labels": {names.CODE_LOCATION_LABEL: location or name},
        },
        "spec": {"ports": [{"name": "grpc", "port": port}] if port else []},
    }


@dataclass
class ApiServer:
    """Keeps objects by collection path and serves list, watch and create as Kubernetes does.

    The switches say how it misbehaves; they may be turned while it runs.
    """

    objects: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    version: int = 100
    refuse: dict[str, int] = field(default_factory=dict)  # path → HTTP status
    instead_of_list: bytes | None = None
    page: int = 500
    events: list[dict[str, Any]] = field(default_factory=list)
    lists: int = 0
    posts: int = 0

    def __post_init__(self) -> None:
        self.changed = threading.Condition()
        self.log: list[tuple[int, str, bytes | None]] = []  # version, path, line (None: hang up)
        self.not_history: set[int] = set()  # versions of what is only told to those who listen now
        self.watches: list[tuple[str, int]] = []  # path, version from which
        self._server: ThreadingHTTPServer | None = None
        self._port = 0
        self.start()

    # --- what a test does to it ---

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def put(self, path: str, item: dict[str, Any]) -> dict[str, Any]:
        with self.changed:
            self.version += 1
            item["metadata"]["resourceVersion"] = str(self.version)
            known = self.objects.setdefault(path, {})
            kind = "MODIFIED" if item["metadata"]["name"] in known else "ADDED"
            known[item["metadata"]["name"]] = item
            self._say(path, kind, item)
        return item

    def delete(self, path: str, name: str) -> None:
        with self.changed:
            self.version += 1
            item = self.objects[path].pop(name)
            item["metadata"]["resourceVersion"] = str(self.version)
            self._say(path, "DELETED", item)

    def forget(self, path: str, name: str) -> None:
        """Delete without telling any watcher: an event that got lost."""
        with self.changed:
            self.objects[path].pop(name)

    def say(self, path: str, line: bytes) -> None:
        """Send raw bytes to the watchers of a collection."""
        self._say_now(path, line)

    def hang_up(self, path: str) -> None:
        """End every watch of a collection, in good order."""
        self._say_now(path, None)

    def expire(self, path: str) -> None:
        """End every watch of a collection with 410, so that it must be listed again."""
        status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
        self.say(path, json.dumps({"type": "ERROR", "object": status}).encode() + b"\n")
        self.hang_up(path)

    def start(self) -> None:
        self._server = serve(self._handler(), self._port)
        self._port = self._server.server_address[1]

    def stop(self) -> None:
        """Be gone: no listener, every connection cut."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
            with self.changed:
                self.changed.notify_all()

    # --- inside ---

    def _say_now(self, path: str, line: bytes | None) -> None:
        with self.changed:
            self.version += 1
            self.not_history.add(self.version)
            self.log.append((self.version, path, line))
            self.changed.notify_all()

    def _say(self, path: str, kind: str, item: dict[str, Any]) -> None:
        line = json.dumps({"type": kind, "object": item}).encode() + b"\n"
        self.log.append((self.version, path, line))
        self.changed.notify_all()

    def _handler(self) -> type[JsonHandler]:  # noqa: C901 - a class in a function
        api = self

        class Handler(JsonHandler):
            def do_GET(self) -> None:
                path, query = self.asked()
                if path in api.refuse:
                    self.answer({"message": "because the test says so"}, api.refuse[path])
                elif query.get("watch"):
                    self._watch(path, int(query["resourceVersion"]))
                else:
                    self._list(path, query)

            def do_POST(self) -> None:
                event = self.body()
                with api.changed:
                    api.posts += 1
                    known = {each["metadata"]["name"] for each in api.events}
                    if event["metadata"]["name"] in known:
                        self.answer({"message": "already exists"}, 409)
                        return
                    api.events.append(event)
                self.answer(event, 201)

            def _list(self, path: str, query: dict[str, str]) -> None:
                if api.instead_of_list is not None:
                    self.raw(api.instead_of_list)
                    return
                with api.changed:
                    items = list(api.objects.get(path, {}).values())
                    version = api.version
                    api.lists += 1
                if "fieldSelector" in query:
                    name = query["fieldSelector"].removeprefix("metadata.name=")
                    items = [each for each in items if each["metadata"]["name"] == name]
                start = int(query.get("continue", "0"))
                more = start + api.page < len(items)
                metadata = {"resourceVersion": str(version)}
                if more:
                    metadata["continue"] = str(start + api.page)
                page = items[start : start + api.page]
                self.answer({"kind": "SomeList", "metadata": metadata, "items": page})

            def _watch(self, path: str, version: int) -> None:
                server = api._server
                with api.changed:
                    api.watches.append((path, version))
                    began = api.version
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                while api._server is server:
                    with api.changed:
                        api.changed.wait_for(
                            lambda v=version: api.version > v or api._server is not server, 10
                        )
                        due = [
                            each
                            for each in api.log
                            if each[0] > (began if each[0] in api.not_history else version)
                            and each[1] == path
                        ]
                        version = api.version
                    for _, _, line in due:
                        if line is None:
                            self.wfile.write(b"0\r\n\r\n")
                            return
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                # The server is gone: no last chunk, the connection just ends.
                self.close_connection = True

        return Handler


@dataclass
class FakeWebServer:
    """Answers Dagster's two questions about the workspace from a workspace file."""

    read: Callable[[], list[dict[str, Any]]]
    known: list[dict[str, Any]] = field(default_factory=list)
    reloads: int = 0
    loaded_anew: list[str] = field(default_factory=list)
    broken: bool = False

    def __post_init__(self) -> None:
        self._server: ThreadingHTTPServer | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/graphql"

    def start(self) -> None:
        web_server = self

        class Handler(JsonHandler):
            def do_POST(self) -> None:
                body = self.body()
                if web_server.broken:
                    self.answer(
                        {"data": {"answer": {"__typename": "PythonError", "message": "no"}}}
                    )
                    return
                if "reloadRepositoryLocation" in body["query"]:
                    web_server.loaded_anew.append(body["variables"]["name"])
                    self.answer({"data": {"answer": {"__typename": "WorkspaceLocationEntry"}}})
                    return
                if body["query"].startswith("mutation"):
                    web_server.reloads += 1
                    web_server.known = web_server.read()
                entries = [
                    {
                        "name": each["location_name"],
                        "displayMetadata": [
                            {"key": "host", "value": each["host"]},
                            {"key": "port", "value": str(each["port"])},
                        ],
                    }
                    for each in web_server.known
                ]
                self.answer(
                    {"data": {"answer": {"__typename": "Workspace", "locationEntries": entries}}}
                )

        self._server = serve(Handler, self._port)
        self._port = self._server.server_address[1]

    def reserve(self) -> None:
        """Take a port without answering on it."""
        self.start()
        self.stop()

    def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()


class Running:
    """A WorkspaceSync in a thread, and what a test asks about it."""

    def __init__(self, api: Any, output: Path, reload_url: str | None = None) -> None:
        settings = Settings("registry", "bulkhead", output, reload_url, port=0)
        self.output = output
        self.sync = WorkspaceSync(KubernetesApi(api.url), settings)
        self.thread = threading.Thread(target=self.sync.run, daemon=True)
        self.thread.start()

    @property
    def entries(self) -> list[dict[str, Any]] | None:
        if not self.output.exists():
            return None
        return [
            each["grpc_server"] for each in yaml.safe_load(self.output.read_text())["load_from"]
        ]

    @property
    def names(self) -> list[str] | None:
        entries = self.entries
        return None if entries is None else [each["location_name"] for each in entries]

    def asks(self, path: str) -> tuple[int, dict[str, Any]]:
        return ask(self.sync.port, path)

    def stop(self) -> None:
        self.sync.stop()
        self.thread.join(10)
        assert not self.thread.is_alive()


class World:
    """An API server, whatever runs against it, and the words of the tests."""

    def __init__(self, directory: Path) -> None:
        self.api = ApiServer()
        self._output = directory / "workspace.yaml"
        self._running: list[Running] = []

    service = staticmethod(service_object)
    web_server = FakeWebServer
    wait_until = staticmethod(wait_until)

    def register(self, **namespaces: str) -> None:
        registry = {name: {"namespace": namespace} for name, namespace in namespaces.items()}
        self.put_registry(yaml.safe_dump({"codeLocations": registry}))

    def put_registry(self, text: str) -> None:
        metadata = {"name": "registry", "namespace": "bulkhead", "uid": "uid-registry"}
        self.api.put(
            "/api/v1/namespaces/bulkhead/configmaps",
            {"metadata": metadata, "data": {"registry.yaml": text}},
        )

    def start(self, reload_url: str | None = None) -> Running:
        self._running.append(Running(self.api, self._output, reload_url))
        return self._running[-1]

    def stop(self) -> None:
        for each in self._running:
            each.stop()
        self.api.stop()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.stop()
