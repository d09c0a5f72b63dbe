"""`bulkhead promote`."""

import sys
from pathlib import Path

import click

from bulkhead.commands.options import Place, repository_options


@click.command(short_help="Make the image of one environment live in another.")
@click.argument("name")
@click.option("--from", "source", metavar="ENVIRONMENT", required=True, help="Where it is live.")
@click.option("--to", "target", metavar="ENVIRONMENT", required=True, help="Where to deploy it.")
@repository_options
@click.option("--check-only", is_flag=True, help="End after the load check; release nothing.")
@click.option("--strict", is_flag=True, help="Warnings of the load check are errors.")
@click.option("--by", metavar="WHO", help="Who promotes, for the history.  [default: git's user]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
def promote(
    *,
    name: str,
    source: str,
    target: str,
    directory: Path,
    settings: Path | None,
    check_only: bool,
    strict: bool,
    by: str | None,
    as_json: bool,
) -> None:
    """Make the image of code location NAME that is live in one environment live in another.

    ENVIRONMENT is a table [environments.…] of bulkhead.toml. It names what differs: the context or
    the namespace, the registry, the values files.

    Nothing is built. The image is copied to the other registry, if it is not there. A pod loads the
    definitions with the other environment's values, and the release is upgraded as by `bulkhead
    deploy`. The values files and the chart are those of the commit that the image was made of.

    The exit code is 0 if the image is live, 1 if the promotion failed, 2 for an invalid call.
    """
    from bulkhead.commands.deploy_target import open_repository
    from bulkhead.deploy import promotion
    from bulkhead.deploy.errors import StageError
    from bulkhead.deploy.report import JsonReport, TextReport

    if source == target:
        raise click.UsageError(
            f"--from and --to are both {source}. Name two environments, for example --from staging "
            "--to production."
        )
    report = JsonReport(click.echo) if as_json else TextReport([name], click.echo)
    origin = open_repository(Place(directory, source, settings, None))
    destination = open_repository(Place(directory, target, settings, None), strict=strict)
    origin.choose((name,))
    try:
        outcome = promotion.run(
            origin.means(report, by), destination.means(report, by), name, check_only=check_only
        )
    except StageError as error:
        report.failure(name, error.stage, str(error), error.output)
        report.state(name, "Nothing was changed.")
        sys.exit(1)
    sys.exit(outcome.result == "failed")
