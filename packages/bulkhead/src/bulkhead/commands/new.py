"""`bulkhead new`."""

from pathlib import Path

import click


def _checked_name(_context: click.Context, _parameter: click.Parameter, name: str) -> str:
    from bulkhead import location_name
    from bulkhead.scaffold import module_name

    try:
        location_name.check(name)
        module_name.check(name)
    except location_name.LocationNameError as error:
        raise click.BadParameter(str(error)) from error
    return name


@click.command(short_help="Create a new code location.")
@click.argument("name", callback=_checked_name)
@click.option(
    "--directory",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Create the folder NAME in this folder. `make up` deploys every folder of user_code.  "
    "[default: user_code; with --repository: the current folder]",
)
@click.option(
    "--repository",
    is_flag=True,
    help="Create a git repository of its own, with a workflow that deploys it.",
)
def new(name: str, directory: Path | None, *, repository: bool) -> None:
    """Create a new code location: assets, a check, tests, and values for its chart.

    NAME is its name in the Dagster UI, on the cluster and in Python (with _ instead of -). It has 1
    to 50 lower-case letters, digits and dashes, and starts with a letter.

    Existing files are never changed. If uv is installed, it writes requirements.lock.

    \b
    Example, in a clone of Bulkhead:
      .venv/bin/bulkhead new forecasts
    Example, in any other folder:
      bulkhead new forecasts --repository
    """  # noqa: D301 - click keeps the lines after this mark as they are
    from bulkhead.commands import new_folder, new_repository
    from bulkhead.scaffold import project

    directory = directory or Path("." if repository else "user_code")
    if not directory.is_dir():
        raise click.ClickException(
            f"The folder {directory} does not exist in {Path.cwd()}. Go to the root of a clone of "
            "Bulkhead, or name an existing folder with --directory."
        )
    if repository:
        new_repository.create(name, directory)
        return
    folder = directory / name
    root = _clone_around(directory)
    _refuse_name_of_other_image(folder, root)
    files = new_folder.write(folder, project.CODE_LOCATION)
    why_no_lock = _write_lock(folder, root)
    if why_no_lock is None:
        files = sorted([*files, Path("requirements.lock")])
    new_folder.show(folder, files)
    _show_next(folder, root, why_no_lock)


def _clone_around(directory: Path) -> Path | None:
    """Return the root of the clone of Bulkhead that `directory` is in."""
    from bulkhead.scaffold.lock import BULKHEAD

    here = directory.resolve()
    return next((each for each in (here, *here.parents) if (each / BULKHEAD).is_file()), None)


def _refuse_name_of_other_image(folder: Path, root: Path | None) -> None:
    """Refuse a folder that has the name of another image's folder: images are named after them."""
    from bulkhead.scaffold.module_name import another

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
                f"The image of {folder} would have the same name as the image of "
                f"{others}/{folder.name}. Choose another name, such as {another(folder.name)}."
            )


def _write_lock(folder: Path, root: Path | None) -> str | None:
    """Write the lock; return the reason if that is not possible."""
    from bulkhead.scaffold import lock

    if root is None:
        return "it can only be written in a clone of Bulkhead"
    uv = lock.find_uv()
    if uv is None:
        return "uv is neither beside Python nor on PATH"
    click.echo("Resolving the packages …", err=True)
    path = folder.resolve().relative_to(root)
    try:
        lock.write(uv, root, path / "requirements.lock", [f"{path}/pyproject.toml", lock.BULKHEAD])
    except lock.LockError as error:
        click.echo(f"{error}\n", err=True)
        return "uv failed; its error is above"
    return None


def _show_next(folder: Path, root: Path | None, why_no_lock: str | None) -> None:
    """Print the next commands; `why_no_lock` is the reason if the lock is missing."""
    if why_no_lock is not None:
        click.secho(f"\nrequirements.lock is missing: {why_no_lock}.", fg="yellow")
    if root is None or folder.resolve().parent != root / "user_code":
        click.echo(
            f"\nNext: move {folder} into user_code of a clone of Bulkhead. Then run `make lock`, "
            "`make unit` and `make up` there."
        )
        return
    steps = [
        ("make lock", "requirements.lock") if why_no_lock is not None else None,
        (f"make unit ARGS='tests/locations -k {folder.name}'", "run its tests with its own lock"),
        ("make up", "build its image and deploy it to the local cluster"),
    ]
    commands = [step for step in steps if step is not None]
    if Path.cwd() != root:
        commands.insert(0, (f"cd {root}", ""))
    width = max(len(command) for command, _ in commands)
    click.secho("\nNext:", bold=True)
    for command, does in commands:
        click.echo(f"  {command.ljust(width)}   {does}".rstrip())
    click.echo(
        f"\n{folder / 'README.md'} describes the files, and how to open the Dagster UI locally."
    )
