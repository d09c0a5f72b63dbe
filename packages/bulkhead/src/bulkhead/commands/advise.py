"""`bulkhead advise`."""

from typing import TYPE_CHECKING

import click

from bulkhead.commands.options import installation_options

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bulkhead.admin.advice import Advice
    from bulkhead.admin.usage import Usage

_HEADER = (
    *("LOCATION", "JOB", "STEP", "N", "ASKED", "MEDIAN", "P95", "MAX"),
    *("CPU", "CPU MAX", "CORES", "SUGGESTED", "SAVING"),
)
_NAMES = 3  # the columns on the left, which are no figures


@click.command(short_help="Suggest memory limits from what steps used.")
@click.option("--location", metavar="NAME", help="Only this code location.")
@click.option("--job", metavar="NAME", help="Only the job of this name.")
@click.option(
    "--runs",
    metavar="N",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="How many of the newest finished runs to read.",
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

    N counts the attempts at a step that succeeded or were killed for memory. MEDIAN, P95 and MAX
    say how much memory they used at most (MAX minds failed attempts too), CPU and CPU MAX how many
    seconds of CPU (median and largest), CORES how many cores they kept busy on average. SUGGESTED
    is MAX and a fifth; after a kill it is twice the limit, until more has been seen to be enough.
    SAVING is for one pod of the step.
    """
    from bulkhead.admin import usage
    from bulkhead.admin.advice import advise as advise_on
    from bulkhead.kube.kubeconfig import ClusterError, KubeconfigCluster
    from bulkhead.webserver_api.proxy import WebServer

    try:
        web_server = WebServer(KubeconfigCluster(context), release, namespace)
        used = usage.read(web_server, location=location, job=job, runs=runs)
    except ClusterError as error:
        # With a status it was the API server that refused.
        what_to_do = (
            f". You need the right to get services/proxy in namespace {namespace}, and the web "
            "server must run: `bulkhead doctor` says more; --release and --namespace name the "
            "platform's Helm release and namespace."
        )
        raise click.ClickException(
            f"{str(error).rstrip('.')}{what_to_do if error.status else '.'}"
        ) from error
    advice = advise_on(used.attempts)
    if as_json:
        _show_json(used, advice)
    elif not advice:
        click.echo(_why_nothing(used, location, job))
    else:
        _show(advice)


def _show_json(used: "Usage", advice: "Sequence[Advice]") -> None:
    import json
    from dataclasses import asdict

    from bulkhead.admin.advice import could_give_back

    document = {
        "runs": used.runs,
        "could_give_back": could_give_back(advice),
        "steps": [asdict(each) for each in advice],
    }
    click.echo(json.dumps(document, indent=2))


def _why_nothing(used: "Usage", location: str | None, job: str | None) -> str:
    of_job = f" of job {job}" if job else ""
    of_location = f" of code location {location}" if location else ""
    if not used.runs:
        hint = " `bulkhead locations` lists the code locations." if location else ""
        return f"There is no finished run{of_job}{of_location} yet.{hint}"
    return (
        f"None of the newest {used.runs} finished run(s){of_job}{of_location} tells what its steps "
        "used. Steps with a pod of their own tell it when they end, if their image has this "
        "version of bulkhead: run some, or read more runs with --runs."
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
        if each.killed_memory is not None:
            name = click.style(f"{each.location} {each.job} {each.step}", bold=True)
            times = "once, at" if each.kills == 1 else f"{each.kills} times, at up to"
            click.echo(f"{name}: killed for memory {times} {_exact(each.killed_memory)}.")
    click.echo(f"\n{conclusion(advice)}")


def _cells(advice: "Advice") -> "Iterator[str]":
    from bulkhead.kube.quantities import readable_bytes

    def readable(number: int | None) -> str:
        return "-" if number is None else readable_bytes(number)

    yield from (advice.location, advice.job, advice.step, str(advice.samples))
    yield _exact(advice.asked_memory)
    yield from map(readable, (advice.median_memory, advice.p95_memory, advice.largest_memory))
    yield from map(_seconds, (advice.median_cpu_seconds, advice.largest_cpu_seconds))
    yield "-" if advice.cores is None else f"{advice.cores:.2f}"
    yield "too few" if advice.suggested_memory is None else _exact(advice.suggested_memory)
    saved = advice.saved_memory
    yield "-" if saved is None else f"{'-' if saved < 0 else ''}{readable(abs(saved))}"


def _exact(number: int | None) -> str:
    """Return bytes as one would write them in a limit."""
    from bulkhead.kube.quantities import MIB, exact_bytes, readable_bytes

    if number is None:
        return "-"
    return readable_bytes(number) if number % MIB else exact_bytes(number)


def _seconds(number: float | None) -> str:
    return "-" if number is None else f"{number:.1f} s"
