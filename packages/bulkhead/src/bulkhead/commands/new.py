"""`bulkhead new`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence


def _checked_name(_context: click.Context, _parameter: click.Parameter, name: str) -> str:
    from bulkhead.scaffold import location_name

    try:
        location_name.check(name)
    except location_name.LocationNameError as error:
        raise click.BadParameter(str(error)) from error
    return name


@click.command(short_help="Write a new code location that works.")
@click.argument("name", callback=_checked_name)
@click.option(
    "--directory",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    default="user_code",
    show_default=True,
    help="Where to make the folder NAME. `make up` takes what is in user_code.",
)
def new(name: str, directory: Path) -> None:
    """Write a new code location that works: assets, a check, tests, values for its chart.

    NAME is how it is called in the page, on the cluster and in Python (there with _ for -): 1 to 50
    lower-case letters, digits and dashes, beginning with a letter.

    What is there already is never changed. The lock is made with uv where there is one.

    \b
    Example, in a clone of Bulkhead:
      .venv/bin/bulkhead new forecasts
    """  # noqa: D301 - click's mark for lines to leave as they are
    from bulkhead.scaffold import project

    if not directory.is_dir():
        raise click.ClickException(
            f"There is no folder {directory} here ({Path.cwd()}). Go to the root of a clone of "
            "Bulkhead, or name another folder that exists with --directory."
        )
    folder = directory / name
    root = _clone_around(directory)
    _refuse_name_of_other_image(folder, root)
    try:
        files = project.write(folder)
    except FileExistsError as error:
        raise click.ClickException(
            f"{folder} is there already, and was left as it is. Take another name, or move that "
            "away first."
        ) from error
    except OSError as error:
        raise click.ClickException(
            f"{folder} could not be written: {error}. Nothing is left of it. Make sure that "
            f"{directory} may be written to and has room, then try again."
        ) from error
    trouble = _write_lock(folder, root)
    if trouble is None:
        files = sorted([*files, Path("requirements.lock")])
    _show(folder, files)
    _show_next(folder, root, trouble)


def _clone_around(directory: Path) -> Path | None:
    """Return the root of the clone of Bulkhead that `directory` is in."""
    from bulkhead.scaffold.lock import BULKHEAD

    here = directory.resolve()
    return next((each for each in (here, *here.parents) if (each / BULKHEAD).is_file()), None)


def _refuse_name_of_other_image(folder: Path, root: Path | None) -> None:
    """Each image is named like its folder, wherever that is, and must be another one."""
    if root is None:
        return
    folders = (
        "images",
        "user_code",
        "user_code/grocer",
        "tests/e2e/locations",
        "tests/bench/locations",
    )
    for others in folders:
        other = root / others / folder.name
        if other.exists() and other != folder.resolve():
            raise click.ClickException(
                f"The image of {folder} would have the name of that of {others}/{folder.name}. "
                f"Take another name, such as {folder.name[:45]}-data."
            )


def _write_lock(folder: Path, root: Path | None) -> str | None:
    """Write the lock if that is possible; return why it was not."""
    from bulkhead.scaffold import lock

    if root is None:
        return "it is made in a clone of Bulkhead"
    uv = lock.find_uv()
    if uv is None:
        return "there is no uv beside Python or on PATH"
    click.echo("Deciding on the exact packages …", err=True)
    path = folder.resolve().relative_to(root)
    try:
        lock.write(uv, root, path / "requirements.lock", [f"{path}/pyproject.toml", lock.BULKHEAD])
    except lock.LockError as error:
        click.echo(f"{error}\n", err=True)
        return "uv could not make it, and said why above"
    return None


def _show(folder: Path, files: "Sequence[Path]") -> None:
    click.secho(f"Made {folder}:", bold=True)
    for file in files:
        click.echo(f"  {file}")


def _show_next(folder: Path, root: Path | None, trouble: str | None) -> None:
    """Say what to do next, as commands; `trouble` is why the lock is missing."""
    if trouble is not None:
        click.secho(f"\nrequirements.lock is still missing: {trouble}.", fg="yellow")
    if root is None or folder.resolve().parent != root / "user_code":
        click.echo(
            f"\nNext: move {folder} into user_code of a clone of Bulkhead. `make lock`, "
            "`make unit` and `make up` there find it by its folder."
        )
        return
    steps = [
        ("make lock", "requirements.lock") if trouble is not None else None,
        (f"make unit ARGS='tests/locations -k {folder.name}'", "its tests, with its own lock"),
        ("make up", "its image and its release, on the project's own cluster"),
    ]
    commands = [step for step in steps if step is not None]
    if Path.cwd() != root:
        commands.insert(0, (f"cd {root}", ""))
    width = max(len(command) for command, _ in commands)
    click.secho("\nNext:", bold=True)
    for command, does in commands:
        click.echo(f"  {command.ljust(width)}   {does}".rstrip())
    click.echo(
        f"\n{folder / 'README.md'} says what is where, and how to see it in a page on this machine."
    )
