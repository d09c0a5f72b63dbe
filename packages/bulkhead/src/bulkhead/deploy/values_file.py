"""Writes the image of a code location to a values file, for tools that release what git has."""

import io
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final, cast

from ruamel.yaml import YAML, util
from ruamel.yaml.error import YAMLError

from bulkhead.deploy import build, live
from bulkhead.deploy.build import Exported
from bulkhead.deploy.check import check_definitions
from bulkhead.deploy.errors import StageError
from bulkhead.deploy.image_stage import ImageStage, ReadyImage, build_image
from bulkhead.deploy.live import short
from bulkhead.deploy.location import Outcome
from bulkhead.deploy.means import LocationReport, Means
from bulkhead.deploy.release import image_values, release_of
from bulkhead.deploy.sources import CodeFolder
from bulkhead.kube.api import KubernetesApiError

LOCATION: Final = "{location}"
"""Stands for the name of the code location in the name of a file."""

_LONGEST_LINE: Final = 10_000  # no line is folded


def run(
    means: Means,
    targets: Sequence[CodeFolder],
    pattern: str,
    *,
    check: bool = True,
    image: ImageStage = build_image,
) -> list[Outcome]:
    """Build the image of each code location and write it to a values file; release nothing.

    Args:
        means: What the deploys share.
        targets: The code locations.
        pattern: The name of the file, with `LOCATION` if there are several code locations.
        check: Load the definitions first, if the cluster answers.
        image: The stage that gets the image.
    """
    began = time.monotonic()
    outcomes = [_write(means, each, pattern, check=check, image=image) for each in targets]
    seconds = time.monotonic() - began
    written = [each for each in outcomes if each.result == "written"]
    failed = [each.location for each in outcomes if each.result == "failed"]
    text = f"wrote the values of {len(written)} of {len(outcomes)} code locations"
    means.report.end(
        " · ".join([text, *([f"failed: {', '.join(failed)}"] if failed else [])]),
        outcomes=[asdict(each) for each in outcomes],
        seconds=round(seconds, 1),
    )
    return outcomes


def _write(
    means: Means, target: CodeFolder, pattern: str, *, check: bool, image: ImageStage
) -> Outcome:
    began = time.monotonic()
    report = LocationReport(means.report, target)
    file = Path(pattern.replace(LOCATION, target.name))
    ready: ReadyImage | None = None
    reason: str | None = None
    try:
        with tempfile.TemporaryDirectory(prefix="bulkhead-deploy-") as scratch:
            exported = build.export(
                means.repository, means.settings, target, means.snapshot(), Path(scratch)
            )
            ready = image(means.settings, exported, report.image_progress)
            if ready.done:
                report.stage("image", f"{short(ready.reference)}  {ready.done}", began)
            if check:
                _check(means, report, target, replace(exported, source=ready.source), ready)
        values = values_of(ready)
        update(file, values)
        report.stage("values", _text(file, ready), began)
    except StageError as error:
        reason = f"{error.stage}: {error}"
        means.report.failure(target.name, error.stage, str(error), error.output)
        means.report.state(target.name, f"{file} was not changed.")
    return Outcome(
        target.name,
        "failed" if reason else "written",
        ready.reference if ready else None,
        time.monotonic() - began,
        reason,
    )


def values_of(ready: ReadyImage) -> dict[str, dict[str, str]]:
    """Return the values of the chart that name an image and what it was made of."""
    return {
        "image": image_values(ready.reference),
        "release": {"commit": ready.source.commit, "tree": ready.source.tree},
    }


def update(file: Path, values: Mapping[str, Mapping[str, str]]) -> None:
    """Set keys in a values file; other keys, comments and the order stay.

    A tag beside the digest is removed, because it would name another image.

    Args:
        file: The values file; it may be missing, with its folder.
        values: Sections with their keys.

    Raises:
        StageError: The file is not a YAML mapping, or cannot be read or written.
    """
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = _LONGEST_LINE
    try:
        before = file.read_text(encoding="utf-8") if file.exists() else ""
        content, indent, offset = cast("Any", util).load_yaml_guess_indent(before, yaml=yaml)
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise StageError("values", f"{file} cannot be read: {error}") from error
    if content is not None and not isinstance(content, dict):
        raise StageError("values", f"{file} is not a file of values: it has no keys at its top.")
    top = cast("dict[str, Any]", content or {})
    for name, keys in values.items():
        section: Any = top.get(name)
        top[name] = section = cast("dict[str, Any]", section if isinstance(section, dict) else {})
        section.update(keys)
    top["image"].pop("tag", None)
    if offset is not None:  # then what was guessed is the indent of lists
        yaml.indent(sequence=indent, offset=offset)
    elif indent is not None:
        yaml.indent(mapping=indent)
    written = io.StringIO()
    cast("Any", yaml).dump(top, written)
    if written.getvalue() != before:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(written.getvalue(), encoding="utf-8")
        except OSError as error:
            raise StageError("values", f"{file} cannot be written: {error.strerror}.") from error


def _check(
    means: Means, report: LocationReport, target: CodeFolder, exported: Exported, ready: ReadyImage
) -> None:
    """Load the definitions in the cluster, if it answers; raises StageError."""
    try:
        server = live.code_server(means.api, target.namespace, target.name)
    except KubernetesApiError as error:
        if error.status is not None:
            raise StageError(
                "loads", f"{error}. To write the values without a load check, use --no-check."
            ) from error
        report.warning("loads", f"The definitions are not checked, without a cluster: {error}")
        return
    release = release_of(means, target, exported, ready.reference)
    check_definitions(means, report, release, ready.reference, server)


def _text(file: Path, ready: ReadyImage) -> str:
    return (
        f"{file}: image {ready.reference}, commit {ready.source.commit or 'unknown'}, tree "
        f"{ready.source.tree or 'unknown'}"
    )
