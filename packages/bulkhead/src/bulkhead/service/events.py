"""Kubernetes Events: the place where a person looks whose Service does not join the workspace."""

import hashlib
import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Final

from bulkhead.kube.api import KubernetesApi, KubernetesApiError
from bulkhead.service.health import Pulse

_log = logging.getLogger(__name__)

_COMPONENT: Final = "bulkhead-workspace-sync"
# Mass mistakes (a label on thousands of Services) must not flood the API server with Events.
_SECONDS_BETWEEN_EVENTS: Final = 0.1
_IDLE_SECONDS: Final = 30.0
_LONGEST_MESSAGE: Final = 1024  # core/v1 Event: longer ones are rejected
_NAME_PREFIX: Final = 200  # a name has at most 253 characters


@dataclass(frozen=True, slots=True)
class Notice:
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
        """The Event's name: the same for the same notice, so no two processes write it twice."""
        seed = f"{self.uid}\n{self.resource_version}\n{self.reason}\n{self.message}"
        return f"{self.name[:_NAME_PREFIX]}.{hashlib.sha256(seed.encode()).hexdigest()[:16]}"


class Reporter:
    """Writes each notice once, in a thread of its own."""

    def __init__(self, api: KubernetesApi) -> None:
        """Prepare; `start` begins."""
        self._api = api
        self._shown: tuple[Notice, ...] = ()
        self._written: set[Notice] = set()
        self._changed = threading.Condition()
        self._stopped = False
        self.pulse = Pulse("events", seconds=10 * _IDLE_SECONDS)
        self._thread = threading.Thread(
            target=self.pulse.guard(self._run), name="events", daemon=True
        )

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def show(self, notices: Sequence[Notice]) -> None:
        """Say which notices stand now; those not written yet will be."""
        with self._changed:
            self._shown = tuple(notices)
            self._changed.notify()

    def stop(self) -> None:
        """Write nothing more."""
        self.pulse.retire()
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def _run(self) -> None:
        while not self._stopped:
            self.pulse.beat()
            with self._changed:
                self._written &= set(self._shown)
                due = next((each for each in self._shown if each not in self._written), None)
                if due is None:
                    self._changed.wait(_IDLE_SECONDS)
                    continue
            if self._write(due):
                self._written.add(due)
                pause = _SECONDS_BETWEEN_EVENTS
            else:
                pause = _IDLE_SECONDS
            with self._changed:
                self._changed.wait_for(
                    lambda due=due: self._stopped or due not in self._shown, timeout=pause
                )

    def _write(self, notice: Notice) -> bool:
        """Write one Event; return False where another attempt may succeed."""
        try:
            self._api.create(
                f"/api/v1/namespaces/{notice.namespace}/events", event(notice, _COMPONENT)
            )
        except KubernetesApiError as error:
            if error.status is None or error.status >= 500:  # noqa: PLR2004 - HTTP's server errors
                return False
            if error.status != 409:  # noqa: PLR2004 - it exists: another process was first
                _log.warning(
                    "event refused: %s %s/%s: %s", notice.kind, notice.namespace, notice.name, error
                )
        return True


def event(notice: Notice, component: str) -> Mapping[str, Any]:
    """Return the Event by which a component gives a notice now."""
    now = datetime.now(tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": notice.event_name, "namespace": notice.namespace},
        "involvedObject": {
            "apiVersion": notice.api_version,
            "kind": notice.kind,
            "namespace": notice.namespace,
            "name": notice.name,
            "uid": notice.uid,
            "resourceVersion": notice.resource_version,
        },
        "type": "Warning",
        "reason": notice.reason,
        "message": notice.message[:_LONGEST_MESSAGE],
        "source": {"component": component},
        "reportingComponent": component,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
