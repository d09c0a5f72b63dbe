"""Lists a collection of Kubernetes objects, watches it, and survives every failure of the API.

One behaviour serves the steps of a run and the discovery of code locations. Why each part of it:

- **A list in pages, then a watch from the version of the list.** No change can fall between.
- **A watch that the server ends is resumed** from the last version seen. Every watch ends within
  minutes; to list each time would cost the API server more, and a change would be seen later.
- **Everything else lists again**: an expired version (410), an ERROR event, a broken connection, an
  answer that cannot be read, silence. What was missed is unknown then, and a list makes up for all
  of it. The objects of the store stay as they are until the list is complete.
- **Bookmarks** keep the last version recent, so that a quiet collection can be resumed at all. The
  API server sends one each minute, so a watch without a byte for 90 s is dead. It sends none for
  Events, which it does not cache: a quiet collection of Events is listed again every 90 s.
- **Watches of 240 to 300 s, chosen at random**, spread the requests of many watchers. They stay
  below the time after which etcd forgets a version (5 minutes), also without a bookmark.
- **A pause that doubles up to 5 s, with jitter**, protects an API server that is down or
  overloaded. Longer pauses would show in the Dagster UI: a new code location must be there in 10 s.
  A watch that lasted 10 s, or that brought news, resets the pause.
- **An event that is older than what is known of its object is dropped.** A proxy may repeat or
  reorder events. The versions of deleted objects are kept for this until the next list.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, cast

from bulkhead.kube.api import KubernetesApi, KubernetesApiError, WatchEvent
from bulkhead.kube.objects import Object, parts

_log = logging.getLogger(__name__)


_PAGE: Final = 500
_WATCH_SECONDS: Final = (240, 300)
SILENCE_SECONDS: Final = 90.0
"""The longest time that a watch waits for a byte, and so the longest between two heartbeats."""

_FIRST_PAUSE_SECONDS: Final = 0.2
_LONGEST_PAUSE_SECONDS: Final = 4.0  # 5 s with its jitter
_JITTER: Final = (0.75, 1.25)
_SETTLED_SECONDS: Final = 10.0

_CHANGES: Final = frozenset({"ADDED", "MODIFIED", "DELETED"})


class Store(Protocol):
    """Takes in what a collection holds.

    Both methods are called from the thread of the list-and-watch. They raise `KubernetesApiError`
    for an object that cannot be read; then the collection is listed again.
    """

    def replace(self, objects: list[Object]) -> None:
        """Take a list of all objects."""
        ...

    def apply(self, change: str, value: Object) -> None:
        """Take one change: ADDED, MODIFIED or DELETED, and the object."""
        ...


class ListWatch:
    """Keeps a store equal to one collection of the API, from `run` until `stop`."""

    def __init__(
        self,
        api: KubernetesApi,
        path: str,
        selector: Mapping[str, str],
        store: Store,
        *,
        on_heartbeat: Callable[[], None] = lambda: None,
        on_failure: Callable[[KubernetesApiError], None] = lambda error: None,  # noqa: ARG005
    ) -> None:
        """Prepare; `run` begins.

        Args:
            api: The API server.
            path: For example `/api/v1/namespaces/shop/services`.
            selector: Query that narrows the collection: `labelSelector`, `fieldSelector`.
            store: What is kept equal to the collection.
            on_heartbeat: Called with each request, page and event; see `SILENCE_SECONDS`.
            on_failure: Called with the error each time that the collection cannot be listed.
        """
        self._api = api
        self._path = path
        self._selector = dict(selector)
        self._store = store
        self._on_heartbeat = on_heartbeat
        self._on_failure = on_failure
        self._versions: dict[tuple[str, str], int] = {}
        self._last_reason: str | None = None
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Change the store no more.

        `run` returns with the end of its request, within 90 s: nothing can interrupt a read.
        """
        self._stopped.set()

    def run(self) -> None:
        """List and watch until `stop`; only an error in the store's own code ends it earlier."""
        version: str | None = None
        pause = _FIRST_PAUSE_SECONDS
        while not self._stopped.is_set():
            self._on_heartbeat()
            started = time.monotonic()
            reached: str | None = None
            since = version or self._list()
            if since is not None:
                reached = self._watch(since)
            version = reached
            if reached not in {None, since}:
                pause = _FIRST_PAUSE_SECONDS
                continue
            if time.monotonic() - started > _SETTLED_SECONDS:
                pause = _FIRST_PAUSE_SECONDS
            self._stopped.wait(pause * random.uniform(*_JITTER))  # noqa: S311 - no secret
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _list(self) -> str | None:
        """Replace the store; return the version from which to watch, None where that failed."""
        objects: list[Object] = []
        versions: dict[tuple[str, str], int] = {}
        version: str | None = None
        try:
            for page in self._api.pages(self._path, self._selector, size=_PAGE):
                self._on_heartbeat()
                version = _version(page)
                for value in parts(page, "items"):
                    versions[_key(value)] = _number(_version(value))
                    objects.append(value)
            if not self._stopped.is_set():
                self._store.replace(objects)
        except KubernetesApiError as error:
            if not self._stopped.is_set():
                self._on_failure(error)
            return None
        self._versions = versions
        return version

    def _watch(self, since: str) -> str | None:
        """Watch from a version; return the one to resume from, None where it must be listed."""
        version = since
        query = {**self._selector, "resourceVersion": since, "allowWatchBookmarks": "true"}
        seconds = random.randint(*_WATCH_SECONDS)  # noqa: S311 - spreads load, keeps no secret
        try:
            for event in self._api.watch(
                self._path, query, seconds=seconds, silence=SILENCE_SECONDS
            ):
                if self._stopped.is_set():
                    return None
                self._on_heartbeat()
                version = self._take(event)
        except KubernetesApiError as error:
            self._log_end(str(error))
            return None
        self._last_reason = None
        return version

    def _take(self, event: WatchEvent) -> str:
        """Apply an event, unless it is older than what is known of its object.

        Returns:
            The version that the watch has reached.

        Raises:
            KubernetesApiError: The server ends the watch, or the event cannot be read.
        """
        if event.type == "ERROR":
            raise KubernetesApiError(str(event.object.get("message") or event.object))
        version = _version(event.object)
        if event.type in _CHANGES:
            key, number = _key(event.object), _number(version)
            if not 0 < number < self._versions.get(key, 0):
                self._store.apply(event.type, event.object)
                self._versions[key] = number
        elif event.type != "BOOKMARK":
            raise KubernetesApiError(f"{event.type!r} is not a valid type of event")
        return version

    def _log_end(self, reason: str) -> None:
        """Log why a watch ended; the same reason again and again only once."""
        level = logging.DEBUG if reason == self._last_reason else logging.INFO
        _log.log(level, "%s: the watch ended, listing again: %s", self._path, reason)
        self._last_reason = reason


def _metadata(value: object) -> Mapping[str, Any]:
    metadata = cast("Object", value).get("metadata") if isinstance(value, Mapping) else None
    if not isinstance(metadata, Mapping):
        raise KubernetesApiError(
            f"the answer has an object without metadata: {str(cast('object', value))[:80]}"
        )
    return cast("Object", metadata)


def _key(value: object) -> tuple[str, str]:
    metadata = _metadata(value)
    name = metadata.get("name")
    if not name:
        raise KubernetesApiError(f"the answer has an object without a name: {str(value)[:80]}")
    return str(metadata.get("namespace") or ""), str(name)


def _version(value: object) -> str:
    version = _metadata(value).get("resourceVersion")
    if not version:
        raise KubernetesApiError(f"the answer has no resourceVersion: {str(value)[:80]}")
    return str(version)


def _number(version: str) -> int:
    """Return a version as a number that only grows; 0 for something else.

    https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions
    """
    return int(version) if version.isdecimal() else 0
