"""`bulkhead images`."""

import sys
from functools import partial
from typing import TYPE_CHECKING

import click

from bulkhead.commands.options import Place, deploy_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulkhead.deploy.pruning import LocationPlan, Pruning

_KEPT = 10
_SHORT_COMMIT = 10
_SHORT_DIGEST = 12


@click.group()
def images() -> None:
    """Work with the images of code locations in the registry."""


@images.command(short_help="Remove images that nothing needs.")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@deploy_options
@click.option("--delete", is_flag=True, help="Remove the images.  [default: only show the plan]")
@click.option(
    "--keep",
    metavar="N",
    type=click.IntRange(min=1),
    default=_KEPT,
    show_default=True,
    help="Number of the newest images of each code location that stay.",
)
@click.option(
    "--by", metavar="WHO", help="Who does it, for others that wait.  [default: git's user]"
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def prune(
    *,
    names: tuple[str, ...],
    place: Place,
    delete: bool,
    keep: int,
    by: str | None,
    as_json: bool,
) -> None:
    """Remove images of code locations that nothing needs; by default, only show the plan.

    NAME selects code locations of the repository. Of each stay: the newest images, the images of
    Deployments, of pods and Jobs that have not ended, those that `bulkhead rollback` can release
    again, and those with a tag that `bulkhead deploy` did not write. A run that waits in Dagster's
    queue has no Job yet: its image stays if it is one of the newest.

    All environments of bulkhead.toml that use the same registry count. If one of them cannot be
    read, nothing is removed.

    The registry frees the space in its next garbage collection.

    The exit code is 0 if everything was done, 1 if a code location failed, 2 for an invalid call.
    """
    from bulkhead.commands.deploy_target import open_others, open_repository
    from bulkhead.deploy.pruning import Pruning
    from bulkhead.deploy.report import TextReport

    opened = open_repository(place)
    targets = opened.choose(names)
    # What is printed is the plan; that it waits, and for what, is beside it.
    report = TextReport([each.name for each in targets], partial(click.echo, err=True))
    others = [each.means(report, by) for each in open_others(place)]
    pruning = Pruning(opened.means(report, by), others, keep=keep)
    results = {each.name: _result(pruning, each.name, delete=delete) for each in targets}
    plans = [each for each in results.values() if each is not None]
    failed = [name for name, each in results.items() if each is None]
    if as_json:
        _show_json(plans, failed, deleted=delete)
    else:
        _show(plans, deleted=delete)
    sys.exit(bool(failed))


def _result(pruning: "Pruning", location: str, *, delete: bool) -> "LocationPlan | None":
    """Plan, and remove; print why that failed, and return None."""
    from bulkhead.deploy.errors import StageError

    try:
        return pruning.remove(location) if delete else pruning.plan(location)
    except StageError as error:
        click.secho(f"{location}: {error}", fg="red", err=True)
        return None


def _show_json(plans: "Sequence[LocationPlan]", failed: "Sequence[str]", *, deleted: bool) -> None:
    import json
    from dataclasses import asdict

    document = {
        "deleted": deleted,
        "locations": [asdict(each) for each in plans],
        "failed": list(failed),
    }
    click.echo(json.dumps(document, indent=2))


def _show(plans: "Sequence[LocationPlan]", *, deleted: bool) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from bulkhead.kube.quantities import readable_bytes

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("LOCATION", "TAG", "IMAGE", "COMMIT", "CREATED", "SIZE"):
        table.add_column(column, no_wrap=True, justify="right" if column == "SIZE" else "left")
    table.add_column("PLAN", overflow="fold")
    for plan in plans:
        for row in plan.rows:
            table.add_row(
                plan.location,
                row.tag,
                row.digest.removeprefix("sha256:")[:_SHORT_DIGEST],
                (row.commit or "-")[:_SHORT_COMMIT],
                _date(row.created),
                readable_bytes(row.size),
                Text("remove", style="red") if row.kept is None else f"stays: {row.kept}",
            )
    if table.row_count:
        Console().print(table)
    removed = sum(plan.removed for plan in plans)
    space = readable_bytes(sum(plan.freed_bytes for plan in plans))
    if not plans:
        return
    if not removed:
        click.echo("There is nothing to remove.")
    elif deleted:
        click.echo(
            f"Removed {removed} images. The registry's next garbage collection frees up to {space}."
        )
    else:
        click.echo(f"Would remove {removed} images, up to {space}. To remove them, add --delete.")


def _date(created: float | None) -> str:
    from datetime import datetime, timezone

    if created is None:
        return "-"
    return datetime.fromtimestamp(created, tz=timezone.utc).strftime("%Y-%m-%d %H:%M")
