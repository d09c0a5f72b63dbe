"""`bulkhead new --repository`."""

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from bulkhead.scaffold.origin import Origin

_TO_FILL_IN: Final = (
    ("bulkhead.toml", "the addresses of the registry and of the chart"),
    (".github/workflows/deploy.yaml", "the owner of the deploy workflow on GitHub"),
    (".github/actions/login/action.yaml", "how the workflow logs in to the cluster"),
)
# Not the comment with the same text.
_SOURCE_LINE: Final = '\nbulkhead = {path = "wheels/bulkhead-0.1.0-py3-none-any.whl"}\n'


def create(name: str, directory: Path) -> None:
    """Create a folder that is a whole repository of one code location, and print what to do next.

    Raises:
        ClickException: The folder cannot be written; nothing of it is kept.
    """
    from bulkhead.commands import new_folder
    from bulkhead.scaffold import first_commit, lock, origin

    root = first_commit.root_around(directory)
    if root is not None:
        raise click.ClickException(
            f"{directory.resolve()} is in the git repository {root}. A repository of its own "
            "cannot be in another one. Name a folder outside with --directory."
        )
    folder = directory / name
    with tempfile.TemporaryDirectory(prefix="bulkhead-new-") as scratch:
        try:
            found = origin.find(Path(scratch), lambda text: click.echo(text, err=True))
        except origin.OriginError as error:
            raise click.ClickException(str(error)) from error
        files = _write(folder, found)
    uv = lock.find_uv()
    why_no_lock = "uv is neither beside Python nor on PATH" if uv is None else _lock(uv, folder)
    if why_no_lock is None:
        files = sorted([*files, Path("requirements.lock")])
    why_no_commit = first_commit.make(folder, f"Code location {name}, created by bulkhead new")
    new_folder.show(folder, files)
    if why_no_lock is not None:
        click.secho(f"\nrequirements.lock is missing: {why_no_lock}.", fg="yellow")
    if why_no_commit is not None:
        click.secho(f"\nThe files are not committed: {why_no_commit}", fg="yellow")
    _show_next(folder, is_locked=why_no_lock is None)


def _write(folder: Path, found: "Origin") -> list[Path]:
    """Write the files, with the wheel of bulkhead if it is needed."""
    from bulkhead.commands import new_folder
    from bulkhead.scaffold import origin, project

    line = "\n" if found.source is None else f"\nbulkhead = {found.source}\n"
    files = new_folder.write(folder, project.REPOSITORY, {_SOURCE_LINE: line})
    if found.wheel is None:
        return files
    wheel = Path(origin.WHEELS) / found.wheel.name
    (folder / wheel).parent.mkdir()
    shutil.copy(found.wheel, folder / wheel)
    return sorted([*files, wheel])


def _lock(uv: str, folder: Path) -> str | None:
    """Write the lock; return the reason if that is not possible."""
    from bulkhead.scaffold import lock

    click.echo("Resolving the packages …", err=True)
    try:
        lock.write_of_repository(uv, folder)
    except lock.LockError as error:
        click.echo(f"{error}\n", err=True)
        return "uv failed; its error is above"
    return None


def _show_next(folder: Path, *, is_locked: bool) -> None:
    from bulkhead.scaffold import lock

    click.secho("\nFill in:", bold=True)
    width = max(len(file) for file, _ in _TO_FILL_IN)
    for file, what in _TO_FILL_IN:
        click.echo(f"  {file.ljust(width)}   {what}")
    click.secho("\nNext:", bold=True)
    click.echo(f"  cd {folder}")
    if not is_locked:
        click.echo(f"  uv {' '.join(lock.COMPILE_REPOSITORY)}")
    click.echo("  uv venv")
    click.echo("  uv pip install -r requirements.lock --group dev -e .")
    click.echo("  .venv/bin/pytest")
    click.echo(f"\n{folder / 'README.md'} describes the files, and how to check and deploy.")
