"""The IO manager of jobs that name none: pickles in the platform's object store.

Dagster's own default writes to the local file system, which no other pod can read. boto3 is
imported when a step first handles a value (0.3 s of CPU), not when a code location is loaded.
"""

import os
from typing import TYPE_CHECKING, Any, cast

from dagster import DagsterInvariantViolationError, InitResourceContext, io_manager

from bulkhead import names

if TYPE_CHECKING:
    from dagster_aws.s3 import PickledObjectS3IOManager


@io_manager(
    description="Pickles in the platform's object store, under the code location's own prefix."
)
def object_store_io_manager(_context: InitResourceContext) -> "PickledObjectS3IOManager":
    """Pickle values to `s3://<bucket>/<prefix>/`, as the `BULKHEAD_OBJECT_STORE_*` settings say.

    The layout under the prefix is `dagster_aws.s3.S3PickleIOManager`'s: `<asset key>/<partition>`
    for assets, `storage/<run id>/<step key>/<output>` for ops.

    Raises:
        DagsterInvariantViolationError: no bucket is set.
    """
    bucket = os.environ.get(names.OBJECT_STORE_BUCKET_ENV)
    if not bucket:
        raise DagsterInvariantViolationError(
            f"{names.OBJECT_STORE_BUCKET_ENV} is not set, so the values of steps have no object "
            f"store. On the platform ConfigMap {names.LOCATION_CONFIG_MAP} sets it. Elsewhere, set "
            "it, or name an io_manager in the resources of the Definitions."
        )

    import boto3
    from dagster_aws.s3 import PickledObjectS3IOManager

    return PickledObjectS3IOManager(
        s3_bucket=bucket,
        s3_session=cast("Any", boto3).client(
            "s3",
            region_name=os.environ.get(names.AWS_REGION_ENV, names.AWS_REGION_DEFAULT),
            endpoint_url=os.environ.get(names.OBJECT_STORE_ENDPOINT_ENV),
        ),
        s3_prefix=os.environ.get(names.OBJECT_STORE_PREFIX_ENV),
    )
