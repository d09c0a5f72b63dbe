"""`bulkhead doctor`."""

from typing import TYPE_CHECKING

import click

from bulkhead.commands.options import installation_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulkhead.admin.findings import Finding


@click.command(short_help="Check an installation; say what is wrong and what to do.")
@installation_options
def doctor(context: str | None, namespace: str, release: str, as_json: bool) -> None:
    """Check an installation, and say what is wrong and what to do.

    It only reads. It exits with code 1 if there is a problem; warnings alone give exit code 0.
    """
    import json
    from dataclasses import asdict

    from bulkhead.admin import checks, snapshot
    from bulkhead.admin.findings import Level
    from bulkhead.kube.api import KubernetesApiError
    from bulkhead.kube.kubeconfig import from_kubeconfig

    try:
        api = from_kubeconfig(context)
        findings = checks.check(snapshot.take(api, release=release, namespace=namespace))
    except KubernetesApiError as error:
        findings = [checks.unreachable(str(error))]
    if as_json:
        click.echo(json.dumps([asdict(each) for each in findings], indent=2))
    else:
        _show(findings)
    if any(each.level is Level.PROBLEM for each in findings):
        click.get_current_context().exit(1)


def _show(findings: "Sequence[Finding]") -> None:
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    from bulkhead.admin.findings import PLATFORM, Level

    marks = {
        Level.OK: ("✓", "green"),
        Level.WARNING: ("!", "yellow"),
        Level.PROBLEM: ("✗", "bold red"),
    }
    console = Console()
    subject = None
    for finding in sorted(findings, key=lambda each: (each.subject != PLATFORM, each.subject)):
        if finding.subject != subject:
            subject = finding.subject
            console.print(Text(subject, style="bold"))
        mark, style = marks[finding.level]
        line = Text.assemble((f"{mark} ", style), finding.sentence)
        console.print(Padding(line, (0, 0, 0, 2)))
        if finding.advice:
            console.print(Padding(Text(f"→ {finding.advice}", style="dim"), (0, 0, 0, 4)))
    problems = sum(each.level is Level.PROBLEM for each in findings)
    warnings = sum(each.level is Level.WARNING for each in findings)
    console.print(
        Text(
            f"\n{problems} problem(s), {warnings} warning(s).", style="red" if problems else "green"
        )
    )
