"""The stores in Dagster: orders that they took while their line was down."""

import json

import dagster as dg
from pydantic import Field

from ingestion.databases import Connection
from ingestion.files import DROPPED
from ingestion.order_files import Orders, Rejected
from ingestion.resources import DatabaseResource, FilesResource
from ingestion.shop import OWNERS, RETRIES, table_metadata, users
from ingestion.tables import OFFLINE_ORDERS, OFFLINE_ORDERS_REJECTED

NAMED_ROWS = 10
"""Rows that a failed check names in its one sentence; its metadata has them all."""


class LoadFiles(dg.Config):
    """Which files to load."""

    files: list[str] = Field(
        default=[],
        description=f"Names of files, such as {DROPPED}store_367.csv. None: all that were dropped.",
    )


@dg.asset(
    group_name="stores",
    owners=OWNERS,
    kinds={"python", "csv"},
    tags={"domain": "sales"},
    code_version="1",
    deps=[users],
    retry_policy=RETRIES,
    check_specs=[
        dg.AssetCheckSpec(
            "every_row_is_readable",
            asset="offline_orders",
            description="The files of the newest load had no row that had to be left out.",
        )
    ],
)
def offline_orders(
    config: LoadFiles, files: FilesResource, warehouse: DatabaseResource
) -> dg.MaterializeResult:
    """Orders that stores wrote down while their line was down, from the files that they dropped.

    A file that is loaded again takes the place of what it brought before. Rows that can't be read
    are kept apart, with the reason.
    """
    store = files.files()
    names = config.files or sorted(store.fingerprints(DROPPED))
    contents = {name: store.read(name) for name in names}
    found = Orders()
    with warehouse.database().connect() as connection:
        known = {user for (user,) in connection.rows("SELECT user_id FROM raw.users")}
        for name, content in contents.items():
            found.read(name, content, known)
        _replace(connection, names, found)
        return dg.MaterializeResult(
            metadata={
                **table_metadata(connection, OFFLINE_ORDERS),
                "files loaded": names,
                "rows loaded": len(found.accepted),
                "rows rejected": len(found.rejected),
            },
            check_results=[every_row_is_readable(found.rejected)],
        )


def _replace(connection: Connection, files: list[str], found: Orders) -> None:
    """Put what was found in these files in place of what they brought before."""
    import pyarrow as pa

    rejected = [row._asdict() for row in found.rejected]
    for table, rows in ((OFFLINE_ORDERS, found.accepted), (OFFLINE_ORDERS_REJECTED, rejected)):
        connection.replace(
            table,
            pa.Table.from_pylist(rows, table.arrow_schema()),
            "file = ANY($files)",
            files=files,
        )


def every_row_is_readable(rows: list[Rejected]) -> dg.AssetCheckResult:
    """Return what the check of that name says where these rows were rejected."""
    named = [f"{row.file}, row {row.row}: {row.reason}" for row in rows[:NAMED_ROWS]]
    if len(rows) > NAMED_ROWS:
        named.append(f"and {len(rows) - NAMED_ROWS} more")
    return dg.AssetCheckResult(
        check_name="every_row_is_readable",
        passed=not rows,
        severity=dg.AssetCheckSeverity.ERROR,
        description="\n".join(named) or None,
        metadata={
            "rejected rows": dg.MetadataValue.table(
                [dg.TableRecord(row._asdict()) for row in rows],
                dg.TableSchema(
                    [
                        dg.TableColumn(name, kind)
                        for name, kind in OFFLINE_ORDERS_REJECTED.columns.items()
                    ]
                ),
            )
        },
    )


load_offline_orders = dg.define_asset_job(
    "load_offline_orders",
    selection=dg.AssetSelection.assets(offline_orders),
    description="Load files of orders that stores took while their line was down.",
)


@dg.sensor(
    job=load_offline_orders,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def dropped_files(
    context: dg.SensorEvaluationContext, files: FilesResource
) -> dg.SensorResult | dg.SkipReason:
    """Load files that stores drop, and again when their content changes."""
    seen = json.loads(context.cursor or "{}")
    found = files.files().fingerprints(DROPPED)
    new = [name for name, fingerprint in found.items() if seen.get(name) != fingerprint]
    if not new:
        return dg.SkipReason(f"None of the {len(found)} files in {DROPPED} is new.")
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(
                run_config=dg.RunConfig(ops={offline_orders.op.name: LoadFiles(files=new)})
            )
        ],
        cursor=json.dumps(found),
    )
