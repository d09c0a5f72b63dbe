"""Brings the web server's workspace up to date after `workspace.yaml` or a code server changed.

Dagster 1.13 rereads the file on the mutation `reloadWorkspace` and on nothing else. The mutation
asks every code server again, the unchanged ones too, one after the other: their processes are left
alone (`ReloadCode` of `dagster api grpc` only logs a warning) but a location that hangs holds the
others up. There is no gentler way for a location that is new or gone, so the web server is first
asked what it has, and told to reload only where that differs.
"""

import json
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import urllib3

from bulkhead.discovery.health import Pulse
from bulkhead.discovery.workspace import Location

_log = logging.getLogger(__name__)

_FIELDS: Final = """{
  __typename
  ... on Workspace { locationEntries { name displayMetadata { key value } } }
  ... on Error { message }
}"""
_QUERY: Final = f"query {{ answer: workspaceOrError {_FIELDS} }}"
_RELOAD: Final = f"mutation {{ answer: reloadWorkspace {_FIELDS} }}"

_RELOAD_LOCATION: Final = """mutation Reload($name: String!) {
  answer: reloadRepositoryLocation(repositoryLocationName: $name) {
    __typename
    ... on Error { message }
  }
}"""

_QUERY_SECONDS: Final = 15.0
# Dagster gives each code server up to 180 s to load (code_server_reload_timeout's default); this
# bounds one attempt only: the web server goes on after it, and the next question sees what it did.
_RELOAD_SECONDS: Final = 240.0

_FIRST_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 5.0
_IDLE_SECONDS: Final = 30.0
# From a change of a Service's endpoints until every node sends connections by it; kube-proxy writes
# its rules at most once a second (minSyncPeriod's default).
_SETTLE_SECONDS: Final = 2.0


class WebServerError(Exception):
    """The web server did not answer, or not with a workspace."""


class WebServer:
    """Dagster's web server: whatever it is asked, and its workspace."""

    def __init__(self, url: str) -> None:
        """`url` is that of its GraphQL endpoint."""
        self._url = url
        self._pool = urllib3.PoolManager(maxsize=1, retries=False)

    def workspace(self) -> tuple[Location, ...]:
        """Return the locations that the web server knows, loaded or not, by name.

        Raises:
            WebServerError: No answer, or an error in place of one.
        """
        return self._ask(_QUERY, _QUERY_SECONDS)

    def reload(self) -> tuple[Location, ...]:
        """Let the web server read its workspace file; return the locations it then knows.

        Raises:
            WebServerError: No answer, or an error in place of one.
        """
        return self._ask(_RELOAD, _RELOAD_SECONDS)

    def reload_location(self, name: str) -> str:
        """Let the web server load one location anew; return what it says of that.

        Raises:
            WebServerError: No answer, or an error in place of one.
        """
        answer = self.answer(_RELOAD_LOCATION, _RELOAD_SECONDS, {"name": name})
        said = str(answer.get("message") or answer.get("__typename"))
        if answer.get("__typename") == "PythonError":
            raise WebServerError(said)
        return said

    def answer(self, query: str, seconds: float, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Return the field of an answer that the query calls `answer`.

        Args:
            query: A query or mutation in which one field, an object, has that name.
            seconds: How long the web server may take.
            variables: Of the query.

        Raises:
            WebServerError: No answer, or not one of GraphQL with that object. An error in place of
                what was asked for is an object, too.
        """
        try:
            response = self._pool.request(
                "POST",
                self._url,
                json={"query": query, "variables": variables},
                timeout=urllib3.Timeout(connect=5, read=seconds),
            )
            body = json.loads(response.data)
            if body.get("errors") and not body.get("data"):
                raise WebServerError(f"{self._url} says: {body['errors'][0]['message']}")
            answer = body["data"]["answer"]
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise WebServerError(f"no answer from {self._url}: {type(error).__name__}") from error
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise self._no_graphql(error) from error
        if not isinstance(answer, dict):
            raise self._no_graphql(TypeError(f"answer is {answer!r}"))
        return cast("dict[str, Any]", answer)

    def _ask(self, query: str, seconds: float) -> tuple[Location, ...]:
        answer = self.answer(query, seconds, {})
        entries = answer.get("locationEntries")
        if entries is None:
            raise WebServerError(f"{answer.get('__typename')}: {answer.get('message')}")
        try:
            return tuple(sorted(_location(entry) for entry in entries))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._no_graphql(error) from error

    def _no_graphql(self, error: Exception) -> WebServerError:
        return WebServerError(f"{self._url} is not Dagster's GraphQL: {error!r}")


def _location(entry: dict[str, Any]) -> Location:
    metadata = {each["key"]: each["value"] for each in entry["displayMetadata"]}
    return Location(
        cast("str", entry["name"]), metadata.get("host", ""), int(metadata.get("port", 0))
    )


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
        self.pulse = Pulse("web server", seconds=2 * (_RELOAD_SECONDS + _QUERY_SECONDS))
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
