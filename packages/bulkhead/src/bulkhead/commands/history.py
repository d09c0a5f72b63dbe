"""`bulkhead history`."""

import sys
from typing import TYPE_CHECKING

import click

from bulkhead.commands.options import Place, deploy_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulkhead.deploy.records import Record

_WIDTH = 400
_SHORT_COMMIT = 10
_SHORT_DIGEST = 12


@click.command(short_help="Show the deploys of a code location.")
@click.argument("name")
@deploy_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def history(
    *,
    name: str,
    place: Place,
    as_json: bool,
) -> None:
    """Show the last deploys of code location NAME: when, who, what, and how they ended."""
    import json
    from dataclasses import asdict

    from bulkhead.commands.deploy_target import open_repository
    from bulkhead.deploy import records
    from bulkhead.kube.api import KubernetesApiError

    opened = open_repository(place)
    [target] = opened.choose((name,))
    try:
        found = records.read(opened.api, target.namespace, name)
    except KubernetesApiError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found], indent=2))
    elif not found:
        click.echo(f"Code location {name} was never deployed with `bulkhead deploy`.")
    else:
        _show(found)


def _show(found: "Sequence[Record]") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("REVISION", "WHEN", "WHO", "ACTION", "COMMIT", "IMAGE", "RESULT", "SECONDS"):
        table.add_column(column, no_wrap=True, justify="right" if column == "SECONDS" else "left")
    table.add_column("REASON", overflow="fold")
    for each in reversed(found):
        digest = (each.image or "").rpartition("@sha256:")[2]
        table.add_row(
            str(each.revision or "-"),
            each.at.replace("T", " ").removesuffix("Z"),
            each.by,
            each.action,
            (each.commit or "-")[:_SHORT_COMMIT],
            digest[:_SHORT_DIGEST] or "-",
            Text(each.result, style="green" if each.result == "live" else "red"),
            f"{each.seconds:.1f}",
            " ".join((each.reason or "").split()),
        )
    # In a pipe or a file, no column has to fit into a width.
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    console.print(table)
