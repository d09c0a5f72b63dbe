"""Where images are pushed to, and where pods pull them from."""

from collections.abc import Callable
from dataclasses import dataclass

from bulkhead.registry import credentials
from bulkhead.registry.client import TIMEOUT_SECONDS, Registry
from bulkhead.registry.reference import Reference, is_loopback


@dataclass(frozen=True)
class Target:
    """The prefixes of the repositories of all code locations.

    The two differ if the registry has another address in the cluster than on this machine.
    """

    registry: str
    """Prefix for pods, such as `bulkhead-registry:5000/bulkhead`."""
    push_to: str
    """Prefix for this machine, such as `127.0.0.1:5001/bulkhead`."""
    plain_http: bool = False
    """Push over HTTP without TLS. A registry on a loopback address never has TLS."""

    def push_reference(self, name: str) -> Reference:
        """Return the repository of a code location, for this machine.

        Raises:
            RegistryError: The prefix is not valid.
        """
        return Reference.parse(f"{self.push_to}/{name}")

    def pod_reference(self, name: str, digest: str) -> str:
        """Return an image of a code location as pods name it."""
        return f"{self.registry}/{name}@{digest}"

    def uses_plain_http(self, host: str) -> bool:
        """Return whether a registry is used without TLS."""
        return self.plain_http or is_loopback(host)

    def open(
        self,
        host: str,
        *,
        timeout: float = TIMEOUT_SECONDS,
        report: Callable[[str], None] = lambda _: None,
    ) -> Registry:
        """Return a client of a registry with this machine's credentials.

        Raises:
            RegistryError: The credentials cannot be read.
        """
        return Registry(
            host,
            plain_http=self.uses_plain_http(host),
            credentials=credentials.find(host),
            timeout=timeout,
            report=report,
        )

    def reachable(self, image: str) -> Reference:
        """Return the reference of an image of a pod for this machine.

        Raises:
            RegistryError: The text is not a name of an image.
        """
        prefix = f"{self.registry}/"
        if image.startswith(prefix):
            image = f"{self.push_to}/{image.removeprefix(prefix)}"
        return Reference.parse(image)
