"""`bulkhead changed`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bulkhead.commands.options import Place, repository_options

if TYPE_CHECKING:
    from bulkhead.deploy.changed import Changed
    from bulkhead.deploy.repository import Repository, Snapshot


@click.command(short_help="List the code locations that a commit changes.")
@repository_options
@click.option(
    "--environment", "-e", metavar="NAME", help="A table [environments.NAME] of the settings."
)
@click.option(
    "--since",
    metavar="COMMIT",
    help="The commit or branch to compare with.  [default: none; all code locations are listed]",
)
@click.option(
    "--commit",
    metavar="COMMIT",
    help="List what this commit or branch changes.  [default: the files as they are]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the names as a JSON list on one line.")
def changed(
    *,
    directory: Path,
    settings: Path | None,
    environment: str | None,
    since: str | None,
    commit: str | None,
    as_json: bool,
) -> None:
    """List the code locations that have changed since a commit, for the jobs of a CI service.

    A code location has changed if its folder has another git tree. All of them have if something
    that they share has changed: bulkhead.toml, the settings file, the pyproject.toml of the root
    folder, the chart, or the source of bulkhead.

    This reads only git. `bulkhead deploy` compares with what is live, so it also deploys what an
    earlier deploy left out.
    """
    import json

    from bulkhead.deploy.repository import RepositoryError
    from bulkhead.deploy.settings import SettingsError

    try:
        found = _find(Place(directory, environment, settings, None), since, commit)
    except (RepositoryError, SettingsError) as error:
        raise click.UsageError(str(error)) from error
    if as_json:
        click.echo(json.dumps([each.name for each in found]))
        return
    width = max((len(each.name) for each in found), default=0)
    for each in found:
        click.echo(f"{each.name.ljust(width)}  {each.reason}")


def _find(place: Place, since: str | None, commit: str | None) -> "list[Changed]":
    """Compare the two commits; raises RepositoryError, SettingsError."""
    from bulkhead.commands.deploy_target import settings_files
    from bulkhead.deploy import changed as changes, settings, sources
    from bulkhead.deploy.repository import Repository

    repository = Repository(place.directory)
    after = repository.working_tree() if commit is None else repository.at(commit)
    before = _earlier(repository, since)
    found = settings.read(
        settings_files(repository, after, place.settings),
        environment=place.environment,
        # The registry may be in a file of the machine that deploys; this command needs none.
        options={"registry": "none"},
    )
    return changes.find(
        repository,
        before,
        after,
        sources.find(repository, after, found),
        changes.shared_paths(found, _inside(repository, place.settings)),
    )


def _earlier(repository: "Repository", since: str | None) -> "Snapshot | None":
    """Return the content to compare with; None, with a line on stderr, if it is not there."""
    from bulkhead.deploy.repository import RepositoryError

    if not since:
        return None
    try:
        return repository.at(since)
    except RepositoryError:
        click.echo(
            f"Commit {since} is not in this repository. It is missing after a forced push, for a "
            "new branch, and in a shallow clone. All code locations are listed.",
            err=True,
        )
        return None


def _inside(repository: "Repository", file: Path | None) -> str | None:
    """Return the path of a file from the root of the repository; None if it is elsewhere."""
    if file is None or not file.resolve().is_relative_to(repository.root):
        return None
    return file.resolve().relative_to(repository.root).as_posix()
