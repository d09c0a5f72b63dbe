"""The assets of the stores: orders that they took while they were offline."""

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
"""Number of rows in the description of a failed check; its metadata has all of them."""


class LoadFiles(dg.Config):
    """The files to load."""

    files: list[str] = Field(
        default=[],
        description=f"Names of files, such as {DROPPED}store_367.csv. Empty: all files there.",
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
            description="All rows in the files of the latest load are valid.",
        )
    ],
)
def offline_orders(
    config: LoadFiles, files: FilesResource, warehouse: DatabaseResource
) -> dg.MaterializeResult:
    """Orders that stores took while they were offline, from the files that they sent.

    A file that is loaded again replaces its earlier rows. Invalid rows are stored separately, with
    the reason.
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
    """Replace the earlier rows of these files."""
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
    """Return the result of the check of that name, with the rejected rows."""
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
    description="Load files of orders that stores took while they were offline.",
)


@dg.sensor(
    job=load_offline_orders,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def dropped_files(
    context: dg.SensorEvaluationContext, files: FilesResource
) -> dg.SensorResult | dg.SkipReason:
    """Load new and changed files of the stores."""
    seen = json.loads(context.cursor or "{}")
    found = files.files().fingerprints(DROPPED)
    new = [name for name, fingerprint in found.items() if seen.get(name) != fingerprint]
    if not new:
        return dg.SkipReason(f"None of the {len(found)} files in {DROPPED} is new or changed.")
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(
                run_config=dg.RunConfig(ops={offline_orders.op.name: LoadFiles(files=new)})
            )
        ],
        cursor=json.dumps(found),
    )
