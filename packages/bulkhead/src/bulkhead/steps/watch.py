"""What happens to the pods of one run's steps, as the API server tells it: a list, then a watch.

Nothing is asked for by step. Two collections of the run's namespace are followed: the pods with the
run's label, and the events that say why a Job could not make its pod. Each is listed, then watched
from there; when a watch ends, for whatever reason, the collection is listed again. A list says what
is there, so an event that a watch has missed costs time and nothing else.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any, Final, Protocol

from bulkhead.kube.pods import StepPod

_logger = logging.getLogger("bulkhead.steps")

Object = Mapping[str, Any]
Send = Callable[..., Any]
"""A list function of the Kubernetes client, such as `CoreV1Api.list_namespaced_pod`."""

_WATCH_SECONDS: Final = 240
# Bookmarks come about once a minute: a connection that is silent for longer is dead.
_SILENCE_SECONDS: Final = 90
_LIST_SECONDS: Final = 15
_SHORTEST_BACKOFF_SECONDS: Final = 0.25
_LONGEST_BACKOFF_SECONDS: Final = 5.0

_REFUSED: Final = "involvedObject.kind=Job,reason=FailedCreate"


class WatchError(Exception):
    """A watch ended with an answer that says so: the version is too old, or the server's error."""


class Store(Protocol):
    """Takes in what a collection holds."""

    def replace(self, objects: list[Object]) -> None:
        """Take a list of everything that is there."""
        ...

    def apply(self, change: str, value: Object) -> None:
        """Take one change: ADDED, MODIFIED or DELETED."""
        ...


class StepWatch:
    """The pods of a run's steps by the name of their Job, kept up to date by two threads."""

    def __init__(self, core_api: Any, namespace: str, selector: str) -> None:  # noqa: ANN401
        """Prepare; `start` begins.

        Args:
            core_api: the `CoreV1Api` of the Kubernetes client.
            namespace: where the steps' Jobs are.
            selector: labels of the steps' pods.
        """
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._pods = _Pods(self._lock)
        self._refusals = _Refusals(self._lock)
        self._followers = [
            _Follower(
                core_api.list_namespaced_pod,
                {"namespace": namespace, "label_selector": selector},
                self._pods,
                self._stop,
            ),
            _Follower(
                core_api.list_namespaced_event,
                {"namespace": namespace, "field_selector": _REFUSED},
                self._refusals,
                self._stop,
            ),
        ]

    def start(self) -> None:
        """Begin to follow, in threads that end with the process."""
        for follower in self._followers:
            threading.Thread(target=follower.run, name="step-watch", daemon=True).start()

    def stop(self) -> None:
        """Let the threads end when their requests do."""
        self._stop.set()

    @property
    def is_listed(self) -> bool:
        """Whether what is there has been seen at least once, so that a missing pod is missing."""
        return self._pods.is_listed

    def pod(self, job_name: str) -> StepPod | None:
        """Return the pod of a Job as last seen, also when it is gone; None if it never was."""
        with self._lock:
            return self._pods.by_job.get(job_name)

    def ended(self) -> frozenset[str]:
        """Return the names of the Jobs whose pods are over by now."""
        with self._lock:
            return frozenset(name for name, pod in self._pods.by_job.items() if pod.is_over)

    def refusal(self, job_name: str) -> str | None:
        """Return what the API server last said against a Job's pod."""
        with self._lock:
            return self._refusals.by_job.get(job_name)


class _Pods:
    def __init__(self, lock: threading.Lock) -> None:
        self.by_job: dict[str, StepPod] = {}
        self.is_listed = False
        self._lock = lock

    def replace(self, objects: list[Object]) -> None:
        there = {_uid(pod) for pod in objects}
        with self._lock:
            for pod in sorted(objects, key=_created):
                if self._is_of_the_first(pod):
                    self.by_job[_job_of(pod)] = self._seen(pod)
            for job, pod in self.by_job.items():
                if _uid(pod.object) not in there:
                    # Gone while nobody watched: what was last seen of it is all there is to say.
                    self.by_job[job] = replace(pod, is_gone=True)
            self.is_listed = True

    def apply(self, change: str, value: Object) -> None:
        job = _job_of(value)
        with self._lock:
            known = self.by_job.get(job)
            is_stale = known and (known.is_gone or _version(value) < _version(known.object))
            if self._is_of_the_first(value) and not is_stale:
                pod = self._seen(value, is_gone=change == "DELETED")
                if known and _had_ended_by_itself(known) and (pod.is_being_deleted or pod.is_gone):
                    # Whoever removes a pod that is over has not ended it.
                    pod = replace(known, is_gone=pod.is_gone)
                self.by_job[job] = pod

    def _seen(self, value: Object, *, is_gone: bool = False) -> StepPod:
        known = self.by_job.get(_job_of(value))
        return known.seen_again(value, is_gone=is_gone) if known else StepPod(value, is_gone)

    def _is_of_the_first(self, value: Object) -> bool:
        """Say whether this is the pod by which its Job is known, or the first.

        A Job of a step makes one pod; should the cluster ever start a second, the first is the one
        whose code runs (see `bulkhead.steps.worker`).
        """
        known = self.by_job.get(_job_of(value))
        return known is None or _uid(known.object) == _uid(value)


