"""`bulkhead deploy`."""

import sys
from functools import partial
from pathlib import Path

import click

from bulkhead.commands.options import Place, deploy_options


@click.command(short_help="Build, check and release code locations.")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@deploy_options
@click.option("--all", "again", is_flag=True, help="Deploy also what is live already.")
@click.option(
    "--commit",
    metavar="COMMIT",
    help="Deploy this commit or branch.  [default: the files as they are]",
)
@click.option("--check-only", is_flag=True, help="End after the load check; release nothing.")
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
    check_only: bool,
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

    The exit code is 0 if everything is live, 1 if a deploy failed, 2 for an invalid call.
    """
    from bulkhead.commands.deploy_target import open_repository
    from bulkhead.deploy import deploys
    from bulkhead.deploy.helm import Helm
    from bulkhead.deploy.markdown_report import MarkdownReport
    from bulkhead.deploy.means import Means
    from bulkhead.deploy.report import JsonReport, Report, TextReport

    opened = open_repository(place, commit=commit, strict=strict)
    targets = opened.choose(names)
    shown = [each.name for each in targets]
    report: Report = JsonReport(click.echo) if as_json else TextReport(shown, click.echo)
    if markdown is not None:
        report = MarkdownReport(report, partial(markdown.write_text, encoding="utf-8"))
    means = Means(
        api=opened.api,
        helm=Helm(opened.settings.context),
        repository=opened.repository,
        settings=opened.settings,
        report=report,
        by=by or opened.repository.config("user.name") or "unknown",
        snapshot=opened.snapshot,
    )
    outcomes = deploys.run(
        means, targets, check_only=check_only, again=again, are_named=bool(names)
    )
    sys.exit(any(each.result == "failed" for each in outcomes))
