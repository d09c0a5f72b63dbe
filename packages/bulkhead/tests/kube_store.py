"""An API server that keeps objects and their versions, as far as this package writes them."""

import itertools
import json
import threading
import uuid
from http import HTTPStatus
from typing import Any

from packages.bulkhead.tests.json_server import JsonHandler, serve

from bulkhead.kube.api import KubernetesApi

COLLECTIONS = frozenset({"configmaps", "deployments", "events", "jobs", "leases", "pods"})


class KubeStore:
    """Objects by path. A PUT of an old version is a conflict, as is a POST of a known name.

    A path in `refused` is answered with 403, one in `gone` with 404, as in a namespace that is not
    there. Selectors of lists are ignored.
    """

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.refused: set[str] = set()
        self.gone: set[str] = set()
        self.requests: list[str] = []
        self._versions = itertools.count(1)
        self._lock = threading.Lock()
        store = self

        class Handler(JsonHandler):
            def handle_any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else {}
                with store._lock:
                    status, answer = store.answer(self.command, self.path.partition("?")[0], body)
                self.raw(json.dumps(answer).encode(), status)

            do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815

        self._server = serve(Handler)
        self.api = KubernetesApi(f"http://127.0.0.1:{self._server.server_address[1]}")

    def put(self, path: str, **fields: Any) -> None:
        """Keep an object, as if somebody had created or replaced it."""
        name = path.rpartition("/")[2]
        metadata = {"name": name, **fields.pop("metadata", {})}
        self._keep(path, {"metadata": metadata, **fields}, uid=str(uuid.uuid4()))

    def answer(self, verb: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.requests.append(f"{verb} {path}")
        if path in self.refused | self.gone:
            return _status(HTTPStatus.FORBIDDEN if path in self.refused else HTTPStatus.NOT_FOUND)
        if path.rpartition("/")[2] in COLLECTIONS:
            return self._create(path, body) if verb == "POST" else self._list(path)
        found = self.objects.get(path)
        if found is None:
            return _status(HTTPStatus.NOT_FOUND)
        if verb == "GET":
            return HTTPStatus.OK, found
        if not _is_meant(verb, body, found):
            return _status(HTTPStatus.CONFLICT)
        return HTTPStatus.OK, self._change(verb, path, body)

    def _change(self, verb: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if verb == "PUT":
            return self._keep(path, body, uid=self.objects[path]["metadata"]["uid"])
        return self.objects.pop(path)

    def _create(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        path = f"{path}/{body['metadata']['name']}"
        if path in self.objects:
            return _status(HTTPStatus.CONFLICT)
        return HTTPStatus.CREATED, self._keep(path, body, uid=str(uuid.uuid4()))

    def _list(self, path: str) -> tuple[int, dict[str, Any]]:
        items = [each for name, each in self.objects.items() if _parent(name) == path]
        return HTTPStatus.OK, {"kind": "List", "metadata": {}, "items": items}

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _keep(self, path: str, body: dict[str, Any], *, uid: str) -> dict[str, Any]:
        version = str(next(self._versions))
        kept = {**body, "metadata": {**body["metadata"], "uid": uid, "resourceVersion": version}}
        self.objects[path] = kept
        return kept


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _is_meant(verb: str, body: dict[str, Any], found: dict[str, Any]) -> bool:
    """Whether a request is about the object as it is now."""
    metadata = found["metadata"]
    if verb == "PUT":
        return body["metadata"].get("resourceVersion") == metadata["resourceVersion"]
    wanted = body.get("preconditions", {}).get("uid")
    return wanted is None or wanted == metadata["uid"]


def _status(code: HTTPStatus) -> tuple[int, dict[str, Any]]:
    return code, {"kind": "Status", "message": code.phrase, "reason": code.phrase.replace(" ", "")}
