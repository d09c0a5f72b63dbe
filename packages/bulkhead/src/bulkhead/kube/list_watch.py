"""One collection of Kubernetes objects, followed for as long as the process lives.

The loop is: list, watch until the watch ends for whatever reason, list again. A list is cheap here
(a handful of Services), and nothing else makes up for everything that a watch can lose: there is
no resume from a resource version, so an expired one (410) is no special case.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, TypeVar

from bulkhead.kube.api import KubernetesApi, KubernetesApiError, WatchEvent
from bulkhead.service.health import Pulse

_log = logging.getLogger(__name__)

_T = TypeVar("_T")

# Servers end watches by themselves after 30 to 60 minutes; ending them first, each at its own
# time, spreads the lists and bounds how long a missed event can matter.
_WATCH_SECONDS: Final = (240, 300)
_PAGE: Final = 500

# A location must show within 10 s of its Role: so the longest pause, with its jitter, is 5 s.
_FIRST_PAUSE_SECONDS: Final = 0.2
_LONGEST_PAUSE_SECONDS: Final = 4.0
# A watch that lived this long was in order; one that ends sooner again and again is slowed down.
_SETTLED_SECONDS: Final = 10.0

_FORBIDDEN: Final = 403


class Collection(Generic[_T]):
    """Lists and watches a collection in a thread of its own.

    `on_change` gets all objects after each successful list that differs and after each event;
    `on_failure` is told that a list failed, after which the last known objects stay what they are.
    Both are called from the collection's thread.
    """

    def __init__(
        self,
        api: KubernetesApi,
        *,
        what: str,
        path: str,
        selector: Mapping[str, str],
        parse: Callable[[Mapping[str, Any]], _T | None],
        on_change: Callable[[tuple[_T, ...]], None],
        on_failure: Callable[[], None],
        advice_when_forbidden: str,
    ) -> None:
        """Prepare; `start` begins.

        Args:
            api: The API server.
            what: The collection in a person's words; it stands in log lines.
            path: For example `/api/v1/namespaces/shop/services`.
            selector: Query that narrows the collection: `labelSelector`, `fieldSelector`.
            parse: Takes of an object what matters, None where nothing does.
            on_change: See above.
            on_failure: See above.
            advice_when_forbidden: What to do about a 403, for the log.
        """
        self._api = api
        self._what = what
        self._path = path
        self._selector = dict(selector)
        self._parse = parse
        self._on_change = on_change
        self._on_failure = on_failure
        self._advice_when_forbidden = advice_when_forbidden

        self._objects: dict[str, _T] = {}
        self._versions: dict[str, int] = {}
        self._listed = False
        self._trouble: str | None = None
        self._stopped = threading.Event()
        self.pulse = Pulse(what, seconds=2 * _WATCH_SECONDS[1])
        self._thread = threading.Thread(target=self.pulse.guard(self._run), name=what, daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Report nothing more.

        The thread ends with its watch, some minutes later at most: a blocked read cannot be
        interrupted, and nothing waits for it.
        """
        self._stopped.set()
        self.pulse.retire()

    @property
    def trouble(self) -> str | None:
        """Why the last list failed; None where it did not."""
        return self._trouble

    def _run(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while not self._stopped.is_set():
            self.pulse.beat()
            started = time.monotonic()
            try:
                version = self._list()
            except KubernetesApiError as error:
                self._failed(error)
            else:
                self._follow(version)
            if time.monotonic() - started > _SETTLED_SECONDS:
                pause = _FIRST_PAUSE_SECONDS
            # Jitter: many watchers lose one API server at the same moment. Not for secrets.
            self._stopped.wait(pause * random.uniform(0.75, 1.25))  # noqa: S311
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _list(self) -> str:
        """Take the whole collection over; return the version from which to watch."""
        objects: dict[str, _T] = {}
        versions: dict[str, int] = {}
        resource_version = ""
        for page in self._api.pages(self._path, self._selector, size=_PAGE):
            for item in page.get("items") or []:
                name, version, value = self._read(item)
                versions[name] = version
                if value is not None:
                    objects[name] = value
            resource_version = str((page.get("metadata") or {}).get("resourceVersion", ""))
        changed = not self._listed or objects != self._objects
        self._objects, self._versions, self._listed = objects, versions, True
        if self._trouble is not None:
            _log.info("answers again: %s", self._what)
            self._trouble = None
        if changed:
            self._publish()
        return resource_version

    def _follow(self, version: str) -> None:
        """Watch from `version` until the watch ends; why it did is worth no more than a note."""
        seconds = random.randint(*_WATCH_SECONDS)  # noqa: S311 - spreads load, keeps no secret
        query = {**self._selector, "resourceVersion": version}
        try:
            for event in self._api.watch(self._path, query, seconds):
                if self._stopped.is_set():
                    return
                self.pulse.beat()
                if event.type == "BOOKMARK":
                    continue
                if event.type == "ERROR":
                    _log.debug("watch ended by the server: %s: %s", self._what, event.object)
                    return
                if self._apply(event):
                    self._publish()
        except KubernetesApiError as error:
            _log.debug("watch ended: %s: %s", self._what, error)

    def _apply(self, event: WatchEvent) -> bool:
        """Take one event over; return whether the objects changed by it.

        An event older than what is known of its object (a proxy that repeats or reorders) is
        passed over. Versions of deleted objects are kept for that until the next list.
        """
        name, version, value = self._read(event.object)
        if version < self._versions.get(name, 0):
            return False
        self._versions[name] = version
        if event.type == "DELETED" or value is None:
            return self._objects.pop(name, None) is not None
        if self._objects.get(name) == value:
            return False
        self._objects[name] = value
        return True

    def _read(self, item: Mapping[str, Any]) -> tuple[str, int, _T | None]:
        try:
            version = str(item["metadata"]["resourceVersion"])
            # Versions are decimal numbers on every conformant API server; see "Resource version
            # string" in the Kubernetes API concepts. One that is not orders nothing.
            number = int(version) if version.isdecimal() else 0
            return str(item["metadata"]["name"]), number, self._parse(item)
        except (KeyError, TypeError, AttributeError) as error:
            raise KubernetesApiError(
                f"an item of the answer is not an object: {str(item)[:80]}"
            ) from error

    def _publish(self) -> None:
        if not self._stopped.is_set():
            self._on_change(tuple(self._objects.values()))

    def _failed(self, error: KubernetesApiError) -> None:
        """Log a failure once, not with each attempt."""
        reason = str(error)
        if self._trouble is None:
            advice = f" ({self._advice_when_forbidden})" if error.status == _FORBIDDEN else ""
            _log.warning("cannot list: %s: %s%s; trying again", self._what, reason, advice)
        self._trouble = reason
        if not self._stopped.is_set():
            self._on_failure()
