"""Loads new rows of the shop into the warehouse, with dlt.

dlt stores the state of each load in the warehouse, beside the data: a step's disk is deleted after
the step.
"""

import os
import tempfile
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from ingestion.databases import Database
from ingestion.tables import Table

if TYPE_CHECKING:
    import pyarrow as pa

DLT_TYPES = {
    "bigint": {"data_type": "bigint"},
    "double precision": {"data_type": "double"},
    "text": {"data_type": "text"},
    "timestamp": {"data_type": "timestamp", "timezone": False},
}


EARLIEST = datetime(1, 1, 1)  # noqa: DTZ001 - the shop's times have no zone
LATEST = datetime(9999, 12, 31)  # noqa: DTZ001 - the same


def load_new(
    source: Table,
    target: Table,
    *,
    shop: Database,
    warehouse: Database,
    cursor: str,
    key: str,
    before: datetime | None = None,
) -> int:
    """Load the rows of the shop that are newer than all loaded rows.

    A row replaces a loaded row with the same key, so an interrupted load can run again.

    Args:
        source: the shop's table.
        target: the warehouse's table; its schema is created if it does not exist.
        shop: the database to read from.
        warehouse: the database to load into.
        cursor: the column with the time of a row.
        key: the primary key.
        before: load only rows before this time.

    Returns:
        The number of loaded rows.

    Raises:
        DatabaseUnreachableError: a database does not respond, or rejects the user.
    """
    for name, value in {"DLTHUB_TELEMETRY": "false", "LOG_LEVEL": "ERROR"}.items():
        os.environ.setdefault(f"RUNTIME__{name}", value)
    import dlt

    schema, _, name = target.name.partition(".")

    @dlt.resource(
        name=name,
        primary_key=key,
        write_disposition="merge",
        columns={
            column: {**DLT_TYPES[kind], "nullable": column not in target.required}
            for column, kind in target.columns.items()
        },
    )
    def new_rows(
        moment: dlt.sources.incremental[datetime] = dlt.sources.incremental(cursor),  # noqa: B008 - dlt's way
    ) -> Iterator["pa.Table"]:
        with shop.connect() as connection:
            # Not `>`: new rows may have the same time. dlt drops the rows that it has loaded.
            yield connection.read(
                source,
                f"{cursor} >= $newest AND {cursor} < $before",
                newest=moment.last_value or EARLIEST,
                before=before or LATEST,
            )

    # Not left to dlt: its error for a wrong password differs, and it does not wait for another
    # process that creates the same schema.
    with warehouse.connect() as connection:
        connection.make_schema(schema)
    with warehouse.exclusive(), tempfile.TemporaryDirectory() as folder:
        pipeline = dlt.pipeline(
            f"grocer_{name}",
            pipelines_dir=folder,
            destination=warehouse.dlt_destination(),
            dataset_name=schema,
        )
        pipeline.run(new_rows, loader_file_format=warehouse.dlt_file_format)
        return pipeline.last_trace.last_normalize_info.row_counts.get(name, 0)
