"""Follows the Services, and on request the EndpointSlices, of the registered namespaces."""

import logging
import threading
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from bulkhead.discovery import watches
from bulkhead.discovery.changes import Changes
from bulkhead.discovery.code_servers import CodeServers
from bulkhead.discovery.rollouts import Rollouts
from bulkhead.discovery.workspace import CodeLocationService
from bulkhead.kube.api import KubernetesApi

if TYPE_CHECKING:
    from bulkhead.discovery.collection import Collection

_log = logging.getLogger(__name__)


class Namespaces:
    """The watchers of each namespace, and the Services that they found."""

    def __init__(self, api: KubernetesApi, changes: Changes, rollouts: Rollouts | None) -> None:
        """Prepare; `watch` begins.

        Args:
            api: The API server.
            changes: Is notified when Services changed.
            rollouts: Gets the EndpointSlices; without it they are not watched.
        """
        self._api = api
        self._changes = changes
        self._rollouts = rollouts
        self._lock = threading.Lock()
        self._watchers: dict[str, tuple[Collection[Any], ...]] = {}
        self._services: dict[str, tuple[CodeLocationService, ...]] = {}
        self._answered: set[str] = set()

    @property
    def watched(self) -> frozenset[str]:
        """The namespaces that are watched now."""
        with self._lock:
            return frozenset(self._watchers)

    @property
    def watchers(self) -> list["Collection[Any]"]:
        """The watchers of all namespaces."""
        with self._lock:
            return [each for watchers in self._watchers.values() for each in watchers]

    @property
    def services(self) -> Mapping[str, tuple[CodeLocationService, ...]]:
        """The Services of each namespace that could be listed."""
        with self._lock:
            return dict(self._services)

    def have_answered(self) -> bool:
        """Return whether each namespace could be listed once, or failed to be."""
        with self._lock:
            return self._watchers.keys() <= self._answered

    def watch(self, namespaces: Iterable[str]) -> None:
        """Watch these namespaces and no others."""
        wanted = set(namespaces)
        for namespace in sorted(self.watched - wanted):
            self._leave(namespace)
        for namespace in sorted(wanted - self.watched):
            self._join(namespace)

    def stop(self) -> None:
        """Stop all watchers."""
        for watcher in self.watchers:
            watcher.stop()

    def _join(self, namespace: str) -> None:
        watchers: list[Collection[Any]] = [
            watches.services(
                self._api,
                namespace,
                on_change=lambda services: self._take(namespace, services),
                on_failure=lambda: self._take_failure(namespace),
            )
        ]
        rollouts = self._rollouts
        if rollouts is not None:

            def take_slices(slices: tuple[CodeServers, ...]) -> None:
                rollouts.update(namespace, slices)

            watchers.append(watches.endpoint_slices(self._api, namespace, on_change=take_slices))
        with self._lock:
            self._watchers[namespace] = tuple(watchers)
        for watcher in watchers:
            watcher.start()
        _log.info("watching namespace %s", namespace)

    def _leave(self, namespace: str) -> None:
        with self._lock:
            watchers = self._watchers.pop(namespace)
            self._services.pop(namespace, None)
            self._answered.discard(namespace)
        for watcher in watchers:
            watcher.stop()
        _log.info("no longer watching namespace %s", namespace)

    # --- Called by the watchers' threads ---

    def _take(self, namespace: str, services: tuple[CodeLocationService, ...]) -> None:
        with self._lock:
            if namespace not in self._watchers:
                return
            self._services[namespace] = services
            self._answered.add(namespace)
        self._changes.notify()

    def _take_failure(self, namespace: str) -> None:
        with self._lock:
            if namespace in self._answered or namespace not in self._watchers:
                return
            self._answered.add(namespace)
        self._changes.notify()
