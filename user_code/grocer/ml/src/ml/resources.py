"""The resources of the assets, on a laptop and on the cluster.

Database drivers, pandas and boto3 are imported when a resource is opened: code server and run pods,
which load the definitions too, never open one.
"""

import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from ml import environment
from ml.environment import Environment
from ml.programs import Sidecar, Subprocess

if TYPE_CHECKING:
    from ml import files, warehouse


class Warehouse(dg.ConfigurableResource, ABC):
    """The database of the grocer's tables."""

    @abstractmethod
    def open(self) -> "warehouse.Warehouse":
        """Return the warehouse."""


class DuckDBWarehouse(Warehouse):
    """A file on this machine."""

    path: str

    def open(self) -> "warehouse.Warehouse":
        """Return the warehouse."""
        from ml import warehouse

        return warehouse.DuckDB(Path(self.path))


class PostgreSQLWarehouse(Warehouse):
    """A database on a server."""

    host: str
    port: int
    database: str
    user: str
    password: str

    def open(self) -> "warehouse.Warehouse":
        """Return the warehouse."""
        from ml import warehouse

        return warehouse.PostgreSQL(self.host, self.port, self.database, self.user, self.password)


class FileStore(dg.ConfigurableResource, ABC):
    """The store of models and flyers."""

    @abstractmethod
    def open(self) -> "files.Files":
        """Return the files."""


class FolderStore(FileStore):
    """A folder on this machine."""

    path: str

    def open(self) -> "files.Files":
        """Return the files."""
        from ml import files

        return files.Folder(Path(self.path))


class BucketStore(FileStore):
    """A bucket of an S3-compatible store; credentials and region as boto3 finds them."""

    bucket: str
    prefix: str
    endpoint: str | None = None

    def open(self) -> "files.Files":
        """Return the files."""
        from ml import files

        return files.Bucket(self.bucket, self.prefix, self.endpoint)


def resources(env: Environment) -> dict[str, Any]:
    """Return the resources of an environment; secrets are read when a step starts."""
    match env:
        case Environment.LOCAL:
            data = environment.data()
            return {
                "warehouse": DuckDBWarehouse(path=str(data / "warehouse.duckdb")),
                "files": FolderStore(path=str(data / "files" / "ml")),
                "program": Subprocess(),
            }
        case Environment.CLUSTER:
            return {
                "warehouse": PostgreSQLWarehouse(
                    host=dg.EnvVar("GROCER_WAREHOUSE_HOST"),
                    port=int(os.environ.get("GROCER_WAREHOUSE_PORT", "5432")),
                    database=os.environ.get("GROCER_WAREHOUSE_DATABASE", "warehouse"),
                    user=dg.EnvVar("GROCER_WAREHOUSE_USER"),
                    password=dg.EnvVar("GROCER_WAREHOUSE_PASSWORD"),
                ),
                "files": BucketStore(
                    bucket=dg.EnvVar("BULKHEAD_OBJECT_STORE_BUCKET"),
                    prefix="grocer/ml/",
                    # Absent for AWS itself.
                    endpoint=os.environ.get("BULKHEAD_OBJECT_STORE_ENDPOINT"),
                ),
                "program": Sidecar() if environment.flyer_image() else Subprocess(),
            }
