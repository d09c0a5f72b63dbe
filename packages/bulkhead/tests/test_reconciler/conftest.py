"""One real HTTP server that plays the API server and the web server, and can misbehave as both."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from packages.bulkhead.tests.json_server import JsonHandler, ask, serve
from packages.bulkhead.tests.waiting import wait_until

from bulkhead import names
from bulkhead.kube.api import KubernetesApi
from bulkhead.reconciler.reconciler import Reconciler, Settings

if TYPE_CHECKING:
    from http.server import ThreadingHTTPServer

REGISTRY = "/api/v1/namespaces/bulkhead/configmaps/registry"


def jobs(namespace: str) -> str:
    return f"/apis/batch/v1/namespaces/{namespace}/jobs"


def events(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/events"


def job_object(
    name: str,
    namespace: str,
    run: str,
    step: str | None = "sleep",
    status: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A Job of a step, or with `step=None` of a run; at work unless `status` says otherwise."""
    labels = {names.CODE_LOCATION_LABEL: "hello", names.RUN_ID_LABEL: run}
    annotations = {}
    if step is not None:
        labels[names.STEP_KEY_LABEL] = names.label_value(step)
        annotations[names.STEP_KEY_ANNOTATION] = step
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{namespace}-{name}",
            "resourceVersion": "7",
            "creationTimestamp": "2030-01-01T00:00:00Z",
            "labels": labels,
            "annotations": annotations,
        },
        "spec": {},
        "status": {"active": 1, "ready": 1} if status is None else status,
    }


@dataclass
class Platform:
    """The cluster's Jobs and the database's runs; the switches may be turned while it runs."""

    runs: dict[str, str] = field(default_factory=dict)
    refuse: dict[str, int] = field(default_factory=dict)  # "METHOD path" → HTTP status
    instead_of: dict[str, bytes] = field(default_factory=dict)  # "METHOD path" → whole answer
    largest_page: int = 500

    deletions: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # path, options
    events: list[dict[str, Any]] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)  # variables of each GraphQL query
    looks: int = 0  # how often the registry was read

    def __post_init__(self) -> None:
        self.objects: dict[str, dict[str, dict[str, Any]]] = {}  # collection → name → object
        self.registry: str | None = None
        self._lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = serve(self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def register(self, **namespaces: str) -> None:
        locations = {name: {"namespace": namespace} for name, namespace in namespaces.items()}
        self.registry = yaml.safe_dump({"codeLocations": locations})

    def put(self, job: dict[str, Any]) -> dict[str, Any]:
        metadata = job["metadata"]
        with self._lock:
            self.objects.setdefault(jobs(metadata["namespace"]), {})[metadata["name"]] = job
        return job

    def names(self, namespace: str) -> set[str]:
        with self._lock:
            return set(self.objects.get(jobs(namespace), {}))

    def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    # --- inside ---

    def _list(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        with self._lock:
            found = list(self.objects.get(path, {}).values())
        for label in query["labelSelector"].split(","):
            found = [each for each in found if label in each["metadata"]["labels"]]
        key, _, wanted = query["fieldSelector"].partition("=")
        assert key == "status.successful"  # the only field of a Job's status that selects
        found = [each for each in found if str(each["status"].get("succeeded", 0)) == wanted]
        start, size = int(query.get("continue", "0")), int(query["limit"])
        end = start + min(size, self.largest_page)
        metadata = {"continue": str(end)} if end < len(found) else {}
        return {"kind": "JobList", "metadata": metadata, "items": found[start:end]}

    def _delete(self, path: str, options: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        collection, _, name = path.rpartition("/")
        with self._lock:
            self.deletions.append((path, options))
            there = self.objects.get(collection, {}).get(name)
            if there is None:
                return 404, {"message": f'jobs "{name}" not found'}
            if options["preconditions"]["uid"] != there["metadata"]["uid"]:
                return 409, {"message": "the UID in the precondition does not match"}
            del self.objects[collection][name]
        return 200, {"kind": "Status", "status": "Success"}

    def _runs(self, variables: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(variables)
        known = [
            {"runId": each, "status": self.runs[each]}
            for each in variables["ids"]
            if each in self.runs
        ]
        answer = {"__typename": "Runs", "results": known[: variables["limit"]]}
        return {"data": {"runs": answer}}

    def _handler(self) -> type[JsonHandler]:  # noqa: C901 - a class in a function
        platform = self

        class Handler(JsonHandler):
            def do_GET(self) -> None:
                path, query = self.asked()
                if path == REGISTRY:
                    platform.looks += 1
                if self.misbehaves(path):
                    return
                if path != REGISTRY:
                    self.answer(platform._list(path, query))
                elif platform.registry is None:
                    self.answer({"message": "not found"}, 404)
                else:
                    self.answer({"kind": "ConfigMap", "data": {"registry.yaml": platform.registry}})

            def do_POST(self) -> None:
                body = self.body()
                if self.misbehaves(self.path):
                    return
                if self.path == "/graphql":
                    self.answer(platform._runs(body["variables"]))
                else:
                    platform.events.append(body)
                    self.answer(body, 201)

            def do_DELETE(self) -> None:
                body = self.body()
                if not self.misbehaves(self.path):
                    status, said = platform._delete(self.path, body)
                    self.answer(said, status)

            def misbehaves(self, path: str) -> bool:
                request = f"{self.command} {path}"
                if request in platform.refuse:
                    self.answer({"message": "because the test says so"}, platform.refuse[request])
                elif request in platform.instead_of:
                    self.raw(platform.instead_of[request])
                else:
                    return False
                return True

        return Handler


class Running:
    """A Reconciler in a thread, and what a test asks about it."""

    def __init__(self, platform: Platform, grace: float, graphql: str) -> None:
        settings = Settings("registry", "bulkhead", graphql, interval=0.02, grace=grace, port=0)
        self.reconciler = Reconciler(KubernetesApi(platform.url), settings)
        self.thread = threading.Thread(target=self.reconciler.run, daemon=True)
        self.thread.start()

    def asks(self, path: str) -> tuple[int, dict[str, Any]]:
        return ask(self.reconciler.port, path)

    @property
    def retrying(self) -> list[str]:
        return self.asks("/healthz")[1]["retrying"]

    def stop(self) -> None:
        self.reconciler.stop()
        self.thread.join(10)
        assert not self.thread.is_alive()


class World:
    """The platform, whatever runs against it, and the words of the tests."""

    def __init__(self) -> None:
        self.platform = Platform()
        self._running: list[Running] = []

    job = staticmethod(job_object)
    jobs = staticmethod(jobs)
    events_path = staticmethod(events)
    registry_path = REGISTRY
    wait_until = staticmethod(wait_until)

    def start(self, grace: float = 0.1, graphql: str | None = None) -> Running:
        address = graphql or f"{self.platform.url}/graphql"
        self._running.append(Running(self.platform, grace, address))
        return self._running[-1]

    def wait_for_looks(self, count: int) -> None:
        """Wait until so many more looks were begun and ended."""
        wanted = self.platform.looks + count + 1
        self.wait_until(lambda: self.platform.looks >= wanted)

    def stop(self) -> None:
        for each in self._running:
            each.stop()
        self.platform.stop()


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.stop()
