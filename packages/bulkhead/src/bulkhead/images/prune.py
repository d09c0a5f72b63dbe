"""Removes images of a code location that nothing needs."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from bulkhead.images.keys import LOCK_TAG, RUNTIME_TAG, TREE_TAG
from bulkhead.images.labels import Labels
from bulkhead.registry.client import Registry
from bulkhead.registry.manifests import Descriptor

KEPT: Final = 10
"""How many images of a code location stay: enough to roll back by."""


@dataclass(frozen=True)
class TreeImage:
    """A whole image of the code location."""

    tag: str
    digest: str
    labels: Labels
    layers: tuple[Descriptor, ...]


@dataclass(frozen=True)
class Part:
    """An image with the packages, or with the packages and bulkhead."""

    tag: str
    digest: str
    layers: tuple[Descriptor, ...]


@dataclass(frozen=True)
class Plan:
    """What stays in a repository, and what is removed from it."""

    repository: str
    kept: tuple[TreeImage, ...]
    """The newest first."""
    removed: tuple[TreeImage, ...]
    """The newest first."""
    removed_parts: tuple[Part, ...]
    """Parts that no kept image was made from. Their layers stay in images that have them."""

    @property
    def freed_bytes(self) -> int:
        """How much space the removal frees at most: an image with another tag may share layers."""
        kept = {layer.digest for image in self.kept for layer in image.layers}
        removed = (*self.removed, *self.removed_parts)
        sizes = {layer.digest: layer.size for image in removed for layer in image.layers}
        return sum(size for digest, size in sizes.items() if digest not in kept)


def plan(registry: Registry, repository: str, *, used: Collection[str], keep: int = KEPT) -> Plan:
    """Return what can be removed; nothing is changed.

    Args:
        registry: Has the repository.
        repository: Of one code location, without the host.
        used: Digests that pods or earlier releases refer to; they stay, as do digests that have a
            tag which `images` did not write.
        keep: How many of the newest images stay, used or not.

    Raises:
        RegistryError: The registry does not answer, or refuses.
    """
    tags = registry.tags(repository)
    foreign = [tag for tag in tags if not tag.startswith((TREE_TAG, RUNTIME_TAG, LOCK_TAG))]
    needed = {*used, *(_digests(registry, repository, foreign).values())}
    images = _tree_images(registry, repository, [tag for tag in tags if tag.startswith(TREE_TAG)])
    kept = [image for number, image in enumerate(images) if number < keep or image.digest in needed]
    needed |= {image.digest for image in kept}
    parents = {f"{RUNTIME_TAG}{image.labels.runtime}" for image in kept} | {
        f"{LOCK_TAG}{image.labels.lock}" for image in kept
    }
    parts = [tag for tag in tags if tag.startswith((RUNTIME_TAG, LOCK_TAG)) and tag not in parents]
    return Plan(
        repository,
        kept=tuple(kept),
        removed=tuple(image for image in images if image.digest not in needed),
        removed_parts=tuple(
            Part(tag, digest, _layers(registry, repository, digest))
            for tag, digest in _digests(registry, repository, parts).items()
            if digest not in needed
        ),
    )


def remove(registry: Registry, planned: Plan, report: Callable[[str], None]) -> None:
    """Remove what a plan names.

    Do it under the lock of the code location's deploys: a deploy that runs may need a part that no
    image has yet. The registry frees the space in its next garbage collection.

    Args:
        registry: Has the repository.
        planned: What to remove.
        report: Called with each tag before it is removed.

    Raises:
        RegistryError: The registry does not answer, or does not allow deletion.
    """
    for each in (*planned.removed, *planned.removed_parts):
        report(each.tag)
        registry.delete(planned.repository, each.digest)


def _digests(registry: Registry, repository: str, tags: Collection[str]) -> dict[str, str]:
    """Return tag → digest; a tag that was just removed is left out."""
    found = {tag: registry.digest(repository, tag) for tag in tags}
    return {tag: digest for tag, digest in found.items() if digest is not None}


def _layers(registry: Registry, repository: str, digest: str) -> tuple[Descriptor, ...]:
    image = registry.image(repository, digest)
    return image.layers if image else ()


def _tree_images(registry: Registry, repository: str, tags: Collection[str]) -> list[TreeImage]:
    """Return the images of tags, the newest first."""
    found = [(tag, registry.image(repository, tag)) for tag in tags]
    images = [
        TreeImage(tag, image.digest, Labels.of(image), image.layers)
        for tag, image in found
        if image is not None
    ]
    return sorted(images, key=lambda image: (-image.labels.created, image.tag))
