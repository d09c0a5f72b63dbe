"""`bulkhead deploy`."""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bulkhead.commands.options import Place, deploy_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulkhead.deploy.location import Outcome
    from bulkhead.deploy.means import Means
    from bulkhead.deploy.sources import CodeFolder


def _by_digest(_context: click.Context, _option: click.Parameter, text: str | None) -> str | None:
    """Return a name of an image without its tag; raises BadParameter if it has no digest."""
    if text is None:
        return None
    from dataclasses import replace

    from bulkhead.registry.reference import InvalidReferenceError, Reference

    try:
        reference = Reference.parse(text)
    except InvalidReferenceError as error:
        raise click.BadParameter(str(error)) from error
    if reference.digest is None:
        raise click.BadParameter(
            f"{text} has no digest, so it may be another image tomorrow. Give it as "
            "registry/repository@sha256:…; `bulkhead history --json` has the images of deploys."
        )
    return str(replace(reference, tag=None))


@click.command(short_help="Build, check and release code locations.")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@deploy_options
@click.option("--all", "again", is_flag=True, help="Deploy also what is live already.")
@click.option(
    "--commit",
    metavar="COMMIT",
    help="Deploy this commit or branch.  [default: the files as they are]",
)
@click.option(
    "--image",
    metavar="REFERENCE@DIGEST",
    callback=_by_digest,
    help="Release this image of the registry instead of building one, with the values of the "
    "repository. Needs one NAME.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be done; change nothing.")
@click.option("--check-only", is_flag=True, help="End after the load check; release nothing.")
@click.option(
    "--write-values",
    metavar="FILE",
    help="Write `image` and `release` to this values file instead of releasing, for Argo CD or "
    "Flux. Other keys of the file stay. With several code locations, FILE contains {location}.",
)
@click.option(
    "--no-check",
    is_flag=True,
    help="With --write-values: without a load check. It is left out, with a warning, also if no "
    "cluster answers.",
)
@click.option("--strict", is_flag=True, help="Warnings of the load check are errors.")
@click.option("--by", metavar="WHO", help="Who deploys, for the history.  [default: git's user]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
@click.option(
    "--markdown",
    metavar="FILE",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="At the end, write a report to this file, for a comment on a pull request.",
)
def deploy(
    *,
    names: tuple[str, ...],
    place: Place,
    again: bool,
    commit: str | None,
    image: str | None,
    dry_run: bool,
    check_only: bool,
    write_values: str | None,
    no_check: bool,
    strict: bool,
    by: str | None,
    as_json: bool,
    markdown: Path | None,
) -> None:
    """Deploy the code locations of a repository whose content is not live.

    NAME selects some of them. For each: the image is built and pushed, a pod of the new image loads
    the definitions, the Helm release is upgraded, and the command waits until the Dagster UI shows
    the new image. If that fails, what was live before stays live. Other code locations and the
    platform are not touched.

    Settings are in bulkhead.toml in the root of the repository.

    The exit code is 0 if everything is live (or checked, written, planned), 1 if a deploy failed,
    2 for an invalid call.
    """
    from bulkhead.commands.deploy_target import open_repository
    from bulkhead.deploy import deploys
    from bulkhead.deploy.markdown_report import MarkdownReport
    from bulkhead.deploy.report import JsonReport, Report, TextReport

    if sum((dry_run, check_only, write_values is not None)) > 1:
        raise click.UsageError("Use only one of --dry-run, --check-only and --write-values.")
    if no_check and write_values is None:
        raise click.UsageError(
            "--no-check is only for --write-values. A release is always checked."
        )
    if image is not None and len(names) != 1:
        raise click.UsageError(f"--image needs one NAME, the code location of {image}.")
    opened = open_repository(
        place, commit=commit, strict=strict, needs_cluster=write_values is None
    )
    targets = opened.choose(names)
    shown = [each.name for each in targets]
    report: Report = JsonReport(click.echo) if as_json else TextReport(shown, click.echo)
    if markdown is not None:
        report = MarkdownReport(report, partial(markdown.write_text, encoding="utf-8"))
    means = opened.means(report, by)
    if write_values is not None:
        outcomes = _write_values(means, targets, write_values, image, check=not no_check)
    elif dry_run:
        outcomes = _dry_run(means, targets, image, again=again, are_named=bool(names))
    else:
        outcomes = _deploy(
            means, targets, image, check_only=check_only, again=again, are_named=bool(names)
        )
    sys.exit(not deploys.succeeded(outcomes))


def _write_values(
    means: "Means", targets: "Sequence[CodeFolder]", pattern: str, image: str | None, *, check: bool
) -> "Sequence[Outcome]":
    from bulkhead.deploy import values_file
    from bulkhead.deploy.image_stage import build_image, existing_image
    from bulkhead.deploy.values_file import LOCATION

    if len(targets) > 1 and LOCATION not in pattern:
        raise click.UsageError(
            f"{pattern} is one file for {len(targets)} code locations. Put {LOCATION} into its "
            f"name, for example values/{LOCATION}.yaml, or name one code location."
        )
    stage = existing_image(image) if image else build_image
    return values_file.run(means, targets, pattern, check=check, image=stage)


def _dry_run(
    means: "Means",
    targets: "Sequence[CodeFolder]",
    image: str | None,
    *,
    again: bool,
    are_named: bool,
) -> "Sequence[Outcome]":
    from bulkhead.deploy import dry_run
    from bulkhead.deploy.dry_run import Order

    return dry_run.run(means, targets, Order(again, are_named, image))


def _deploy(
    means: "Means",
    targets: "Sequence[CodeFolder]",
    image: str | None,
    *,
    check_only: bool,
    again: bool,
    are_named: bool,
) -> "Sequence[Outcome]":
    from bulkhead.deploy import deploys
    from bulkhead.deploy.image_stage import build_image, existing_image

    return deploys.run(
        means,
        targets,
        check_only=check_only,
        again=again,
        are_named=are_named,
        image=existing_image(image) if image else build_image,
    )
