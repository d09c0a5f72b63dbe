"""The labels of an image: what it was made from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from bulkhead.images.target import Target
from bulkhead.registry.client import TIMEOUT_SECONDS
from bulkhead.registry.manifests import Image

TITLE: Final = "org.opencontainers.image.title"
COMMIT: Final = "org.opencontainers.image.revision"
TREE: Final = "dev.bulkhead.tree"
LOCK: Final = "dev.bulkhead.lock"
LIBRARY: Final = "dev.bulkhead.library"
RUNTIME: Final = "dev.bulkhead.runtime"


@dataclass(frozen=True)
class Labels:
    """What an image was made from; a field is None if the image does not say it."""

    tree: str | None
    """The git tree of the folder of the code location."""
    commit: str | None
    """The first commit that this image was made for."""
    lock: str | None
    """The key of the packages."""
    library: str | None
    """The key of bulkhead."""
    runtime: str | None
    """The key of both."""
    created: float
    """The time of the commit, in seconds since the epoch."""

    @classmethod
    def of(cls, image: Image) -> "Labels":
        """Read the labels of an image."""
        labels: Mapping[str, str] = image.labels
        return cls(
            tree=labels.get(TREE),
            commit=labels.get(COMMIT),
            lock=labels.get(LOCK),
            library=labels.get(LIBRARY),
            runtime=labels.get(RUNTIME),
            created=image.created,
        )


def labels(
    target: Target,
    image: str,
    *,
    timeout: float = TIMEOUT_SECONDS,
    report: Callable[[str], None] = lambda _: None,
) -> Labels | None:
    """Return the labels of an image that a pod uses; None if the registry does not have it.

    Args:
        target: Translates the address for pods into the one for this machine.
        image: The reference of a pod, by digest or by tag.
        timeout: Seconds to wait for a registry that does not answer.
        report: Called with a line before each retry.

    Raises:
        RegistryError: The registry does not answer, or refuses.
    """
    reference = target.reachable(image)
    registry = target.open(reference.host, timeout=timeout, report=report)
    version = reference.digest or reference.tag or "latest"
    stored = registry.image(reference.repository, version)
    return None if stored is None else Labels.of(stored)
