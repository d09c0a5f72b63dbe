"""The options that name an installation, for the commands that read one."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from bulkhead import names

_Command = TypeVar("_Command", bound=Callable[..., Any])


def installation_options(command: _Command) -> _Command:
    """Add --context, --namespace, --release and --json."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        click.option(
            "--release",
            default=names.PLATFORM_NAMESPACE,
            show_default=True,
            help="The platform's Helm release.",
        ),
        click.option(
            "--namespace",
            "-n",
            default=names.PLATFORM_NAMESPACE,
            show_default=True,
            help="The platform's namespace.",
        ),
        click.option(
            "--context", help="Context of the kubeconfig.  [default: the current context]"
        ),
    ):
        command = option(command)
    return command
