"""The options that several commands have."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
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


@dataclass(frozen=True, slots=True)
class Place:
    """Where a deploy is: the values of the options of `deploy_options`."""

    directory: Path
    environment: str | None
    settings: Path | None
    context: str | None


def repository_options(command: _Command) -> _Command:
    """Add --directory and --settings."""
    for option in (
        click.option(
            "--settings",
            metavar="FILE",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            envvar="BULKHEAD_SETTINGS",
            help="A second settings file; it takes precedence over bulkhead.toml.",
        ),
        click.option(
            "--directory",
            "-C",
            metavar="FOLDER",
            type=click.Path(exists=True, file_okay=False, path_type=Path),
            default=".",
            help="The repository.  [default: the current folder]",
        ),
    ):
        command = option(command)
    return command


def deploy_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add --directory, --settings, --environment and --context; the command gets `place`."""

    @repository_options
    @click.option(
        "--environment", "-e", metavar="NAME", help="A table [environments.NAME] of the settings."
    )
    @click.option("--context", help="Context of the kubeconfig.  [default: the current context]")
    @functools.wraps(command)
    def with_place(
        directory: Path,
        settings: Path | None,
        environment: str | None,
        context: str | None,
        **others: Any,  # noqa: ANN401 - the command's own options
    ) -> None:
        command(place=Place(directory, environment, settings, context), **others)

    return with_place
