"""Says what `image.ensure` would do, without making or pushing anything."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bulkhead.images import code
from bulkhead.images.image import Source, Work
from bulkhead.images.keys import Keys
from bulkhead.images.target import Target
from bulkhead.registry.client import TIMEOUT_SECONDS


@dataclass(frozen=True)
class Planned:
    """What is missing of an image."""

    work: Work
    """The lowest part that is missing; the parts above it would be made too."""
    reference: str | None
    """By digest, as pods name it; None if the image is not in the registry."""


def plan(
    source: Source,
    target: Target,
    *,
    base_image: str,
    library: Path | None = None,
    timeout: float = TIMEOUT_SECONDS,
    report: Callable[[str], None] = lambda _: None,
) -> Planned:
    """Return what the registry lacks of the image of a code location.

    Args:
        source: The code location.
        target: The registry.
        base_image: For the packages.
        library: The source folder of bulkhead, or None for the bulkhead that runs.
        timeout: Seconds for which a registry that does not answer is retried.
        report: Called with a line before each retry.

    Raises:
        ImageError: The lock cannot be read, or the files of bulkhead are not known.
        RegistryError: The registry does not answer, or refuses.
    """
    named = target.push_reference(source.name)
    registry = target.open(named.host, timeout=timeout, report=report)
    keys = Keys.of(source.folder / code.LOCK, base_image, library, source.tree)
    digest = registry.digest(named.repository, keys.tree_tag)
    if digest is not None:
        return Planned("nothing", target.pod_reference(source.name, digest))
    if registry.digest(named.repository, keys.runtime_tag) is not None:
        return Planned("code", None)
    if registry.digest(named.repository, keys.lock_tag) is not None:
        return Planned("library", None)
    return Planned("packages", None)
