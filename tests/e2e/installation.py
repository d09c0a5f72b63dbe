"""One installation of the platform: its Helm release, its Dagster UI, its code locations."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml
from tests.e2e.cluster import (
    ROOT,
    ApiException,
    Kube,
    delete_namespace,
    image_values,
    status_of,
)
from tests.e2e.dagster_client import Dagster, GraphQLError
from tests.e2e.helm import LOCATION_CHART, PLATFORM_CHART, Helm
from tests.e2e.waiting import NotYet, until

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PLATFORM = "bulkhead"
"""Release and namespace of the platform that `make up` installs."""

SPARE_PLATFORM = "bulkhead-e2e"
"""Release and namespace of a second one, of the tests' own."""

HELLO, HELLO_NAMESPACE = "hello", "bulkhead-hello"


@dataclass(frozen=True)
class Installation:
    """A release of the platform's chart, with its clients."""

    release: str
    namespace: str
    kube: Kube
    helm: Helm
    dagster: Dagster

    def values(self) -> dict[str, Any]:
        """The values that are set now."""
        return self.helm.values(self.release, self.namespace)

    def apply(self, values: Mapping[str, Any], *, create_namespace: bool = False) -> None:
        """Install or upgrade the platform to exactly these values; wait until it is ready."""
        self.helm.apply(
            self.release, PLATFORM_CHART, self.namespace, values, create_namespace=create_namespace
        )

    def register(self, locations: Mapping[str, Any]) -> None:
        """Add code locations to the registry, as the admin does: by an upgrade of the platform."""
        for settings in locations.values():
            self._until_absent_or_active(settings["namespace"])
        values = self.values()
        registered: dict[str, Any] = values.get("codeLocations") or {}
        if any(registered.get(name) != settings for name, settings in locations.items()):
            self.apply({**values, "codeLocations": {**registered, **deepcopy(dict(locations))}})

    def unregister(self, names: Iterable[str]) -> None:
        """Remove code locations from the registry, and delete their namespaces."""
        values = self.values()
        registered: dict[str, Any] = values.get("codeLocations") or {}
        leaving = {name: registered[name] for name in names if name in registered}
        if leaving:
            staying = {name: s for name, s in registered.items() if name not in leaving}
            self.apply({**values, "codeLocations": staying})
        for name, settings in leaving.items():
            delete_namespace(self.kube, settings.get("namespace") or self.namespace_of(name))

    def namespace_of(self, location: str) -> str:
        """The namespace of a code location without an explicit one."""
        return f"{self.release}-{location}"

    def deploy(
        self,
        location: str,
        namespace: str,
        image: str,
        values: Mapping[str, Any],
        *,
        helm: Helm | None = None,
        wait: bool = True,
    ) -> None:
        """Install or upgrade a code location, as its team does.

        Args:
            location: name of the code location and of its release.
            namespace: its namespace.
            image: one of `cluster.images()`.
            values: all other values.
            helm: Helm with another identity; the admin's by default.
            wait: until its code server is ready.
        """
        (helm or self.helm).apply(
            location,
            LOCATION_CHART,
            namespace,
            {**values, "image": image_values(image)},
            wait=wait,
            timeout=120,
        )

    def answers(self, timeout: float = 120) -> None:
        """Wait until the web server and its database respond, and every daemon is healthy."""

        def healthy() -> bool | NotYet:
            try:
                daemons = self.dagster.daemons()
            except GraphQLError as error:
                return NotYet(error)
            return (bool(daemons) and all(daemons.values())) or NotYet(daemons)

        until(healthy, timeout, f"{self.release}: web server and daemons to be healthy")

    def _until_absent_or_active(self, namespace: str) -> None:
        """Wait for the end of a deletion that an earlier session started."""

        def settled() -> bool | NotYet:
            try:
                phase = self.kube.core.read_namespace(namespace).status.phase
            except ApiException as error:
                if status_of(error) == 404:
                    return True
                raise
            return phase == "Active" or NotYet(phase)

        until(settled, 120, f"namespace {namespace} to be active or absent")


def hello_values() -> dict[str, Any]:
    """The values that ship with `hello`."""
    return yaml.safe_load((ROOT / "user_code" / "hello" / "values.yaml").read_text())


def bare_values() -> dict[str, Any]:
    """The images as the only values of the platform's chart."""
    return {
        "image": image_values("platform"),
        "postgresql": {"image": image_values("postgresql")},
        "objectStore": {"image": image_values("seaweedfs")},
    }
