"""`bulkhead advise`."""

from typing import TYPE_CHECKING

import click

from bulkhead.commands.options import installation_options

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bulkhead.admin.advice import Advice
    from bulkhead.admin.usage import Usage

_HEADER = (
    *("LOCATION", "JOB", "STEP", "N", "REQUESTED", "MEDIAN", "P95", "MAX"),
    *("CPU", "CPU MAX", "CORES", "SUGGESTED", "SAVING"),
)
_NAMES = 3  # the columns on the left, which hold names


@click.command(short_help="Suggest memory limits from what steps used.")
@click.option("--location", metavar="NAME", help="Read only runs of this code location.")
@click.option("--job", metavar="NAME", help="Read only runs of this job.")
@click.option(
    "--runs",
    metavar="N",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="Number of finished runs to read, the newest first.",
)
@installation_options
def advise(
    *,
    context: str | None,
    namespace: str,
    release: str,
    as_json: bool,
    location: str | None,
    job: str | None,
    runs: int,
) -> None:
    """Suggest memory limits from what each step used in the newest finished runs.

    \b
    N          attempts that succeeded or ran out of memory (OOM-killed)
    REQUESTED  current memory limit
    MEDIAN     median of the attempts' largest memory use
    P95        95th percentile of the attempts' largest memory use
    MAX        largest memory use; includes attempts that failed
    CPU        median of the CPU time, in seconds
    CPU MAX    largest CPU time, in seconds
    CORES      average number of cores in use
    SUGGESTED  MAX plus 20%, or twice the limit if the step ran out of memory
    SAVING     REQUESTED minus SUGGESTED, for one pod of the step

    If another attempt succeeded and used more than that limit, SUGGESTED is MAX plus 20%.
    """  # noqa: D301 - click keeps the lines after this mark as they are
    from bulkhead.admin import usage
    from bulkhead.admin.advice import advise as advise_on
    from bulkhead.kube.api import KubernetesApiError
    from bulkhead.kube.kubeconfig import from_kubeconfig
    from bulkhead.webserver_api.client import GraphQLClient
    from bulkhead.webserver_api.errors import WebServerError
    from bulkhead.webserver_api.transports import ProxyTransport

    try:
        client = GraphQLClient(ProxyTransport(from_kubeconfig(context), release, namespace))
        used = usage.read(client, location=location, job=job, most=runs)
    except (KubernetesApiError, WebServerError) as error:
        # An error with an HTTP status comes from the API server, or from the web server through it.
        hint = (
            f". Check that you may get services/proxy in namespace {namespace}, that the web "
            "server runs (`bulkhead doctor`), and that --release and --namespace name the "
            "platform's Helm release and namespace."
        )
        raise click.ClickException(
            f"{str(error).rstrip('.')}{hint if error.status else '.'}"
        ) from error
    advice = advise_on(used.attempts)
    if as_json:
        _show_json(used, advice)
    elif not advice:
        click.echo(_why_no_advice(used, location, job))
    else:
        _show(advice)


def _show_json(used: "Usage", advice: "Sequence[Advice]") -> None:
    import json
    from dataclasses import asdict

    from bulkhead.admin.advice import possible_saving

    document = {
        "runs": used.runs,
        "possible_saving": possible_saving(advice),
        "steps": [asdict(each) for each in advice],
    }
    click.echo(json.dumps(document, indent=2))


def _why_no_advice(used: "Usage", location: str | None, job: str | None) -> str:
    of_job = f" of job {job}" if job else ""
    of_location = f" of code location {location}" if location else ""
    if not used.runs:
        hint = " `bulkhead locations` lists the code locations." if location else ""
        return f"There is no finished run{of_job}{of_location} yet.{hint}"
    return (
        f"The newest {used.runs} finished run(s){of_job}{of_location} have no record of what "
        "their steps used. A step that runs in its own pod records it at its end, if its image "
        "contains this version of bulkhead. Start a run, or read more runs with --runs."
    )


def _show(advice: "Sequence[Advice]") -> None:
    from bulkhead.admin.advice import conclusion

    rows = [_HEADER, *(tuple(_cells(each)) for each in advice)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    for number, row in enumerate(rows):
        cells = [
            cell.ljust(width) if column < _NAMES else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        if number:
            saved = advice[number - 1].saved_memory or 0
            color = "green" if saved > 0 else "red" if saved else None
            cells[-1] = click.style(cells[-1], fg=color)
            click.echo("  ".join(cells))
        else:
            click.secho("  ".join(cells), bold=True)
    for each in advice:
        if each.largest_oom_limit is not None:
            name = click.style(f"{each.location} {each.job} {each.step}", bold=True)
            limit = _exact(each.largest_oom_limit)
            times = (
                f"once, with a limit of {limit}"
                if each.oom_kills == 1
                else f"{each.oom_kills} times, with limits up to {limit}"
            )
            click.echo(f"{name}: ran out of memory (OOM-killed) {times}.")
    click.echo(f"\n{conclusion(advice)}")


def _cells(advice: "Advice") -> "Iterator[str]":
    from bulkhead.kube.quantities import readable_bytes

    def readable(number: int | None) -> str:
        return "-" if number is None else readable_bytes(number)

    yield from (advice.location, advice.job, advice.step, str(advice.samples))
    yield _exact(advice.requested_memory)
    yield from map(readable, (advice.median_memory, advice.p95_memory, advice.largest_memory))
    yield from map(_seconds, (advice.median_cpu_seconds, advice.largest_cpu_seconds))
    yield "-" if advice.cores is None else f"{advice.cores:.2f}"
    yield "too few" if advice.suggested_memory is None else _exact(advice.suggested_memory)
    saved = advice.saved_memory
    yield "-" if saved is None else f"{'-' if saved < 0 else ''}{readable(abs(saved))}"


def _exact(number: int | None) -> str:
    """Return bytes as in a limit: `512Mi`; rounded if they are not whole mebibytes."""
    from bulkhead.kube.quantities import MIB, exact_bytes, readable_bytes

    if number is None:
        return "-"
    return readable_bytes(number) if number % MIB else exact_bytes(number)


def _seconds(number: float | None) -> str:
    return "-" if number is None else f"{number:.1f} s"
