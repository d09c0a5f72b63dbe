"""What the commands share that run in the platform's pods until they are told to stop."""

from typing import TYPE_CHECKING, Protocol

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulkhead.kube.api import KubernetesApi


class Program(Protocol):
    """Something that works until it is stopped."""

    def run(self) -> None:
        """Work until `stop` is called."""
        ...

    def stop(self) -> None:
        """Let `run` return."""
        ...


def run_in_pod(make: "Callable[[KubernetesApi], Program]", *, port: int) -> None:
    """Make a program that uses the Kubernetes API as this pod, and run it until SIGTERM.

    Args:
        make: Makes it; may raise `OutsideClusterError`, and `OSError` where the port is taken.
        port: The one that it listens on, for a message.

    Raises:
        click.ClickException: It can't be made.
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
    # It warns of each request that is tried again; what matters of that is logged here.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    try:
        program = make(KubernetesApi.in_cluster())
    except OutsideClusterError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(
            f"port {port}: {error.strerror}. Choose another --port."
        ) from error
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: program.stop())
    program.run()
