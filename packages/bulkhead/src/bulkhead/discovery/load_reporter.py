"""Reports to each code location's namespace what the web server says about the location."""

import logging
import threading
import time
from collections.abc import Mapping
from typing import Final

from bulkhead.discovery.location_facts import REQUEST_SECONDS, LocationFacts
from bulkhead.discovery.status_writers import StatusWriters
from bulkhead.kube.api import KubernetesApi
from bulkhead.load_report import LoadReport, bounded_error
from bulkhead.service.heartbeat import Heartbeat
from bulkhead.webserver_api import workspace
from bulkhead.webserver_api.client import TIMEOUT_SECONDS, GraphQLClient
from bulkhead.webserver_api.errors import WebServerError
from bulkhead.webserver_api.workspace import LoadStatus

_log = logging.getLogger(__name__)

# A person may wait for the result of a rollout, so it is reported within about a second.
_BUSY_CHECK_SECONDS: Final = 1.0
_IDLE_CHECK_SECONDS: Final = 10.0
_RETRY_SECONDS: Final = 2.0
_BUSY_SECONDS: Final = 60.0
"""How long to check often after something changed."""
_STOP_SECONDS: Final = 3.0


class LoadReporter:
    """Checks the web server in a thread of its own; a thread per location writes the reports."""

    def __init__(self, api: KubernetesApi, client: GraphQLClient, pod: str) -> None:
        """Prepare; `start` begins.

        Args:
            api: The API server.
            client: The web server beside this process.
            pod: The name of the web server's pod.
        """
        self._client = client
        self._facts = LocationFacts(client)
        self._writers = StatusWriters(api, pod)
        self._statuses: Mapping[str, LoadStatus] = {}
        self._namespaces: Mapping[str, str] = {}
        self._busy_until = 0.0
        self._changed = threading.Condition()
        self._stopped = False
        self._failure: str | None = None
        longest = TIMEOUT_SECONDS + REQUEST_SECONDS + _IDLE_CHECK_SECONDS
        self._heartbeat = Heartbeat("load statuses", seconds=2 * longest)
        self._thread = threading.Thread(
            target=self._heartbeat.guard(self._run), name="load statuses", daemon=True
        )

    def start(self) -> None:
        """Start the thread; returns at once."""
        self._thread.start()

    def report_to(self, namespaces: Mapping[str, str]) -> None:
        """Set the namespace of each registered location, by the location's name."""
        if namespaces != self._namespaces:
            self._namespaces = dict(namespaces)
            self.hurry()

    def hurry(self) -> None:
        """Check often for a while: something about a location has changed."""
        with self._changed:
            self._busy_until = time.monotonic() + _BUSY_SECONDS
            self._changed.notify()

    def stop(self) -> None:
        """Report nothing more; remove the reports of this web server, but wait only briefly."""
        self._heartbeat.retire()
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._writers.stop(time.monotonic() + _STOP_SECONDS)

    @property
    def heartbeats(self) -> list[Heartbeat]:
        """Of all its threads."""
        return [self._heartbeat, *(each.heartbeat for each in self._writers.all)]

    @property
    def retrying(self) -> list[str]:
        """What fails now and is retried."""
        failures = {self._heartbeat.name: self._failure}
        failures |= {each.heartbeat.name: each.failure for each in self._writers.all}
        return [f"{name}: {failure}" for name, failure in failures.items() if failure]

    def _run(self) -> None:
        while not self._stopped:
            self._heartbeat.beat()
            checked = time.monotonic()
            # One location at a time, so that the next check does not wait for all of them.
            if self._check() and self._facts.read_next(self._statuses):
                continue
            with self._changed:
                while not self._stopped and (left := self._seconds_left(checked)) > 0:
                    self._changed.wait(left)

    def _seconds_left(self, checked: float) -> float:
        """Return the seconds from now until the check after that of `checked`."""
        now = time.monotonic()
        if self._failure is not None:
            return checked + _RETRY_SECONDS - now
        is_busy = now < self._busy_until
        return checked + (_BUSY_CHECK_SECONDS if is_busy else _IDLE_CHECK_SECONDS) - now

    def _check(self) -> bool:
        """Check the web server once, and offer the reports; return whether it answered."""
        try:
            statuses = workspace.load_statuses(self._client)
        except WebServerError as error:
            if self._failure is None:
                _log.info("The load statuses cannot be read: %s; retrying", error)
            self._failure = str(error)
            return False
        self._failure = None
        if statuses != self._statuses:
            self._statuses = statuses
            self.hurry()
        checked = time.time()
        for location, writer in self._writers.update(self._namespaces).items():
            writer.offer(_report(statuses.get(location), checked, self._facts, location))
        return True


def _report(
    status: LoadStatus | None, checked: float, facts: LocationFacts, location: str
) -> LoadReport:
    neighbours = facts.neighbours(location)
    running = facts.running(location)
    return LoadReport(
        image=status.image if status else None,
        error=bounded_error(status.error) if status and status.error is not None else None,
        unreachable=status is not None and status.is_unreachable,
        loading=status is not None and status.is_loading,
        updated=status.updated if status else None,
        checked=checked,
        dependents=neighbours.dependents if neighbours else None,
        taken=neighbours.taken if neighbours else None,
        running_schedules=running.schedules if running else None,
        running_sensors=running.sensors if running else None,
    )
