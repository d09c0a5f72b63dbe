"""The stage `image` in its three forms: build an image, take one that exists, or copy one."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol

from bulkhead.deploy import build
from bulkhead.deploy.build import Exported
from bulkhead.deploy.errors import StageError
from bulkhead.deploy.settings import Settings
from bulkhead.images import copying, labels
from bulkhead.images.image import Source
from bulkhead.registry.errors import RegistryError

WORK: Final = {
    "code": "code layer only",
    "library": "bulkhead and code layers",
    "packages": "new packages",
}
"""What a build does, by the lowest part that it makes."""


@dataclass(frozen=True, slots=True)
class ReadyImage:
    """An image that pods can pull.

    Attributes:
        reference: By digest, as pods name it.
        source: What it was made of. The folder has the values files of this deploy.
        done: What was done for it; None if nothing.
    """

    reference: str
    source: Source
    done: str | None

    @property
    def commit(self) -> str | None:
        """The commit that it was made of; None if that is not known."""
        return self.source.commit if self.source.commit not in {"", "none"} else None


class ImageStage(Protocol):
    """Makes sure that an image is where pods can pull it; raises StageError."""

    def __call__(
        self, settings: Settings, exported: Exported, on_progress: Callable[[str], None], /
    ) -> ReadyImage:
        """Return the image."""
        ...


def build_image(
    settings: Settings, exported: Exported, on_progress: Callable[[str], None]
) -> ReadyImage:
    """Build the image of a folder, and push what the registry lacks.

    Raises:
        StageError: It cannot be built, or the registry rejects it or does not answer.
    """
    built = build.ensure_image(settings, exported, on_progress)
    return ReadyImage(built.reference, exported.source, WORK.get(built.work))


def existing_image(image: str) -> ImageStage:
    """Return the stage that takes an image of the registry.

    Args:
        image: By digest, as pods name it.
    """

    def stage(
        settings: Settings, exported: Exported, on_progress: Callable[[str], None]
    ) -> ReadyImage:
        try:
            found = labels.labels(build.image_target(settings), image, report=on_progress)
        except RegistryError as error:
            raise StageError("image", str(error)) from error
        if found is None:
            raise StageError(
                "image",
                f"The registry does not have {image}. Check the name and the digest; `bulkhead "
                "history` shows the images that were deployed.",
            )
        source = replace(exported.source, tree=found.tree or "", commit=found.commit or "")
        return ReadyImage(image, source, None)

    return stage


def copied_image(image: str, origin: Settings) -> ImageStage:
    """Return the stage that copies an image from the registry of another environment.

    Args:
        image: By digest, as pods of that environment name it.
        origin: The settings of that environment.
    """

    def stage(
        settings: Settings, exported: Exported, on_progress: Callable[[str], None]
    ) -> ReadyImage:
        try:
            copied = copying.copy(
                image,
                exported.source.name,
                build.image_target(origin),
                build.image_target(settings),
                report=on_progress,
            )
        except RegistryError as error:
            raise StageError("image", str(error)) from error
        done = None if copied.was_there else f"copied, {copied.sent_bytes / 1e6:.1f} MB sent"
        return ReadyImage(copied.reference, exported.source, done)

    return stage
