"""Notices that other pods respond for a code location than before."""

import threading
from collections.abc import Callable, Mapping

from bulkhead.discovery.code_servers import CodeServers, pods_by_location
from bulkhead.discovery.registry import Registration


class Rollouts:
    """Compares the pods behind each location's Service with those before."""

    def __init__(
        self,
        registrations: Callable[[], Mapping[str, Registration] | None],
        on_rollout: Callable[[str], None],
    ) -> None:
        """Start without knowing any pod.

        Args:
            registrations: Returns the registry. A namespace may report a location only if the
                location is registered there.
            on_rollout: Is called with the name of a location whose pods are others than before.
        """
        self._registrations = registrations
        self._on_rollout = on_rollout
        self._lock = threading.Lock()
        self._pods: dict[tuple[str, str], frozenset[str]] = {}  # namespace, location → pods' uids

    @property
    def known(self) -> Mapping[tuple[str, str], frozenset[str]]:
        """The uids of the pods, by namespace and location."""
        with self._lock:
            return dict(self._pods)

    def update(self, namespace: str, slices: tuple[CodeServers, ...]) -> None:
        """Take over the EndpointSlices of a namespace; called by the watchers' threads."""
        registrations = self._registrations() or {}
        for location, pods in pods_by_location(slices).items():
            with self._lock:
                before = self._pods.get((namespace, location))
                self._pods[namespace, location] = pods
            registration = registrations.get(location)
            is_owner = registration is not None and registration.namespace == namespace
            if is_owner and pods and before is not None and pods != before:
                self._on_rollout(location)
