"""Keep the load reports of the code locations up to date in their namespaces."""

import logging
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from bulkhead import names
from bulkhead.discovery.registry import role_advice
from bulkhead.discovery.status_config_map import StatusConfigMap
from bulkhead.kube.api import KubernetesApi, KubernetesApiError
from bulkhead.load_report import RENEWAL_SECONDS, LoadReport
from bulkhead.service.heartbeat import Heartbeat

_log = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 30.0
_IDLE_SECONDS: Final = 30.0
_MISSING: Final = frozenset({403, 404})


class StatusWriters:
    """A writer for each location and its namespace."""

    def __init__(self, api: KubernetesApi, pod: str) -> None:
        """Start without any; `pod` is the name of the web server's pod."""
        self._api = api
        self._pod = pod
        self._lock = threading.Lock()
        self._writers: dict[tuple[str, str], StatusWriter] = {}  # location, namespace

    @property
    def all(self) -> list["StatusWriter"]:
        """All of them."""
        with self._lock:
            return list(self._writers.values())

    def update(self, namespaces: Mapping[str, str]) -> Mapping[str, "StatusWriter"]:
        """Start and stop writers so that there is one for each location; return them.

        Args:
            namespaces: The namespace of each location.
        """
        with self._lock:
            for key in self._writers.keys() - namespaces.items():
                self._writers.pop(key).stop()
            for location, namespace in namespaces.items() - self._writers.keys():
                writer = StatusWriter(self._api, namespace, self._pod)
                self._writers[location, namespace] = writer
                writer.start()
            return {location: writer for (location, _), writer in self._writers.items()}

    def stop(self, end: float) -> None:
        """Stop all, and wait until they have ended or until this time of the monotonic clock."""
        writers = self.all
        for writer in writers:
            writer.stop()
        for writer in writers:
            writer.join(max(0.0, end - time.monotonic()))


class StatusWriter:
    """Writes the reports of one location in its own thread, so no namespace delays another."""

    def __init__(self, api: KubernetesApi, namespace: str, pod: str) -> None:
        """Prepare; `start` begins."""
        self._namespace = namespace
        self._config_map = StatusConfigMap(api, namespace, pod)
        self._changed = threading.Condition()
        self._offered: LoadReport | None = None
        self._written: LoadReport | None = None
        self._stopped = False
        self._failure: str | None = None
        what = f"ConfigMap {names.STATUS_CONFIG_MAP} in namespace {namespace}"
        self.heartbeat = Heartbeat(what, seconds=6 * _IDLE_SECONDS)
        self._thread = threading.Thread(
            target=self.heartbeat.guard(self._run), name=what, daemon=True
        )

    def start(self) -> None:
        """Start the thread; returns at once."""
        self._thread.start()

    def offer(self, report: LoadReport) -> None:
        """Set what applies now. It is written if it is new, or if it is time to renew it."""
        with self._changed:
            self._offered = report
            self._changed.notify()

    def stop(self) -> None:
        """Write nothing more, and remove the entry if it can be removed; returns at once."""
        self.heartbeat.retire()
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def join(self, timeout: float) -> None:
        """Wait until the thread has ended, or until the timeout, in seconds."""
        self._thread.join(timeout)

    @property
    def failure(self) -> str | None:
        """Why the last report could not be written; None where it could."""
        return self._failure

    def _run(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while not self._stopped:
            self.heartbeat.beat()
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or self._due(), _IDLE_SECONDS)
                report = self._due()
            if self._stopped or report is None:
                continue
            if self._write(report):
                pause = _FIRST_PAUSE_SECONDS
                continue
            with self._changed:
                self._changed.wait_for(lambda report=report: self._is_outdated(report), pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        if self._written is not None and self._failure is None:
            with suppress(KubernetesApiError):  # another web server removes the entry later
                self._config_map.remove()

    def _due(self) -> LoadReport | None:
        """Return the report to write; None where what is written is good enough."""
        offered, written = self._offered, self._written
        if offered is None or written is None:
            return offered
        is_same = offered.says_the_same_as(written)
        return None if is_same and offered.checked < written.checked + RENEWAL_SECONDS else offered

    def _is_outdated(self, report: LoadReport) -> bool:
        """Return whether to stop waiting with this report."""
        offered = self._offered
        return self._stopped or (offered is not None and not offered.says_the_same_as(report))

    def _write(self, report: LoadReport) -> bool:
        try:
            self._config_map.write(report)
        except KubernetesApiError as error:
            self._failed(error)
            return False
        if self._failure is not None:
            _log.info("%s: works again", self.heartbeat.name)
        self._failure, self._written = None, report
        return True

    def _failed(self, error: KubernetesApiError) -> None:
        """Log a failure once, not with each attempt."""
        if self._failure is None:
            is_missing = error.status in _MISSING
            advice = f" ({role_advice(names.STATUS_ROLE, self._namespace)})" if is_missing else ""
            _log.warning("%s cannot be written: %s%s; retrying", self.heartbeat.name, error, advice)
        self._failure = str(error)
