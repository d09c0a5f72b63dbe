"""A small API server and a small web server, both real HTTP servers that can misbehave."""

import json
import threading
import time
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
from bulkhead.load_report import LoadReport

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
    """Keeps objects by collection path and serves list, watch, create, merge as Kubernetes does.

    The switches say how it misbehaves; they may be turned while it runs.
    """

    objects: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    version: int = 100
    refuse: dict[str, int] = field(default_factory=dict)  # path → HTTP status
    slow: dict[str, float] = field(default_factory=dict)  # path → seconds until it is patched
    patched: list[str] = field(default_factory=list)  # paths
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

            def do_PATCH(self) -> None:
                path, body = self.asked()[0], self.body()
                time.sleep(api.slow.get(path, 0))
                collection, _, name = path.rpartition("/")
                with api.changed:
                    api.patched.append(path)
                    item = api.objects.get(collection, {}).get(name)
                    if path in api.refuse or item is None:
                        self.answer({"message": "because it is so"}, api.refuse.get(path, 404))
                        return
                    assert self.headers["Content-Type"] == "application/merge-patch+json"
                    merged = {**item.get("data", {}), **body["data"]}
                    item["data"] = {k: v for k, v in merged.items() if v is not None}
                    api.put(collection, item)
                    self.answer(item)

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
class Load:
    """What a web server has loaded for a location."""

    image: str | None = None
    error: str | None = None
    error_class: str = "DagsterUserCodeProcessError"
    updated: float = 1.0
    assets: dict[str, list[str]] = field(default_factory=dict)  # key → keys it depends on
    schedules: dict[str, str] = field(default_factory=dict)  # name → status
    sensors: dict[str, str] = field(default_factory=dict)

    def entry(self) -> dict[str, Any]:
        failed = {"className": self.error_class, "message": self.error, "causes": []}
        result = {"__typename": "PythonError", **failed} if self.error else self.located([])
        metadata = [{"key": "image", "value": self.image}] if self.image else []
        return {
            "loadStatus": "LOADED",
            "updatedTimestamp": self.updated,
            "displayMetadata": metadata,
            "locationOrLoadError": result,
        }

    def located(self, repositories: list[Any]) -> dict[str, Any]:
        return {"__typename": "RepositoryLocation", "repositories": repositories}

    def definitions(self) -> dict[str, Any]:
        others = {each for keys in self.assets.values() for each in keys} - self.assets.keys()
        nodes = {**self.assets, **{each: [] for each in others}}
        repository = {
            "assetNodes": [
                {
                    "isExecutable": key in self.assets,
                    "assetKey": {"path": key.split("/")},
                    "dependencyKeys": [{"path": each.split("/")} for each in keys],
                }
                for key, keys in nodes.items()
            ],
            "schedules": [
                {"name": name, "scheduleState": {"status": status}}
                for name, status in self.schedules.items()
            ],
            "sensors": [
                {"name": name, "sensorState": {"status": status}}
                for name, status in self.sensors.items()
            ],
        }
        return {
            "__typename": "WorkspaceLocationEntry",
            "locationOrLoadError": self.located([repository]),
        }


@dataclass
class FakeWebServer:
    """Answers Dagster's questions about the workspace, from a workspace file and from `loads`."""

    read: Callable[[], list[dict[str, Any]]]
    known: list[dict[str, Any]] = field(default_factory=list)
    reloads: int = 0
    reloaded: list[str] = field(default_factory=list)
    answer_to_reload: str = "WorkspaceLocationEntry"
    broken: bool = False
    loads: dict[str, Load] = field(default_factory=dict)
    checks: int = 0
    definitions_read: list[tuple[str, str]] = field(default_factory=list)  # document, location

    def __post_init__(self) -> None:
        self._server: ThreadingHTTPServer | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/graphql"

    def load_entries(self) -> list[dict[str, Any]]:
        names = [each["location_name"] for each in self.known]
        return [{"name": name, **self.loads.get(name, Load()).entry()} for name in names]

    def definitions(self, query: str, location: str) -> dict[str, Any]:
        self.definitions_read.append((query.split("(", maxsplit=1)[0].split()[1], location))
        return self.loads.get(location, Load()).definitions()

    def start(self) -> None:
        web_server = self

        class Handler(JsonHandler):
            def do_POST(self) -> None:
                body = self.body()
                if "reloadRepositoryLocation" in body["query"]:
                    web_server.reloaded.append(body["variables"]["name"])
                    answer = {"__typename": web_server.answer_to_reload, "message": "no"}
                    self.answer({"data": {"location": answer}})
                    return
                if web_server.broken:
                    self.answer(
                        {"data": {"workspace": {"__typename": "PythonError", "message": "no"}}}
                    )
                    return
                if "workspaceLocationEntryOrError" in body["query"]:
                    location = body["variables"]["location"]
                    found = web_server.definitions(body["query"], location)
                    self.answer({"data": {"location": found}})
                    return
                if body["query"].startswith("query LoadStatuses"):
                    web_server.checks += 1
                    entries = web_server.load_entries()
                    answer = {"__typename": "Workspace", "locationEntries": entries}
                    self.answer({"data": {"workspace": answer}})
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
                    {"data": {"workspace": {"__typename": "Workspace", "locationEntries": entries}}}
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

    def __init__(
        self, api: Any, output: Path, reload_url: str | None = None, pod: str = "web-1"
    ) -> None:
        settings = Settings("registry", "bulkhead", output, reload_url, port=0, pod=pod)
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
    load = Load
    wait_until = staticmethod(wait_until)

    def register(self, **namespaces: str) -> None:
        registry = {name: {"namespace": namespace} for name, namespace in namespaces.items()}
        for namespace in namespaces.values():  # as the chart does
            path = f"/api/v1/namespaces/{namespace}/configmaps"
            if names.STATUS_CONFIG_MAP not in self.api.objects.get(path, {}):
                metadata = {"name": names.STATUS_CONFIG_MAP, "namespace": namespace}
                self.api.put(path, {"metadata": metadata})
        self.put_registry(yaml.safe_dump({"codeLocations": registry}))

    @property
    def entries(self) -> list[dict[str, Any]]:
        """The workspace that was written last."""
        return self._running[-1].entries or []

    def status(self, namespace: str) -> dict[str, str]:
        """The data of the namespace's status ConfigMap."""
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        return dict(self.api.objects[path][names.STATUS_CONFIG_MAP].get("data", {}))

    def report(self, namespace: str, pod: str = "web-1") -> LoadReport | None:
        entry = self.status(namespace).get(pod)
        return None if entry is None else LoadReport.of_json(entry)

    def put_registry(self, text: str) -> None:
        metadata = {"name": "registry", "namespace": "bulkhead", "uid": "uid-registry"}
        self.api.put(
            "/api/v1/namespaces/bulkhead/configmaps",
            {"metadata": metadata, "data": {"registry.yaml": text}},
        )

    def start(self, reload_url: str | None = None, pod: str = "web-1") -> Running:
        self._running.append(Running(self.api, self._output, reload_url, pod))
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
