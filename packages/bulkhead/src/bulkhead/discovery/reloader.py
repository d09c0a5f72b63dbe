"""Brings the web server's workspace up to date after `workspace.yaml` or a code server changed."""

import logging
import threading
import time
from collections.abc import Sequence
from typing import Final

from bulkhead.service.health import Pulse
from bulkhead.webserver_api.client import QUERY_SECONDS, RELOAD_SECONDS, WebServer, WebServerError
from bulkhead.webserver_api.location import Location

_log = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 5.0
_IDLE_SECONDS: Final = 30.0
# From a change of a Service's endpoints until every node sends connections by it; kube-proxy writes
# its rules at most once a second (minSyncPeriod's default).
_SETTLE_SECONDS: Final = 2.0


class Reloader:
    """Repeats, in a thread of its own, until the web server has the workspace that it should."""

    def __init__(self, web_server: WebServer) -> None:
        """Prepare; `start` begins."""
        self._web_server = web_server
        self._wanted: tuple[Location, ...] | None = None
        self._reached: tuple[Location, ...] | None = None
        self._due: dict[str, float] = {}  # location → when to load it anew, monotonic seconds
        self._changed = threading.Condition()
        self._stopped = False
        self._trouble: str | None = None
        self.pulse = Pulse("web server", seconds=2 * (RELOAD_SECONDS + QUERY_SECONDS))
        self._thread = threading.Thread(
            target=self.pulse.guard(self._run), name="web server", daemon=True
        )

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def want(self, locations: Sequence[Location]) -> None:
        """Say what `workspace.yaml` now holds."""
        with self._changed:
            self._wanted = tuple(sorted(locations))
            self._changed.notify()

    def refresh(self, location: str) -> None:
        """Say that other pods answer for a location now; the last word of a row of them counts."""
        with self._changed:
            self._due[location] = time.monotonic() + _SETTLE_SECONDS
            self._changed.notify()

    @property
    def trouble(self) -> str | None:
        """Why the web server is not up to date yet; None where it is."""
        return self._trouble

    def stop(self) -> None:
        """Make no further attempt."""
        self.pulse.retire()
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def _run(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while not self._stopped:
            self.pulse.beat()
            with self._changed:
                wanted = None if self._wanted == self._reached else self._wanted
                location = None if wanted is not None else self._take_due()
                if wanted is None and location is None and not self._stopped:
                    self._changed.wait(self._idle_seconds())
            if location is not None:
                self._load_anew(location)
            if wanted is None:
                continue
            trouble = self._bring_to(wanted)
            if trouble is None:
                self._reached, self._trouble = wanted, None
                pause = _FIRST_PAUSE_SECONDS
                continue
            if self._trouble is None:
                _log.info("web server not up to date: %s; trying again", trouble)
            self._trouble = trouble
            with self._changed:
                self._changed.wait_for(
                    lambda wanted=wanted: self._stopped or self._wanted != wanted, timeout=pause
                )
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _take_due(self) -> str | None:
        """Return a location whose time has come, and forget it."""
        now = time.monotonic()
        for location, due in self._due.items():
            if due <= now:
                del self._due[location]
                return location
        return None

    def _idle_seconds(self) -> float:
        next_due = min(self._due.values(), default=time.monotonic() + _IDLE_SECONDS)
        return min(max(0.0, next_due - time.monotonic()), _IDLE_SECONDS)

    def _load_anew(self, location: str) -> None:
        try:
            said = self._web_server.reload_location(location)
        except WebServerError as error:
            _log.info("location %s not loaded anew: %s; trying again", location, error)
            with self._changed:
                self._due.setdefault(location, time.monotonic() + _LONGEST_PAUSE_SECONDS)
        else:
            _log.info("location %s loaded anew, its code servers changed: %s", location, said)

    def _bring_to(self, wanted: tuple[Location, ...]) -> str | None:
        """Make one attempt; return what stood in the way."""
        try:
            if self._web_server.workspace() == wanted:
                _log.info("web server is up to date: %d locations", len(wanted))
                return None
            found = self._web_server.reload()
        except WebServerError as error:
            return str(error)
        if found != wanted:
            return f"after a reload it knows {[each.name for each in found]}"
        _log.info("web server reloaded: %d locations", len(wanted))
        return None
