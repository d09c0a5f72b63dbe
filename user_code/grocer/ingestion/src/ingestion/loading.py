"""Rows that are new in the shop, brought into the warehouse by dlt.

How far a table has been loaded is kept by dlt in the warehouse, beside the data: the process that
loads may be gone afterwards, and its disk with it.
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
    """Load the rows of the shop that are newer than all that was loaded before.

    A row whose key is in the warehouse already takes the place of that row, so that a load that
    was cut short can be run again.

    Args:
        source: the shop's table.
        target: the warehouse's, in a schema that this makes if need be.
        shop: the database to read from.
        warehouse: the database to load into.
        cursor: the column by which a row is newer than another.
        key: the column by which a row is the same as another.
        before: load only rows that are older than this.

    Returns:
        How many rows were loaded.

    Raises:
        DatabaseUnreachableError: one of the databases does not answer, or not to this user.
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
            # Not above: rows of the same moment may have come since. dlt drops those it has seen.
            yield connection.read(
                source,
                f"{cursor} >= $newest AND {cursor} < $before",
                newest=moment.last_value or EARLIEST,
                before=before or LATEST,
            )

    # Not left to dlt: it would tell of a wrong password in other words, and not wait for another
    # process that makes the same schema.
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
