"""The stage `image`: a clean copy of a folder, and the image with it in the registry."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bulkhead import images
from bulkhead.deploy.errors import StageError
from bulkhead.deploy.means import LocationReport, Means, short
from bulkhead.deploy.repository import RepositoryError, Snapshot
from bulkhead.deploy.sources import CodeFolder
from bulkhead.registry import RegistryError

_WORK: Final = {
    "code": "code layer only",
    "library": "bulkhead and code layers",
    "packages": "new packages",
}


@dataclass(frozen=True, slots=True)
class Exported:
    """A clean copy of a code location's folder.

    Attributes:
        source: What the image is made of.
        library: A copy of the source of `bulkhead`; None to use the installed version.
        chart: A copy of the chart, or its address.
        commit: The newest commit that changed the folder.
    """

    source: images.Source
    library: Path | None
    chart: str
    commit: str | None


def export(means: Means, target: CodeFolder, snapshot: Snapshot, to: Path) -> Exported:
    """Copy the folder, and the chart and the source of `bulkhead` if they are in the repository.

    Raises:
        StageError: git cannot read them.
    """
    repository, settings = means.repository, means.settings
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
    source = images.Source(
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


def ensure_image(means: Means, report: LocationReport, exported: Exported) -> images.Built:
    """Return the image in the registry; build what it lacks.

    Raises:
        StageError: It cannot be built, or the registry rejects it or does not answer.
    """
    settings = means.settings
    began = time.monotonic()
    try:
        built = images.ensure(
            exported.source,
            images.Target(settings.registry, settings.push_prefix, settings.plain_http),
            base_image=settings.base_image,
            library=exported.library,
            build_options=settings.build_options,
            engine=settings.engine,
            report=lambda text: report.progress("image", text),
        )
    except images.ImageError as error:
        raise StageError("image", str(error), error.output) from error
    except RegistryError as error:
        raise StageError("image", str(error)) from error
    if built.work != "nothing":
        report.stage("image", f"{short(built.reference)}  {_WORK[built.work]}", began)
    return built
