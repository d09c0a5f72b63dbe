"""Brings the web server's workspace up to date after `workspace.yaml` or a code server changed."""

import logging
import threading
import time
from collections.abc import Sequence
from typing import Final

from bulkhead.service.heartbeat import Heartbeat
from bulkhead.webserver_api import workspace
from bulkhead.webserver_api.client import TIMEOUT_SECONDS, GraphQLClient
from bulkhead.webserver_api.errors import ReportedError, WebServerError
from bulkhead.webserver_api.workspace import RELOAD_SECONDS, Location

_log = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 5.0
_IDLE_SECONDS: Final = 30.0
# From a change of a Service's endpoints until every node routes connections accordingly; kube-proxy
# writes its rules at most once a second (minSyncPeriod's default).
_SETTLE_SECONDS: Final = 2.0


class Reloader:
    """Retries, in its own thread, until the web server has the workspace that it should have."""

    def __init__(self, client: GraphQLClient) -> None:
        """Prepare; `start` begins."""
        self._client = client
        self._wanted: tuple[Location, ...] | None = None
        self._reached: tuple[Location, ...] | None = None
        self._due: dict[str, float] = {}  # location → when to reload it, monotonic seconds
        self._changed = threading.Condition()
        self._stopped = False
        self._failure: str | None = None
        self.heartbeat = Heartbeat("web server", seconds=2 * (RELOAD_SECONDS + TIMEOUT_SECONDS))
        self._thread = threading.Thread(
            target=self.heartbeat.guard(self._run), name="web server", daemon=True
        )

    def start(self) -> None:
        """Start the thread; returns at once."""
        self._thread.start()

    def want(self, locations: Sequence[Location]) -> None:
        """Set the locations that `workspace.yaml` has now."""
        with self._changed:
            self._wanted = tuple(sorted(locations))
            self._changed.notify()

    def reload_location(self, location: str) -> None:
        """Reload a location once its endpoints have not changed for a moment."""
        with self._changed:
            self._due[location] = time.monotonic() + _SETTLE_SECONDS
            self._changed.notify()

    @property
    def failure(self) -> str | None:
        """Why the web server is not up to date yet; None where it is."""
        return self._failure

    def stop(self) -> None:
        """Make no further attempt."""
        self.heartbeat.retire()
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def _run(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while not self._stopped:
            self.heartbeat.beat()
            with self._changed:
                wanted = None if self._wanted == self._reached else self._wanted
                location = None if wanted is not None else self._take_due()
                if wanted is None and location is None and not self._stopped:
                    self._changed.wait(self._idle_seconds())
            if location is not None:
                self._reload_location(location)
            if wanted is None:
                continue
            failure = self._bring_to(wanted)
            if failure is None:
                self._reached, self._failure = wanted, None
                pause = _FIRST_PAUSE_SECONDS
                continue
            if self._failure is None:
                _log.info("The web server is not up to date: %s; retrying", failure)
            self._failure = failure
            with self._changed:
                self._changed.wait_for(
                    lambda wanted=wanted: self._stopped or self._wanted != wanted, timeout=pause
                )
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _take_due(self) -> str | None:
        """Return a location that is due, and remove it from those that are."""
        now = time.monotonic()
        for location, due in self._due.items():
            if due <= now:
                del self._due[location]
                return location
        return None

    def _idle_seconds(self) -> float:
        next_due = min(self._due.values(), default=time.monotonic() + _IDLE_SECONDS)
        return min(max(0.0, next_due - time.monotonic()), _IDLE_SECONDS)

    def _reload_location(self, location: str) -> None:
        try:
            workspace.reload_location(self._client, location)
        except WebServerError as error:
            if isinstance(error, ReportedError) and error.type_name != "PythonError":
                # It is not in the web server's workspace, so there is nothing to reload.
                _log.info("Location %s was not reloaded: %s", location, error)
                return
            _log.info("Location %s was not reloaded: %s; retrying", location, error)
            with self._changed:
                self._due.setdefault(location, time.monotonic() + _LONGEST_PAUSE_SECONDS)
        else:
            _log.info("Location %s was reloaded: its code servers changed.", location)

    def _bring_to(self, wanted: tuple[Location, ...]) -> str | None:
        """Make one attempt; return why it failed, None where it did not."""
        try:
            if workspace.locations(self._client) == wanted:
                _log.info("The web server is up to date: %d locations.", len(wanted))
                return None
            found = workspace.reload(self._client)
        except WebServerError as error:
            return str(error)
        if found != wanted:
            return f"after a reload it has the locations {[each.name for each in found]}"
        _log.info("The web server was reloaded: %d locations.", len(wanted))
        return None
