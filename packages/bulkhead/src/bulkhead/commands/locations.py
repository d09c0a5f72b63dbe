"""`bulkhead locations`."""

from typing import TYPE_CHECKING

import click

from bulkhead.commands.options import installation_options

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bulkhead.admin.states import LocationState

_DIGEST_DIGITS = 12


@click.command(short_help="List the code locations of an installation.")
@installation_options
def locations(context: str | None, namespace: str, release: str, as_json: bool) -> None:
    """List the code locations of an installation with namespace, environment, state and image."""
    import json
    from dataclasses import asdict

    from bulkhead.admin import snapshot
    from bulkhead.admin.states import location_states
    from bulkhead.kube.api import KubernetesApiError
    from bulkhead.kube.kubeconfig import from_kubeconfig

    try:
        taken = snapshot.take(from_kubeconfig(context), release=release, namespace=namespace)
    except KubernetesApiError as error:
        raise click.ClickException(str(error)) from error
    if taken.registry_error is not None:
        raise click.ClickException(
            f"{taken.registry_error}. Check that --release and --namespace name the platform's "
            "Helm release and namespace. For details run `bulkhead doctor`."
        )
    states = location_states(taken)
    if as_json:
        click.echo(json.dumps([asdict(each) for each in states], indent=2))
    elif not states:
        click.echo("No code location is registered (codeLocations in the platform's values).")
    else:
        _show(states)


def _show(states: "Sequence[LocationState]") -> None:
    from datetime import datetime, timezone

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    styles = {"loaded": "green", "available": "green", "loading": "yellow", "not deployed": "dim"}
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("NAME", "NAMESPACE", "ENVIRONMENT", "STATE", "SINCE"):
        table.add_column(column, no_wrap=True)
    table.add_column("IMAGE", overflow="fold")
    now = datetime.now(tz=timezone.utc)
    for each in states:
        table.add_row(
            each.name,
            each.namespace,
            each.environment or "-",
            Text(each.state, style=styles.get(each.state, "bold red")),
            _age(each.since, now),
            _short(each.image or "-"),
        )
    console = Console()
    console.print(table)
    for each in states:
        if each.detail:
            console.print(Text.assemble((each.name, "bold"), f": {' '.join(each.detail.split())}"))


def _short(image: str) -> str:
    """Shorten the digest of an image for the table; `--json` prints all of it."""
    name, at, digest = image.partition("@sha256:")
    return f"{name}{at}{digest[:_DIGEST_DIGITS]}…" if len(digest) > _DIGEST_DIGITS else image


def _age(since: str | None, now: "datetime") -> str:
    """Return the time since then, in its largest unit."""
    from datetime import datetime

    if since is None:
        return "-"
    seconds = (now - datetime.fromisoformat(since.replace("Z", "+00:00"))).total_seconds()
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"
