"""Keeps the last registry that could be read, and the event about one that cannot be."""

import logging
import threading
import time
from collections.abc import Mapping
from typing import Final

from bulkhead import names
from bulkhead.discovery import watches
from bulkhead.discovery.changes import Changes
from bulkhead.discovery.registry import (
    Registration,
    RegistryConfigMap,
    RegistryError,
    read_registry,
)
from bulkhead.kube.api import KubernetesApi
from bulkhead.service.events import KubernetesEvent

_log = logging.getLogger(__name__)

REGISTRY_UNREADABLE: Final = "CodeLocationRegistryUnreadable"
REGISTRY_MISSING: Final = "CodeLocationRegistryMissing"


class RegistryFollower:
    """Follows the registry's ConfigMap. `update` belongs to the main thread."""

    def __init__(self, api: KubernetesApi, name: str, namespace: str, changes: Changes) -> None:
        """Prepare; start `watcher` to begin."""
        self._name = name
        self._namespace = namespace
        self._changes = changes
        self._lock = threading.Lock()
        self._found: tuple[RegistryConfigMap, ...] | None = None  # None: no answer yet
        self._registrations: Mapping[str, Registration] | None = None
        self._since = 0.0
        self._event: KubernetesEvent | None = None
        self.watcher = watches.registry_config_map(api, name, namespace, self._take)

    @property
    def registrations(self) -> Mapping[str, Registration] | None:
        """The last registry that could be read, by name; None where there was none yet."""
        return self._registrations

    @property
    def since(self) -> float:
        """When a registry was first read, by the monotonic clock."""
        return self._since

    @property
    def event(self) -> KubernetesEvent | None:
        """The event about a registry that is missing or unreadable; None where it is neither."""
        return self._event

    def update(self) -> None:
        """Read the registry as it is now; keep the last one that could be read."""
        with self._lock:
            found = self._found
        if found is None:
            return
        event = self._missing() if not found else self._read(found[0])
        if event is not None and event != self._event:
            _log.error("%s", event.message)
        self._event = event

    def _take(self, found: tuple[RegistryConfigMap, ...]) -> None:
        """Called by the watcher's thread."""
        with self._lock:
            self._found = found
        self._changes.notify()

    def _read(self, config_map: RegistryConfigMap) -> KubernetesEvent | None:
        try:
            registrations = read_registry(config_map.text)
        except RegistryError as error:
            return self._unreadable(config_map, error)
        if self._registrations is None:
            self._since = time.monotonic()
        if registrations != self._registrations:
            _log.info("registry read: %s", ", ".join(registrations) or "no code location")
        self._registrations = registrations
        return None

    def _missing(self) -> KubernetesEvent:
        return self._about(
            REGISTRY_MISSING,
            f"ConfigMap {self._name} in namespace {self._namespace} is missing. The workspace "
            "stays as it is. `helm upgrade` of the platform creates the ConfigMap again.",
        )

    def _unreadable(self, config_map: RegistryConfigMap, error: RegistryError) -> KubernetesEvent:
        return self._about(
            REGISTRY_UNREADABLE,
            f"Key {names.REGISTRY_CONFIG_KEY} of ConfigMap {self._name} in namespace "
            f"{self._namespace} cannot be read: {error}. The workspace stays as it is. "
            "Correct codeLocations in the platform's values.",
            config_map,
        )

    def _about(
        self, reason: str, message: str, config_map: RegistryConfigMap | None = None
    ) -> KubernetesEvent:
        return KubernetesEvent(
            kind="ConfigMap",
            namespace=self._namespace,
            name=self._name,
            uid=config_map.uid if config_map else "",
            resource_version=config_map.resource_version if config_map else "",
            reason=reason,
            message=message,
        )
