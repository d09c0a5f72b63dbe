"""The command `bulkhead-demo`, which the Makefile's targets run."""

import os
import signal
import sys
import time
from functools import partial
from pathlib import Path
from types import FrameType

import click

from bulkhead_demo import bad_day, cluster, laptop
from bulkhead_demo.flow import FlowError, Timeouts, Watch
from bulkhead_demo.laptop import LaptopError
from bulkhead_demo.paths import LAPTOP
from bulkhead_demo.processes import ProcessError
from bulkhead_demo.screen import Screen
from bulkhead_kind import up
from bulkhead_kind.cli import KUBECONFIG_OPTION, Commands
from bulkhead_kind.paths import LOGS
from bulkhead_kind.progress import Progress


class _Commands(Commands):
    user_errors = (*Commands.user_errors, FlowError, LaptopError, ProcessError)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Run the grocer demo: three code locations, one flow."""
    # A shell may start this with SIGINT ignored. Child processes would inherit that; they do not
    # inherit a handler.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)


@main.command("laptop")
@click.option("--fresh", is_flag=True, help="Start with empty data.")
def laptop_command(*, fresh: bool) -> None:
    """Run the flow on this machine, without a cluster, on DuckDB and a folder.

    Existing data stay: a second call loads only new orders. The Dagster UI runs until Ctrl-C.
    Without a terminal, or with CI=true, the command ends with the flow.
    """
    began = time.monotonic()
    progress = Progress(LOGS)
    stay = sys.stdout.isatty() and os.environ.get("CI", "").lower() not in {"true", "1"}
    try:
        laptop.run_demo(progress, fresh=fresh, stay=stay)
    except KeyboardInterrupt:
        progress.print(f"\nStopped. Data and run history stay in {LAPTOP}.")
        sys.exit(0 if stay else 130)
    progress.print(f"The demo took {time.monotonic() - began:.0f} s")


@main.command("cluster")
@KUBECONFIG_OPTION
def cluster_command(kubeconfig: Path | None) -> None:
    """Run the flow on the cluster, on PostgreSQL and the object store.

    First does the steps of `make up`, and installs the three code locations with their database.
    The environment variables of `make up` apply here too.
    """
    began = time.monotonic()
    progress = Progress(LOGS)
    cluster.run_demo(progress, kubeconfig)
    progress.print(f"The demo took {time.monotonic() - began:.0f} s")


@main.command("bad-day")
@KUBECONFIG_OPTION
@click.option(
    "--laptop", "on_laptop", is_flag=True, help="Use the running `make demo` of this machine."
)
def bad_day_command(kubeconfig: Path | None, *, on_laptop: bool) -> None:
    """Add a file with broken rows, run a step with too little memory, and check the results.

    Exits with code 0 only if the expected check fails, the step grows, and nothing else fails. A
    laptop has no limits: there only the file is added.
    """
    progress = Progress(LOGS)
    if on_laptop:
        url = laptop.running_demo()
        client, drop, timeouts = laptop.web_server(url), laptop.drop_file, Timeouts()
    else:
        target = up.prepare(progress, kubeconfig)
        client, drop = target.web_server(), partial(cluster.drop_file, target)
        timeouts, url = cluster.TIMEOUTS, cluster.url(target)
    with Screen(progress.console) as screen:
        watch = Watch(client, screen, timeouts, url=url)
        outcome = bad_day.run_bad_day(watch, drop, with_limits=not on_laptop)
    bad_day.show(progress.console, outcome)
    sys.exit(1 if outcome.unexpected else 0)


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - signal's own form
    raise KeyboardInterrupt
