"""Opens what the commands about deploys work on: a repository, its settings, and a cluster."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

import click

from bulkhead.commands.options import Place
from bulkhead.deploy import settings, sources
from bulkhead.deploy.helm import Helm
from bulkhead.deploy.means import Means
from bulkhead.deploy.report import Report
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
    environment: str | None

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

    def means(self, report: Report, by: str | None) -> Means:
        """Return what deploys share; `by` is who deploys, None for git's user."""
        return Means(
            api=self.api,
            helm=Helm(self.settings.context),
            repository=self.repository,
            settings=self.settings,
            report=report,
            by=by or self.repository.config("user.name") or "unknown",
            snapshot=self.snapshot,
            environment=self.environment,
        )


def open_repository(
    place: Place, *, commit: str | None = None, strict: bool = False, needs_cluster: bool = True
) -> Opened:
    """Open a repository and read its settings.

    Args:
        place: Where it is, and which settings count.
        commit: A commit or branch, which is read again each time; None is the working tree.
        strict: Warnings of the load check are errors.
        needs_cluster: Without, a missing kubeconfig is an error of each request, and not here.

    Raises:
        UsageError: The folder is not in a git repository, or a setting is not valid.
    """
    try:
        repository = Repository(place.directory)
        snapshot = repository.working_tree if commit is None else lambda: repository.at(str(commit))
        found = settings.read(
            settings_files(repository, snapshot(), place.settings),
            environment=place.environment,
            options={"context": place.context, "strict": strict or None},
        )
        api = _connected(found.context, needs_cluster=needs_cluster)
        return Opened(repository, snapshot, found, api, place.environment)
    except (RepositoryError, SettingsError, KubernetesApiError) as error:
        raise click.UsageError(str(error)) from error


def open_others(place: Place) -> list[Opened]:
    """Open a repository for each environment but the one of `place`.

    The settings without an environment count as one, if they are complete.

    Raises:
        UsageError: As for `open_repository`.
    """
    try:
        repository = Repository(place.directory)
        files = settings_files(repository, repository.working_tree(), place.settings)
        names: list[str | None] = [*settings.environments(files)]
        if _is_complete(files):
            names.append(None)
    except (RepositoryError, SettingsError) as error:
        raise click.UsageError(str(error)) from error
    others = [replace(place, environment=each, context=None) for each in names]
    return [
        open_repository(each, needs_cluster=False)
        for each in others
        if each.environment != place.environment
    ]


def _is_complete(files: Mapping[str, str]) -> bool:
    """Whether the settings are valid without an environment."""
    try:
        settings.read(files)
    except SettingsError:
        return False
    return True


def _connected(context: str | None, *, needs_cluster: bool) -> KubernetesApi:
    try:
        return from_kubeconfig(context)
    except KubernetesApiError as error:
        if needs_cluster:
            raise
        reason = error

    def refuse() -> NoReturn:
        raise reason

    return KubernetesApi("", credentials=refuse)


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
