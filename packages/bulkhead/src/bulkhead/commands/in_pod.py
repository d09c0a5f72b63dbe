"""Runs the commands that work in the platform's pods until SIGTERM."""

from typing import TYPE_CHECKING, Protocol

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulkhead.kube.api import KubernetesApi


class Program(Protocol):
    """A program that runs until it is stopped."""

    def run(self) -> None:
        """Run until `stop` is called."""
        ...

    def stop(self) -> None:
        """Make `run` return."""
        ...


def run_in_pod(make: "Callable[[KubernetesApi], Program]", *, port: int) -> None:
    """Make a program with this pod's access to the Kubernetes API, and run it until SIGTERM.

    Args:
        make: Makes the program; may raise `OutsideClusterError`, or `OSError` if it cannot listen
            on the port.
        port: The port that the program listens on, for the error message.

    Raises:
        click.ClickException: The program cannot be made.
    """
    import logging
    import signal
    import time

    from bulkhead.kube.api import KubernetesApi, OutsideClusterError

    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)-7s %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%SZ",
    )
    logging.Formatter.converter = time.gmtime
    # urllib3 warns of each request that it retries; the programs log what matters of that.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    try:
        program = make(KubernetesApi.in_cluster())
    except OutsideClusterError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(
            f"Cannot listen on port {port}: {error.strerror}. Choose another port with --port."
        ) from error
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: program.stop())
    program.run()
