"""`bulkhead migrate`."""

from pathlib import Path

import click

from bulkhead import names


@click.command(short_help="Create or upgrade the schema of the database.")
@click.option("--wait", is_flag=True, help="Change nothing; wait until the schema is up to date.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=300.0,
    show_default=True,
    help="Seconds to wait for the database, or for another migration to end.",
)
@click.option(
    "--dagster-home",
    envvar=names.DAGSTER_HOME_ENV,
    default=names.DAGSTER_HOME,
    show_default=True,
    show_envvar=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory that contains dagster.yaml.",
)
def migrate(wait: bool, timeout: float, dagster_home: Path) -> None:
    """Create or upgrade the schema of the database to the version of this image.

    A schema newer than the image is refused and not changed.
    """
    from bulkhead.migrate import migration

    work = migration.wait_for_schema if wait else migration.migrate
    try:
        work(dagster_home, timeout=timeout, say=click.echo)
    except migration.MigrationError as error:
        raise click.ClickException(str(error)) from error
