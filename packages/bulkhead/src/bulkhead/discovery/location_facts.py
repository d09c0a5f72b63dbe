"""The assets of each code location, and its schedules and sensors that run.

They cost the web server more than the load statuses, so they are read one location at a time, and
only after the location was loaded again; what runs also once a minute.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bulkhead.discovery.neighbours import AssetOwners, Neighbours
from bulkhead.webserver_api import definitions
from bulkhead.webserver_api.client import GraphQLClient
from bulkhead.webserver_api.definitions import Asset, Running
from bulkhead.webserver_api.errors import WebServerError
from bulkhead.webserver_api.workspace import LoadStatus

_log = logging.getLogger(__name__)

REQUEST_SECONDS: Final = 10.0
"""How long one request may take. Meanwhile no load status is checked."""

_RUNNING_SECONDS: Final = 60.0
# After a rollout the web server loads a location twice: when it sees the new code server, and once
# more when every node routes to it. The definitions are read once, after both.
_CALM_SECONDS: Final = 3.0
_RETRY_SECONDS: Final = 30.0


@dataclass(slots=True)
class _Known:
    """What is known about one location. The times when something is due are monotonic seconds."""

    updated: float
    """The web server's time stamp of its last load."""
    assets_due: float | None
    """None after the assets of this load were read."""
    running_due: float
    assets: tuple[Asset, ...] | None = None
    running: Running | None = None


class LocationFacts:
    """Reads what each location defines, and remembers it while the location cannot be loaded.

    Used by one thread.
    """

    def __init__(self, client: GraphQLClient) -> None:
        """Start without knowing anything."""
        self._client = client
        self._known: dict[str, _Known] = {}
        self._owners: AssetOwners | None = None
        self._assets_changed = False

    def read_next(self, statuses: Mapping[str, LoadStatus]) -> bool:
        """Read the definitions of one location, if any is due.

        Args:
            statuses: What the web server says about the locations now.

        Returns:
            Whether one was due, so that another may be.
        """
        now = time.monotonic()
        self._take(statuses, now)
        for name, known in self._known.items():
            if not statuses[name].is_loaded:
                continue
            if known.assets_due is not None and known.assets_due <= now:
                self._read_assets(name, known)
                return True
            if known.running_due <= now:
                self._read_running(name, known)
                return True
        # Not after each location: every change here is written to the namespaces of all others.
        if self._assets_changed:
            self._assets_changed = False
            self._owners = AssetOwners(
                {name: k.assets for name, k in self._known.items() if k.assets is not None}
            )
        return False

    def neighbours(self, location: str) -> Neighbours | None:
        """Return what other locations have to do with its assets; None before any was read."""
        return self._owners.neighbours(location) if self._owners is not None else None

    def running(self, location: str) -> Running | None:
        """Return its schedules and sensors that run; None where they are not known."""
        known = self._known.get(location)
        return known.running if known else None

    def _take(self, statuses: Mapping[str, LoadStatus], now: float) -> None:
        for name in self._known.keys() - statuses.keys():
            self._assets_changed |= self._known.pop(name).assets is not None
        for name, status in statuses.items():
            due = now + _CALM_SECONDS
            known = self._known.get(name)
            if known is None:
                self._known[name] = _Known(status.updated, assets_due=due, running_due=due)
            elif known.updated != status.updated:
                known.updated, known.assets_due, known.running_due = status.updated, due, due

    def _read_assets(self, name: str, known: _Known) -> None:
        try:
            assets = definitions.assets(self._client, name, REQUEST_SECONDS)
        except WebServerError as error:
            _log.info("The assets of location %s cannot be read: %s; retrying", name, error)
            known.assets_due = time.monotonic() + _RETRY_SECONDS
            return
        known.assets_due = None
        if assets is not None and assets != known.assets:
            known.assets = assets
            self._assets_changed = True

    def _read_running(self, name: str, known: _Known) -> None:
        known.running_due = time.monotonic() + _RUNNING_SECONDS
        try:
            running = definitions.running(self._client, name, REQUEST_SECONDS)
        except WebServerError as error:
            _log.info("The schedules of location %s cannot be read: %s; retrying", name, error)
            return
        known.running = running or known.running
