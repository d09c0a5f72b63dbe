"""A Kubernetes API server for Jobs and pods that runs each pod's command as a process here.

It speaks the part of the API that launcher and executor use, over HTTP, so that their real client,
their real requests and the real `dagster api …` commands are tried without a cluster. What only a
cluster can show (limits, rights, scheduling) belongs to the end-to-end tests.
"""

import json
import os
import re
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

Object = dict[str, Any]
Query = Mapping[str, str]

_PATH = re.compile(
    r"/(?:api/v1|apis/batch/v1)/namespaces/(?P<namespace>[^/]+)/(?P<kind>jobs|pods|events)"
    r"(?:/(?P<name>[^/]+))?(?:/(?P<part>status|log))?"
)


class Cluster:
    """The state: Jobs and pods by name, and the process of each pod.

    Pods get `environment`; those without a service account's token also get what tells a process
    that it is in a pod, so that they have nothing to connect with. Where `runs_pods` is false they
    stay pending.
    """

    def __init__(
        self,
        logs: Path,
        environment: Mapping[str, str],
        runs_pods: bool,
    ) -> None:
        self.jobs: dict[str, Object] = {}
        self.pods: dict[str, Object] = {}
        self.events: dict[str, Object] = {}
        self.config_maps: dict[str, dict[str, str]] = {}
        self.requests: list[str] = []
        self.is_closed = False
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._reasons: dict[str, str] = {}
        self._logs = logs
        self._environment = environment
        self._runs_pods = runs_pods
        self._lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.05], daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self.is_closed = True
        self._server.shutdown()
        self._server.server_close()
        for process in self._processes.values():
            _end(process, signal.SIGKILL)
            process.wait()

    def jobs_of(self, component: str) -> list[Object]:
        """The Jobs of a component of Dagster: `run_worker` or `step_worker`."""
        with self._lock:
            return [
                self._with_status(job)
                for job in self.jobs.values()
                if job["metadata"]["labels"].get("app.kubernetes.io/component") == component
            ]

    def running(self) -> list[str]:
        """The pods whose process runs."""
        with self._lock:
            return [name for name, process in self._processes.items() if process.poll() is None]

    def delete_pods_of(self, job_name: str) -> None:
        """Delete a Job's pods as a person or an eviction would."""
        with self._lock:
            for pod_name in [name for name in self.pods if name.startswith(job_name)]:
                self._delete_pod(pod_name)

    def kill(self, job_name: str, reason: str = "Error") -> None:
        """Kill the process of a Job's pod as the kernel would; the kubelet gives the reason."""
        self._reasons[f"{job_name}-abcde"] = reason
        _end(self._processes[f"{job_name}-abcde"], signal.SIGKILL)

    def refuse(self, job_name: str, message: str) -> None:
        """Say what the Job controller says when the API server will not have a Job's pod."""
        self.events[job_name] = {
            "metadata": {"name": job_name, "uid": str(uuid.uuid4())},
            "involvedObject": {"kind": "Job", "name": job_name},
            "reason": "FailedCreate",
            "message": message,
        }

    def logs(self) -> str:
        return "\n".join(f"--- {log.name}\n{log.read_text()}" for log in self._logs.iterdir())

    def answer(  # noqa: PLR0911 - one for each thing that can be asked
        self, method: str, url: str, body: Any
    ) -> tuple[HTTPStatus, Any]:
        parts = urlsplit(url)
        match = _PATH.fullmatch(parts.path)
        if not match:
            return _status(HTTPStatus.NOT_FOUND, f"no such path {parts.path}")
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        with self._lock:
            self.requests.append(f"{method} {url}")
            kind, name = match["kind"], match["name"]
            objects = {"jobs": self.jobs, "pods": self.pods, "events": self.events}[kind]
            if method == "POST":
                return self._create_job(body)
            if not name:
                items = [_versioned(item, "1") for item in self._list(objects, query)]
                metadata = {"resourceVersion": "1"}
                return HTTPStatus.OK, {"kind": "List", "metadata": metadata, "items": items}
            if name not in objects:
                return _status(HTTPStatus.NOT_FOUND, f"{kind} {name!r} not found")
            if match["part"] == "log":
                return HTTPStatus.OK, (self._logs / name).read_text()
            if method == "PATCH":
                for operation in body:
                    assert operation["op"] == "add"
                    _, _, *path = operation["path"].split("/")
                    *parents, last = [part.replace("~1", "/") for part in path]
                    target = objects[name]["metadata"]
                    for parent in parents:
                        target = target.setdefault(parent, {})
                    target[last] = operation["value"]
            if method == "DELETE":
                self._delete_job(name, query) if kind == "jobs" else self._delete_pod(name)
                return _status(HTTPStatus.OK, "deleted")
            return HTTPStatus.OK, self._with_status(objects[name])

    def watched(self, url: str) -> list[Object] | None:
        """What a watch of this URL sees now; None where the URL is no watch."""
        parts = urlsplit(url)
        match = _PATH.fullmatch(parts.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if not match or query.get("watch") != "true":
            return None
        with self._lock:
            objects = {"pods": self.pods, "events": self.events}[match["kind"]]
            return [json.loads(json.dumps(item)) for item in self._list(objects, query)]

    def _create_job(self, job: Object) -> tuple[HTTPStatus, Object]:
        name = job["metadata"]["name"]
        if name in self.jobs:
            code, answer = _status(HTTPStatus.CONFLICT, f"jobs {name!r} already exists")
            return code, {**answer, "reason": "AlreadyExists"}
        job["metadata"]["uid"] = str(uuid.uuid4())
        job["metadata"]["namespace"] = "bulkhead-blue"
        self.jobs[name] = job
        pod = json.loads(json.dumps(job["spec"]["template"]))
        pod["metadata"]["name"] = f"{name}-abcde"
        pod["metadata"]["namespace"] = "bulkhead-blue"
        pod["metadata"]["uid"] = str(uuid.uuid4())
        pod["metadata"]["ownerReferences"] = [_reference(job)]
        self.pods[pod["metadata"]["name"]] = pod
        if self._runs_pods:
            self._start(pod)
        return HTTPStatus.CREATED, job

    def _start(self, pod: Object) -> None:
        name = pod["metadata"]["name"]
        container = pod["spec"]["containers"][0]
        given = {item["name"]: self._value(item) for item in container.get("env", [])}
        has_token = pod["spec"]["automountServiceAccountToken"]
        in_pod = {} if has_token else {"KUBERNETES_SERVICE_HOST": "127.0.0.1"}
        command = container["args"]
        assert command[0] in {"dagster", "python"}
        with (self._logs / name).open("w") as log:
            self._processes[name] = subprocess.Popen(
                command,
                env={**self._environment, **in_pod, **given, "HOSTNAME": name},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _value(self, variable: Object) -> str:
        if "valueFrom" not in variable:
            return variable["value"]
        source = variable["valueFrom"]["configMapKeyRef"]
        return self.config_maps[source["name"]][source["key"]]

    def _list(self, objects: dict[str, Object], query: Query) -> list[Object]:
        found = [self._with_status(value) for value in objects.values()]
        if "labelSelector" in query:
            found = [item for item in found if _matches(item, query["labelSelector"])]
        return found

    def _with_status(self, value: Object) -> Object:
        if value.get("kind") != "Job":
            return self._with_container_status(value)
        process = self._processes.get(f"{value['metadata']['name']}-abcde")
        if process is None:
            return {"status": {}, **value}
        returned = process.poll()
        status = (
            {"active": 1} if returned is None else {"succeeded" if returned == 0 else "failed": 1}
        )
        return {**value, "status": status}

    def _with_container_status(self, pod: Object) -> Object:
        name = pod["metadata"]["name"]
        process = self._processes.get(name)
        if process is None:
            return {"status": {"phase": "Pending"}, **pod}
        code = process.poll()
        if code is None:
            phase, state = "Running", {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
        else:
            ended = {
                "exitCode": code if code >= 0 else 128 - code,
                "reason": self._reasons.get(name, "Error" if code else "Completed"),
                "startedAt": "2026-01-01T00:00:00Z",
                "finishedAt": "2026-01-01T00:00:09Z",
            }
            phase, state = "Failed" if code else "Succeeded", {"terminated": ended}
        container = pod["spec"]["containers"][0]["name"]
        status = {
            "phase": phase,
            "podIP": "127.0.0.1",
            "containerStatuses": [
                {
                    "name": container,
                    "state": state,
                    "image": "",
                    "imageID": "",
                    "ready": phase == "Running",
                    "restartCount": 0,
                }
            ],
        }
        return {"status": status, **pod}

    def _delete_job(self, name: str, query: Query) -> None:
        job = self.jobs.pop(name)
        uid = job["metadata"]["uid"]
        owned = [item for item in (*self.jobs.values(), *self.pods.values()) if _owns(uid, item)]
        for item in owned:
            if query.get("propagationPolicy") != "Background":
                # The API server's default for Jobs: what they own stays, without an owner.
                item["metadata"]["ownerReferences"] = []
            elif item.get("kind") == "Job":
                self._delete_job(item["metadata"]["name"], query)
            else:
                self._delete_pod(item["metadata"]["name"])

    def _delete_pod(self, name: str) -> None:
        self.pods.pop(name)
        process = self._processes.get(name)
        if process:
            process.send_signal(signal.SIGTERM)


def _end(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    """Send a signal to all processes of a pod: they end together."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def environment_of_pods() -> dict[str, str]:
    """What every process needs to run at all, and nothing else of this one's environment."""
    return {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}


def _versioned(item: Object, version: str) -> Object:
    return {**item, "metadata": {**item["metadata"], "resourceVersion": version}}


def _reference(job: Object) -> Object:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": job["metadata"]["name"],
        "uid": job["metadata"]["uid"],
    }


def _owns(uid: str, item: Object) -> bool:
    return uid in [owner["uid"] for owner in item["metadata"].get("ownerReferences", [])]


def _matches(item: Object, selector: str) -> bool:
    labels = item["metadata"].get("labels", {})
    return all(_has(labels, term) for term in selector.split(","))


def _has(labels: Mapping[str, str], term: str) -> bool:
    if term.startswith("!"):
        return term[1:] not in labels
    key, equals, value = term.partition("=")
    return labels.get(key) == value if equals else key in labels


def _status(code: HTTPStatus, message: str) -> tuple[HTTPStatus, Object]:
    return code, {"kind": "Status", "code": int(code), "message": message}


def _handler(cluster: Cluster) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            if cluster.watched(self.path) is not None:
                self.stream()
                return
            code, answer = cluster.answer(self.command, self.path, body)
            payload = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def stream(self) -> None:
            """Send what changes until the client goes, as a watch does."""
            self.send_response(HTTPStatus.OK)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            known: dict[str, Object] = {}
            while not cluster.is_closed:
                now = {item["metadata"]["uid"]: item for item in cluster.watched(self.path) or []}
                changed = [("MODIFIED", now[uid]) for uid in now if known.get(uid) != now[uid]]
                gone = [("DELETED", known[uid]) for uid in known.keys() - now.keys()]
                for kind, item in [*changed, *gone]:
                    event = {"type": kind, "object": _versioned(item, "2")}
                    line = json.dumps(event).encode() + b"\n"
                    try:
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                    except OSError:
                        return
                known = now
                time.sleep(0.05)

        do_GET = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815 - http.server's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Stay silent; `requests` of the cluster has them."""

    return Handler


def kubeconfig_of(address: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": address}}],
        "users": [{"name": "test", "user": {}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    }
