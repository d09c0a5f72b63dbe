"""Copies the image of a code location into the registry of another environment."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bulkhead.images.keys import TREE_TAG
from bulkhead.images.target import Target
from bulkhead.registry import copying
from bulkhead.registry.client import TIMEOUT_SECONDS, Registry
from bulkhead.registry.copying import Place
from bulkhead.registry.errors import RegistryError

_SHORT: Final = 16  # hex digits of a digest in a tag


@dataclass(frozen=True)
class Copied:
    """An image in the registry of another environment."""

    reference: str
    """By digest, as pods of that environment name it."""
    was_there: bool
    """Whether the registry had the image already."""
    sent_bytes: int


def copy(
    image: str,
    name: str,
    source: Target,
    target: Target,
    *,
    timeout: float = TIMEOUT_SECONDS,
    report: Callable[[str], None] = lambda _: None,
) -> Copied:
    """Copy an image of a code location, unless the registry of the target has it.

    Args:
        image: As pods of the source name it, by digest.
        name: The code location.
        source: Has the image.
        target: Gets it; may be the same registry, and the same repository of it.
        timeout: Seconds to wait for a registry that does not answer.
        report: Called with a line before something that takes long.

    Raises:
        RegistryError: A registry does not answer, or refuses; the source lacks the image; or the
            name of the image has no digest.
    """
    found, named = source.reachable(image), target.push_reference(name)
    if found.digest is None:
        raise RegistryError(f"{image} has no digest, so it may be another image tomorrow.")
    to = target.open(named.host, timeout=timeout, report=report)
    reference = target.pod_reference(name, found.digest)
    if to.digest(named.repository, found.digest) is not None:
        return Copied(reference, was_there=True, sent_bytes=0)
    registry = source.open(found.host, timeout=timeout, report=report)
    sent = copying.copy(
        Place(registry, found.repository),
        Place(to, named.repository),
        found.digest,
        _tag(registry, found.repository, found.digest),
        lambda size: report(f"copies {size / 1e6:.1f} MB to {named.host}"),
    )
    return Copied(reference, was_there=False, sent_bytes=sent)


def _tag(registry: Registry, repository: str, digest: str) -> str:
    """Return the tag of an image; where `images` made it, that by which a deploy finds it."""
    for tag in registry.tags(repository):
        if tag.startswith(TREE_TAG) and registry.digest(repository, tag) == digest:
            return tag
    return f"copied-{digest.removeprefix('sha256:')[:_SHORT]}"
