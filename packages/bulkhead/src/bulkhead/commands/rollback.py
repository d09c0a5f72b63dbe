"""`bulkhead rollback`."""

import sys

import click

from bulkhead.commands.options import Place, deploy_options


@click.command(short_help="Make an earlier image of a code location live again.")
@click.argument("name")
@click.argument("revision", type=click.IntRange(min=1), required=False)
@deploy_options
@click.option("--by", metavar="WHO", help="Who does it, for the history.  [default: git's user]")
def rollback(
    *,
    name: str,
    revision: int | None,
    place: Place,
    by: str | None,
) -> None:
    """Make an earlier image of code location NAME live again, with its values.

    REVISION is a number that `bulkhead history NAME` shows. Without it, the newest one that had
    another image than now.
    """
    from bulkhead.commands.deploy_target import open_repository
    from bulkhead.deploy import rollback as rollbacks
    from bulkhead.deploy.errors import StageError
    from bulkhead.deploy.helm import Helm
    from bulkhead.deploy.means import LocationReport, Means
    from bulkhead.deploy.report import TextReport

    opened = open_repository(place)
    [target] = opened.choose((name,))
    report = TextReport([name], click.echo)
    means = Means(
        api=opened.api,
        helm=Helm(opened.settings.context),
        repository=opened.repository,
        settings=opened.settings,
        report=report,
        by=by or opened.repository.config("user.name") or "unknown",
        snapshot=opened.snapshot,
    )
    try:
        rollbacks.run(means, target, revision)
    except StageError as error:
        LocationReport(report, target).failure(error)
        sys.exit(1)
