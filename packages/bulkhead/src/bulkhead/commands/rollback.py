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
    another image than now. So a second call makes the image live that the first one has undone.

    The exit code is 0 if the image is live, 1 if not, 2 for an invalid call.
    """
    from bulkhead.commands.deploy_target import open_repository
    from bulkhead.deploy import rollback as rollbacks
    from bulkhead.deploy.report import TextReport

    opened = open_repository(place)
    [target] = opened.choose((name,))
    report = TextReport([name], click.echo)
    sys.exit(not rollbacks.run(opened.means(report, by), target, revision))
