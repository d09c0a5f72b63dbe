"""Says what a deploy would do. It only reads: the repository, the registry and the cluster."""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from bulkhead import names
from bulkhead.deploy import build, live
from bulkhead.deploy.build import Exported
from bulkhead.deploy.errors import NotRegisteredError, StageError
from bulkhead.deploy.helm import HelmError, Release, Revision
from bulkhead.deploy.image_stage import WORK, existing_image
from bulkhead.deploy.live import CodeServer, short
from bulkhead.deploy.location import Outcome, Result
from bulkhead.deploy.means import LocationReport, Means
from bulkhead.deploy.release import is_live, release_of
from bulkhead.deploy.sources import CodeFolder
from bulkhead.images import labels, planning
from bulkhead.images.errors import ImageError
from bulkhead.images.image import Source
from bulkhead.kube import config_maps
from bulkhead.kube.api import KubernetesApiError
from bulkhead.registry.errors import RegistryError

# Stands for the digest of an image that is not built, to check the values with the chart's schema.
_UNKNOWN_DIGEST: Final = f"sha256:{'0' * 64}"


@dataclass(frozen=True, slots=True)
class Order:
    """What a deploy was called with.

    Attributes:
        again: Deploy also what is live already.
        are_named: The caller named each code location; otherwise those that the platform does not
            know are left out.
        image: An image that exists, by digest; None builds one.
    """

    again: bool = False
    are_named: bool = False
    image: str | None = None


@dataclass(frozen=True, slots=True)
class _Image:
    """The image that a deploy would release; the reference is None if it would be built."""

    reference: str | None
    source: Source
    text: str


def run(means: Means, targets: Sequence[CodeFolder], order: Order) -> list[Outcome]:
    """Report for each code location what a deploy would do."""
    began = time.monotonic()
    outcomes = [_plan(means, each, order) for each in targets]
    count = sum(each.result == "planned" for each in outcomes)
    failed = [each.location for each in outcomes if each.result == "failed"]
    text = f"would deploy {count} of {len(outcomes)} code locations · nothing was changed"
    means.report.end(
        " · ".join([text, *([f"would fail: {', '.join(failed)}"] if failed else [])]),
        outcomes=[asdict(each) for each in outcomes],
        seconds=round(time.monotonic() - began, 1),
    )
    return outcomes


def _plan(means: Means, target: CodeFolder, order: Order) -> Outcome:
    began = time.monotonic()
    result: Result = "failed"
    image: str | None = None
    reason: str | None = None
    try:
        with tempfile.TemporaryDirectory(prefix="bulkhead-deploy-") as scratch:
            result, image = _planned(means, target, order, Path(scratch))
    except StageError as error:
        reason = f"{error.stage}: {error}"
        if isinstance(error, NotRegisteredError) and not order.are_named:
            result = "not registered"
            means.report.location(target.name, "not registered on this platform, left out")
        else:
            means.report.failure(target.name, error.stage, str(error), error.output)
            means.report.state(target.name, "Nothing was changed.")
    return Outcome(target.name, result, image, time.monotonic() - began, reason)


def _planned(
    means: Means, target: CodeFolder, order: Order, scratch: Path
) -> tuple[Result, str | None]:
    """Report the plan; return the result and the image, if it is known."""
    report = LocationReport(means.report, target)
    exported = build.export(means.repository, means.settings, target, means.snapshot(), scratch)
    server = _live(means, target)
    image = _image(means, report, exported, order.image)
    try:
        history = means.helm.history(target.name, target.namespace)
    except HelmError as error:
        raise StageError("release", str(error)) from error
    if is_live(server, image.reference, history) and not order.again:
        means.report.location(target.name, "unchanged")
        return "unchanged", image.reference
    release = _release(means, target, replace(exported, source=image.source), image.reference)
    means.report.location(target.name, _change(means, server, image))
    report.progress("image", image.text)
    report.progress("release", _release_text(release, history))
    return "planned", image.reference


def _live(means: Means, target: CodeFolder) -> CodeServer | None:
    """Return what is live; raises StageError, of a kind if the platform does not know the name."""
    try:
        # The platform's chart creates it in the namespace of every code location.
        if config_maps.read(means.api, target.namespace, names.LOCATION_CONFIG_MAP) is None:
            raise NotRegisteredError(
                "live",
                f"There is no namespace {target.namespace} of a code location. Ask the platform "
                f"admin to register codeLocations.{target.name}, or set `namespace` in "
                "bulkhead.toml.",
            )
        return live.code_server(means.api, target.namespace, target.name)
    except KubernetesApiError as error:
        raise StageError("live", f"What is live is unknown: {error}") from error


def _image(means: Means, report: LocationReport, exported: Exported, given: str | None) -> _Image:
    """Return the image; raises StageError."""
    settings = means.settings
    if given is not None:
        ready = existing_image(given)(settings, exported, report.image_progress)
        return _Image(given, ready.source, f"{short(given)} exists")
    try:
        planned = planning.plan(
            exported.source,
            build.image_target(settings),
            base_image=settings.base_image,
            library=exported.library,
            report=report.image_progress,
        )
    except ImageError as error:
        raise StageError("image", str(error), error.output) from error
    except RegistryError as error:
        raise StageError("image", str(error)) from error
    if planned.reference is not None:
        return _Image(planned.reference, exported.source, f"{short(planned.reference)} exists")
    return _Image(None, exported.source, f"would be built: {WORK[planned.work]}")


def _release(
    means: Means, target: CodeFolder, exported: Exported, reference: str | None
) -> Release:
    """Return the release; raises StageError if the chart rejects its values."""
    unknown = build.image_target(means.settings).pod_reference(target.name, _UNKNOWN_DIGEST)
    release = release_of(means, target, exported, reference or unknown)
    try:
        means.helm.render(release)
    except HelmError as error:
        raise StageError("values", str(error)) from error
    return release


def _change(means: Means, server: CodeServer | None, image: _Image) -> str:
    """Return a text that says how the code differs from what is live."""
    if server is None or server.image is None:
        return "would be deployed for the first time"
    if server.image == image.reference:
        return f"{short(server.image)} is live, and would be released again"
    try:
        found = labels.labels(build.image_target(means.settings), server.image)
    except RegistryError:
        found = None
    before = found.tree if found else None
    count = means.repository.changed_files(before, image.source.tree) if before else None
    if not count:
        return f"would replace {short(server.image)}"
    files = "1 file differs" if count == 1 else f"{count} files differ"
    return f"would replace {short(server.image)}: {files}"


def _release_text(release: Release, history: Sequence[Revision]) -> str:
    revision = history[-1].number + 1 if history else 1
    files = ", ".join(path.name for path in release.values) or "no values file"
    version = f" {release.chart_version}" if release.chart_version else ""
    text = (
        f"would be revision {revision} in namespace {release.namespace}: chart "
        f"{Path(release.chart).name}{version}, {files}"
    )
    if history and history[-1].is_unfinished:
        return f"would repair revision {history[-1].number}, which was interrupted; {text}"
    return text
