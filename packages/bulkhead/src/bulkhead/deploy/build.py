"""The stage `image`: a clean copy of a folder, and the image with it in the registry."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bulkhead.deploy.errors import StageError
from bulkhead.deploy.repository import Repository, RepositoryError, Snapshot
from bulkhead.deploy.settings import Settings
from bulkhead.deploy.sources import CodeFolder
from bulkhead.images import image
from bulkhead.images.errors import ImageError
from bulkhead.images.image import Built, Source
from bulkhead.images.target import Target
from bulkhead.registry.errors import RegistryError


@dataclass(frozen=True, slots=True)
class Exported:
    """A clean copy of a code location's folder.

    Attributes:
        source: What the image is made of.
        library: A copy of the source of `bulkhead`; None to use the installed version.
        chart: A copy of the chart, or its address.
        commit: The newest commit that changed the folder.
    """

    source: Source
    library: Path | None
    chart: str
    commit: str | None


def export(
    repository: Repository, settings: Settings, target: CodeFolder, snapshot: Snapshot, to: Path
) -> Exported:
    """Copy the folder, and the chart and the source of `bulkhead` if they are in the repository.

    Raises:
        StageError: git cannot read them.
    """
    folder, library, chart = to / "code", to / "library", to / "chart"
    try:
        tree = repository.tree_of(snapshot, target.folder)
        repository.export(snapshot, target.folder, folder)
        if settings.library:
            repository.export(snapshot, settings.library, library)
        if settings.has_own_chart:
            repository.export(snapshot, settings.chart, chart)
        change = repository.last_change(snapshot, target.folder)
    except RepositoryError as error:
        raise StageError("source", str(error)) from error
    source = Source(
        name=target.name,
        folder=folder,
        tree=tree,
        commit=change.commit if change else "none",
        commit_time=change.seconds if change else 0,
    )
    return Exported(
        source=source,
        library=library if settings.library else None,
        chart=str(chart) if settings.has_own_chart else settings.chart,
        commit=change.commit if change else None,
    )


def image_target(settings: Settings) -> Target:
    """Return where images are pushed to, and pulled from."""
    return Target(settings.registry, settings.push_prefix, settings.plain_http)


def ensure_image(
    settings: Settings, exported: Exported, on_progress: Callable[[str], None]
) -> Built:
    """Return the image in the registry; build and push what it lacks.

    Raises:
        StageError: It cannot be built, or the registry rejects it or does not answer.
    """
    try:
        return image.ensure(
            exported.source,
            image_target(settings),
            base_image=settings.base_image,
            library=exported.library,
            build_options=settings.build_options,
            engine=settings.engine,
            report=on_progress,
        )
    except ImageError as error:
        raise StageError("image", str(error), error.output) from error
    except RegistryError as error:
        raise StageError("image", str(error)) from error
