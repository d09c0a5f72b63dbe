"""A cluster for load checks: an API server, and a kubelet that does with a pod what a test says."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from packages.bulkhead.tests.test_load_check.reporting import environment
from packages.bulkhead.tests.test_steps.fake_api import (
    CREATE,
    DELETE,
    EVENTS,
    LOG,
    PODS,
    Answer,
    FakeApi,
    Object,
    Request,
    refusal,
)

from bulkhead import names
from bulkhead.code_location import report_lines

NAMESPACE = "bulkhead-shop"
NAME = "shop-load-check-4be1ff00-0a1b2c3d"
NODE = "worker-1"
CONTAINER = "load-check"
STARTED = "2026-11-25T03:45:40Z"

RECORDED = Path(__file__).parents[1] / "test_steps" / "fixtures"

Act = Callable[["Cluster"], None]


def manifest(**spec: Any) -> Object:
    """The pod of a load check, as short as can be."""
    container = {
        "name": CONTAINER,
        "image": "registry.example/shop@sha256:4be1ff00",
        "command": ["python", "-m", "bulkhead.code_location.report"],
        "env": [{"name": report_lines.MARK_ENV, "value": NAME}],
        "resources": {
            "requests": {"cpu": "100m", "memory": "256Mi"},
            "limits": {"cpu": "1", "memory": "512Mi"},
        },
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": NAME,
            "namespace": NAMESPACE,
            "labels": {
                "app.kubernetes.io/component": "load-check",
                names.CODE_LOCATION_LABEL: "shop",
            },
        },
        "spec": {"containers": [container], "activeDeadlineSeconds": 240, **spec},
    }


def log_of(content: Mapping[str, Any], printed: str = "") -> str:
    """The log of a pod that reports this, after what the code has printed."""
    return printed + b"".join(report_lines.lines(NAME, content)).decode()


class Cluster(FakeApi):
    """The API server, and the acts of the kubelet when a pod is created."""

    def __init__(self, *acts: Act, log: str = "") -> None:
        super().__init__()
        self.acts = acts
        self.log = log
        self.loses_answer = False
        """Whether the answer to the creation is lost, though the pod is created."""
        self.on_delete: Callable[[], None] | None = None
        """What happens instead of the pod being gone at once."""
        self.on_log: Callable[[Request], None] = lambda _request: None
        """What happens before the log is answered."""

    @property
    def pod(self) -> Object | None:
        found = [each for each in self.objects(PODS) if each["metadata"]["name"] == NAME]
        return found[0] if found else None

    def change(self, **parts: Mapping[str, Any]) -> None:
        """Change metadata, spec and status of the pod, if it is still there."""
        with self._lock:
            if pod := self.pod:
                merged = {key: {**pod.get(key, {}), **value} for key, value in parts.items()}
                self.put(PODS, {**pod, **merged})

    def change_state(self, phase: str, state: Mapping[str, Any]) -> None:
        """Change the state of the container; that it has one says that the pod has a node."""
        status = {"phase": phase, "containerStatuses": [{"name": CONTAINER, "state": state}]}
        self.change(spec={"nodeName": NODE}, status=status)

    def respond(self, request: Request) -> Any:
        if request.verb == LOG:
            return self._respond_with_log(request)
        if request.verb == DELETE and self.on_delete and self.pod:
            self.requests.append(request)
            self.on_delete()
            return Answer(HTTPStatus.OK, json.dumps(self.pod).encode())
        answer = super().respond(request)
        if request.verb == CREATE and self.pod:
            threading.Thread(target=self._act, daemon=True).start()
            if self.loses_answer:
                self.loses_answer = False
                return refusal(HTTPStatus.GATEWAY_TIMEOUT, "no answer within 60 s")
        return answer

    def _respond_with_log(self, request: Request) -> Answer:
        self.requests.append(request)
        if answers := self._answers[PODS, LOG]:
            return answers.popleft()
        self.on_log(request)
        if self.pod is None and not self.log:
            return refusal(HTTPStatus.NOT_FOUND, f'pods "{request.name}" not found')
        return Answer(HTTPStatus.OK, self.log.encode())

    def _act(self) -> None:
        for act in self.acts:
            act(self)


# --- Acts -----------------------------------------------------------------------------------------


def pending(reason: str, message: str = "", *, seconds: float = 0.0) -> Act:
    """The container waits, for some seconds before the next act."""

    def act(cluster: Cluster) -> None:
        cluster.change_state("Pending", {"waiting": {"reason": reason, "message": message}})
        time.sleep(seconds)

    return act


def running(seconds: float = 0.0) -> Act:
    """The container runs, for some seconds before the next act."""

    def act(cluster: Cluster) -> None:
        cluster.change_state("Running", {"running": {"startedAt": STARTED}})
        time.sleep(seconds)

    return act


def ended(exit_code: int, reason: str = "") -> Act:
    """The container has ended."""
    reason = reason or ("Error" if exit_code else "Completed")
    state = {"exitCode": exit_code, "reason": reason, "startedAt": STARTED, "finishedAt": STARTED}
    phase = "Failed" if exit_code else "Succeeded"
    return lambda cluster: cluster.change_state(phase, {"terminated": state})


def event(reason: str, message: str, kind: str = "Normal") -> Act:
    """The kubelet reports something about the pod."""

    def act(cluster: Cluster) -> None:
        cluster.put(
            EVENTS,
            {
                "metadata": {"name": f"{NAME}.{reason}", "uid": reason, "namespace": NAMESPACE},
                "involvedObject": {"kind": "Pod", "name": NAME},
                "reason": reason,
                "message": message,
                "type": kind,
            },
        )

    return act


def unschedulable(message: str) -> Act:
    """The scheduler finds no node."""
    condition = {"type": "PodScheduled", "status": "False", "message": message}
    return lambda cluster: cluster.change(status={"phase": "Pending", "conditions": [condition]})


def changes(**parts: Mapping[str, Any]) -> Act:
    """The pod changes."""
    return lambda cluster: cluster.change(**parts)


def wait(seconds: float) -> Act:
    """Time passes."""
    return lambda _cluster: time.sleep(seconds)


def gone(cluster: Cluster) -> None:
    """Delete the pod, as a person or a component of the cluster does."""
    if pod := cluster.pod:
        cluster.remove(PODS, pod["metadata"]["uid"])


def recorded(fixture: str) -> Act:
    """The pod is as one that was recorded in a real cluster."""
    read = json.loads((RECORDED / f"{fixture}.json").read_text())
    for status in read["status"].get("containerStatuses", ()):
        status["name"] = CONTAINER
    metadata = {key: each for key, each in read["metadata"].items() if key.startswith("deletion")}
    spec = {"nodeName": NODE} if "nodeName" in read["spec"] else {}
    return lambda cluster: cluster.change(metadata=metadata, spec=spec, status=read["status"])


class Running:
    """The command of a load check's pod, running as a process in a folder."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        (container,) = manifest()["spec"]["containers"]
        variables = {each["name"]: each["value"] for each in container["env"]}
        self.log = ""
        self.exit_code: int | None = None
        self._process = subprocess.Popen(
            [sys.executable, *container["command"][1:]],
            cwd=folder,
            env={**environment(settings), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._has_ended = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout
        while part := os.read(self._process.stdout.fileno(), 65536):
            self.log += part.decode(errors="replace")
        self.exit_code = self._process.wait()
        self._has_ended.set()

    def act(self, cluster: Cluster) -> None:
        """Be the container of the pod; deleting the pod ends the process."""
        cluster.on_delete = lambda: self._delete(cluster)
        cluster.on_log = lambda request: self._log(cluster, request)
        running()(cluster)
        assert self._has_ended.wait(60)
        assert self.exit_code is not None
        ended(self.exit_code)(cluster)
        cluster.on_delete = None

    def _delete(self, cluster: Cluster) -> None:
        cluster.change(metadata={"deletionTimestamp": STARTED})
        self._process.send_signal(signal.SIGTERM)

    def _log(self, cluster: Cluster, request: Request) -> None:
        if request.query.get("follow") == "true":
            assert self._has_ended.wait(20)
        cluster.log = self.log
