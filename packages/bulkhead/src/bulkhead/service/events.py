"""Kubernetes Events: what one is, how it is written, and a thread that writes each once.

The owner of an object sees the Events about it with `kubectl describe` and `kubectl events`.
"""

import hashlib
import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from http import HTTPStatus
from typing import Any, Final

from bulkhead.kube.api import KubernetesApi, KubernetesApiError
from bulkhead.service.heartbeat import Heartbeat

_log = logging.getLogger(__name__)

# A mistake that concerns thousands of objects must not flood the API server with Events.
_SECONDS_BETWEEN_EVENTS: Final = 0.1
_IDLE_SECONDS: Final = 30.0
_LONGEST_MESSAGE: Final = 1024  # core/v1 Event: longer ones are rejected
_LONGEST_NAME_PREFIX: Final = 200  # a name has at most 253 characters


@dataclass(frozen=True, slots=True)
class KubernetesEvent:
    """A warning about one version of an object."""

    kind: str
    namespace: str
    name: str
    uid: str
    resource_version: str
    reason: str
    message: str
    api_version: str = "v1"

    @property
    def event_name(self) -> str:
        """The Event's own name. Equal events have the same name, so that only one is written."""
        seed = f"{self.uid}\n{self.resource_version}\n{self.reason}\n{self.message}"
        digest = hashlib.sha256(seed.encode()).hexdigest()[:16]
        return f"{self.name[:_LONGEST_NAME_PREFIX]}.{digest}"

    def body(self, component: str) -> Mapping[str, Any]:
        """Return the Event object that a component reports now."""
        now = datetime.now(tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": self.event_name, "namespace": self.namespace},
            "involvedObject": {
                "apiVersion": self.api_version,
                "kind": self.kind,
                "namespace": self.namespace,
                "name": self.name,
                "uid": self.uid,
                "resourceVersion": self.resource_version,
            },
            "type": "Warning",
            "reason": self.reason,
            "message": self.message[:_LONGEST_MESSAGE],
            "source": {"component": component},
            "reportingComponent": component,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }


def write(api: KubernetesApi, event: KubernetesEvent, component: str) -> bool:
    """Write an event; return False where another attempt may succeed.

    An event that exists is written: another process was first. One that the API server rejects is
    logged and given up.
    """
    try:
        api.create(f"/api/v1/namespaces/{event.namespace}/events", event.body(component))
    except KubernetesApiError as error:
        if error.status is None or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return False
        if error.status != HTTPStatus.CONFLICT:
            _log.warning(
                "The API server rejected the event about %s %s in namespace %s: %s",
                event.kind,
                event.name,
                event.namespace,
                error,
            )
    return True


class EventWriter:
    """Writes each event once, in its own thread."""

    def __init__(self, api: KubernetesApi, component: str) -> None:
        """Prepare; `start` begins."""
        self._api = api
        self._component = component
        self._current: tuple[KubernetesEvent, ...] = ()
        self._written: set[KubernetesEvent] = set()
        self._changed = threading.Condition()
        self._stopped = False
        self.heartbeat = Heartbeat("events", seconds=10 * _IDLE_SECONDS)
        self._thread = threading.Thread(
            target=self.heartbeat.guard(self._run), name="events", daemon=True
        )

    def start(self) -> None:
        """Start the thread; returns at once."""
        self._thread.start()

    def replace(self, events: Sequence[KubernetesEvent]) -> None:
        """Set the events that apply now. Those that are not written yet will be."""
        with self._changed:
            self._current = tuple(events)
            self._changed.notify()

    def stop(self) -> None:
        """Write nothing more."""
        self.heartbeat.retire()
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def _run(self) -> None:
        while not self._stopped:
            self.heartbeat.beat()
            with self._changed:
                self._written &= set(self._current)
                due = next((each for each in self._current if each not in self._written), None)
                if due is None:
                    self._changed.wait(_IDLE_SECONDS)
                    continue
            if write(self._api, due, self._component):
                self._written.add(due)
                pause = _SECONDS_BETWEEN_EVENTS
            else:
                pause = _IDLE_SECONDS
            with self._changed:
                self._changed.wait_for(
                    lambda due=due: self._stopped or due not in self._current, timeout=pause
                )
