"""Opens what the commands about deploys work on: a repository, its settings, and a cluster."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from bulkhead.commands.options import Place
from bulkhead.deploy import settings, sources
from bulkhead.deploy.repository import Repository, RepositoryError, Snapshot
from bulkhead.deploy.settings import Settings, SettingsError
from bulkhead.deploy.sources import CodeFolder
from bulkhead.kube.api import KubernetesApi, KubernetesApiError
from bulkhead.kube.kubeconfig import from_kubeconfig


@dataclass(frozen=True, slots=True)
class Opened:
    """A repository with its settings, and the API server of the cluster."""

    repository: Repository
    snapshot: Callable[[], Snapshot]
    settings: Settings
    api: KubernetesApi

    def choose(self, names: tuple[str, ...]) -> list[CodeFolder]:
        """Return the code locations of the repository with these names, or all of them.

        Raises:
            UsageError: There is none of this name.
        """
        try:
            found = sources.find(self.repository, self.snapshot(), self.settings)
            return sources.choose(found, names)
        except (RepositoryError, SettingsError) as error:
            raise click.UsageError(str(error)) from error


def open_repository(place: Place, *, commit: str | None = None, strict: bool = False) -> Opened:
    """Open a repository and read its settings.

    Args:
        place: Where it is, and which settings count.
        commit: A commit or branch, which is read again each time; None is the working tree.
        strict: Warnings of the load check are errors.

    Raises:
        UsageError: There is no repository, or a setting is not valid.
    """
    try:
        repository = Repository(place.directory)
        snapshot = repository.working_tree if commit is None else lambda: repository.at(str(commit))
        found = settings.read(
            settings_files(repository, snapshot(), place.settings),
            environment=place.environment,
            options={"context": place.context, "strict": strict or None},
        )
        return Opened(repository, snapshot, found, from_kubeconfig(found.context))
    except (RepositoryError, SettingsError, KubernetesApiError) as error:
        raise click.UsageError(str(error)) from error


def settings_files(repository: Repository, snapshot: Snapshot, also: Path | None) -> dict[str, str]:
    """Return the settings files: that of the repository, if there is one, and one more."""
    files: dict[str, str] = {}
    try:
        files[settings.FILE] = repository.text(snapshot, settings.FILE)
    except RepositoryError:
        click.echo(f"There is no {settings.FILE}. The defaults are used.", err=True)
    if also is not None:
        files[str(also)] = also.read_text()
    return files