def _had_ended_by_itself(pod: StepPod) -> bool:
    return pod.is_over and not pod.is_being_deleted


class _Refusals:
    def __init__(self, lock: threading.Lock) -> None:
        self.by_job: dict[str, str] = {}
        self._lock = lock

    def replace(self, objects: list[Object]) -> None:
        for value in sorted(objects, key=_said_at):  # a list is in the order of names
            self.apply("ADDED", value)

    def apply(self, change: str, value: Object) -> None:
        if change == "DELETED":  # events go after an hour; what they said stays true
            return
        with self._lock:
            self.by_job[value["involvedObject"]["name"]] = value.get("message", "")


class _Follower:
    """Keeps a store like a collection of the API."""

    def __init__(
        self, send: Send, query: Mapping[str, str], store: Store, stop: threading.Event
    ) -> None:
        self._send = send
        self._query = query
        self._store = store
        self._stop = stop

    def run(self) -> None:
        """List and watch until stopped; while the API server is away, ask ever more seldom."""
        backoff = _SHORTEST_BACKOFF_SECONDS
        while not self._stop.is_set():
            started = time.monotonic()
            try:
                self._follow(self._list())
            except Exception as error:  # noqa: BLE001 - whatever it is: a run must not go blind
                _logger.info("The watch on steps begins anew: %s", error)
            if time.monotonic() - started > _LONGEST_BACKOFF_SECONDS:
                backoff = _SHORTEST_BACKOFF_SECONDS
            self._stop.wait(backoff)
            backoff = min(backoff * 2, _LONGEST_BACKOFF_SECONDS)

    def _list(self) -> str:
        """Take in what is there; return the version from which to watch."""
        response = self._send(
            **self._query, _preload_content=False, _request_timeout=(5, _LIST_SECONDS)
        )
        answer = json.loads(response.data)
        self._store.replace(answer["items"])
        return answer["metadata"]["resourceVersion"]

    def _follow(self, version: str) -> None:
        """Watch on from a version until the server ends it, again and again.

        Raises:
            WatchError: the version is too old (410), or the server says it has an error.
        """
        while not self._stop.is_set():
            before = version
            for change in self._changes(version):
                kind, value = change["type"], change["object"]
                if kind == "ERROR":
                    raise WatchError(value.get("message") or str(value))
                version = value["metadata"]["resourceVersion"]
                if kind != "BOOKMARK":
                    self._store.apply(kind, value)
            if version == before:
                # Not a word in all that time, or a server that ends each watch at once.
                self._stop.wait(_SHORTEST_BACKOFF_SECONDS)

    def _changes(self, version: str) -> Iterator[dict[str, Any]]:
        response = self._send(
            **self._query,
            watch=True,
            resource_version=version,
            allow_watch_bookmarks=True,
            timeout_seconds=_WATCH_SECONDS,
            _preload_content=False,
            _request_timeout=(5, _SILENCE_SECONDS),
        )
        with closing(response):
            rest = b""
            for chunk in response.stream(2**16):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if line.strip():
                        yield json.loads(line)


def _job_of(pod: Object) -> str:
    owners = pod["metadata"].get("ownerReferences") or []
    return next((each["name"] for each in owners if each["kind"] == "Job"), pod["metadata"]["name"])


def _uid(value: Object) -> str | None:
    return value["metadata"].get("uid")


def _version(value: Object) -> int:
    """The version of an object, which only grows.

    https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions
    """
    return int(value["metadata"].get("resourceVersion", 0))


def _created(value: Object) -> str:
    return value["metadata"].get("creationTimestamp") or ""


def _said_at(event: Object) -> str:
    return event.get("lastTimestamp") or event.get("eventTime") or ""
