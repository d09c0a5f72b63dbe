"""What `bulkhead new` does in both cases: write the files of a new folder, and list them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import click


def write(
    folder: Path, templates: Sequence[Path], replacements: Mapping[str, str] | None = None
) -> list[Path]:
    """Write a new folder from templates; see `scaffold.project.write`.

    Raises:
        ClickException: The folder exists, or cannot be written; nothing of it is kept.
    """
    from bulkhead.scaffold import project

    try:
        return project.write(folder, templates, replacements)
    except FileExistsError as error:
        raise click.ClickException(
            f"{folder} exists already and was not changed. Choose another name, or move it first."
        ) from error
    except OSError as error:
        raise click.ClickException(
            f"{folder} could not be written: {error}. Nothing of it was kept. Check that you can "
            f"write to {folder.parent} and that the disk has room, then run the same command again."
        ) from error


def show(folder: Path, files: Sequence[Path]) -> None:
    """Print the files of a new folder."""
    click.secho(f"Created {folder}:", bold=True)
    for file in files:
        click.echo(f"  {file}")
