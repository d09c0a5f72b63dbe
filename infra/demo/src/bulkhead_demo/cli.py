"""The command `bulkhead-demo`: what the Makefile's targets run."""

import os
import signal
import sys
import time
from functools import partial
from pathlib import Path
from types import FrameType

import click

from bulkhead_demo import bad_day, cluster, laptop
from bulkhead_demo.flow import FlowError, Patience, Watch
from bulkhead_demo.laptop import LaptopError
from bulkhead_demo.paths import LAPTOP
from bulkhead_demo.processes import ProcessError
from bulkhead_demo.screen import Screen
from bulkhead_kind import up
from bulkhead_kind.cli import KUBECONFIG_OPTION, Commands
from bulkhead_kind.paths import LOGS
from bulkhead_kind.progress import Progress


class _Commands(Commands):
    errors_for_people = (*Commands.errors_for_people, FlowError, LaptopError, ProcessError)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Play the grocer: three code locations, one flow."""
    # A handler of our own, also where a shell started this with Ctrl-C ignored: what is started
    # from here inherits the ignoring, and not the handler.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)


@main.command("laptop")
@click.option("--fresh", is_flag=True, help="Begin with empty data.")
def laptop_command(*, fresh: bool) -> None:
    """Play the flow on this machine, without a cluster, on DuckDB and a folder.

    What is there already is kept: a second call loads only what is new. The page stays open until
    Ctrl-C; without a terminal, or with CI=true, the command ends with the flow.
    """
    began = time.monotonic()
    progress = Progress(LOGS)
    stay = sys.stdout.isatty() and os.environ.get("CI", "").lower() not in {"true", "1"}
    try:
        laptop.play(progress, fresh=fresh, stay=stay)
    except KeyboardInterrupt:
        progress.say(f"\nEnded; data and history stay in {LAPTOP}")
        sys.exit(0 if stay else 130)
    progress.say(f"The demo took {time.monotonic() - began:.0f} s")


@main.command("cluster")
@KUBECONFIG_OPTION
def cluster_command(kubeconfig: Path | None) -> None:
    """Play the flow on the cluster, on PostgreSQL and the object store.

    Does first what `make up` does, and adds three code locations with what they work with. The
    environment variables of `make up` count here, too.
    """
    began = time.monotonic()
    progress = Progress(LOGS)
    cluster.play(progress, kubeconfig)
    progress.say(f"The demo took {time.monotonic() - began:.0f} s")


@main.command("bad-day")
@KUBECONFIG_OPTION
@click.option("--laptop", "on_laptop", is_flag=True, help="On the demo that is open here.")
def bad_day_command(kubeconfig: Path | None, *, on_laptop: bool) -> None:
    """Drop a file with broken rows, starve a step of memory, and see what comes of it.

    Ends with code 0 only if what is promised happened, and nothing else. A laptop has no limits:
    there only the file is dropped.
    """
    progress = Progress(LOGS)
    if on_laptop:
        server, drop, patience = laptop.open_page(), laptop.drop_file, Patience()
        url = server.url
    else:
        target = up.prepare(progress, kubeconfig)
        server, drop = target.page(), partial(cluster.drop_file, target)
        patience, url = cluster.PATIENCE, cluster.url(target)
    with Screen(progress.console) as screen:
        watch = Watch(server, screen, patience, url=url)
        outcome = bad_day.play(watch, drop, with_limits=not on_laptop)
    bad_day.show(progress.console, outcome)
    sys.exit(1 if outcome.wrong else 0)


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - signal's own form
    raise KeyboardInterrupt
