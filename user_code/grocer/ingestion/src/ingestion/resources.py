"""The resources: databases, files and the campaign service, for each environment.

Assets get them from here, and do not depend on the environment.
"""

import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Final

import dagster as dg
from pydantic import Field

from ingestion.databases import Database, DuckDB, PostgreSQL
from ingestion.files import Files, LocalFiles, S3Files

ENVIRONMENT: Final = "GROCER_ENVIRONMENT"
DATA: Final = "GROCER_DATA"
BUCKET: Final = "BULKHEAD_OBJECT_STORE_BUCKET"
ENDPOINT: Final = "BULKHEAD_OBJECT_STORE_ENDPOINT"
CAMPAIGNS_URL: Final = "GROCER_CAMPAIGNS_URL"

REQUIRED: Final = (
    *(f"GROCER_WAREHOUSE_{name}" for name in ("HOST", "USER", "PASSWORD")),
    *(f"GROCER_SHOP_{name}" for name in ("HOST", "USER", "PASSWORD")),
    BUCKET,
)
"""Environment variables that are required on a cluster."""


class SettingsError(ValueError):
    """An environment variable is missing or invalid; `str()` names it and the allowed values."""


class DatabaseResource(dg.ConfigurableResource, ABC):
    """A database: the shop's, or the warehouse."""

    @abstractmethod
    def database(self) -> Database:
        """Return the database, without a connection."""


class DuckDBResource(DatabaseResource):
    """A DuckDB file."""

    path: str

    def database(self) -> Database:
        """Return the database."""
        return DuckDB(Path(self.path))


class PostgreSQLResource(DatabaseResource):
    """A PostgreSQL database."""

    host: str
    port: int = 5432
    name: str
    user: str
    password: str
    settings: str = Field(description="Prefix of the environment variables of this database.")

    def database(self) -> Database:
        """Return the database."""
        return PostgreSQL(self.host, self.port, self.name, self.user, self.password, self.settings)


class FilesResource(dg.ConfigurableResource, ABC):
    """Files that stores upload."""

    @abstractmethod
    def files(self) -> Files:
        """Return the files."""


class LocalFilesResource(FilesResource):
    """A folder."""

    folder: str

    def files(self) -> Files:
        """Return the files."""
        return LocalFiles(Path(self.folder))


class S3FilesResource(FilesResource):
    """An S3 bucket; boto3 finds the credentials."""

    bucket: str
    prefix: str
    endpoint: str | None = Field(description="The store's address; none: that of AWS.")
    region: str

    def files(self) -> Files:
        """Return the files."""
        return S3Files(self.bucket, self.prefix, self.endpoint, self.region)


class CampaignServiceResource(dg.ConfigurableResource):
    """Marketing's campaign service."""

    url: str


def current_environment() -> str:
    """Return the environment in GROCER_ENVIRONMENT; `local` if it is not set."""
    return os.environ.get(ENVIRONMENT, "local")


def resources(environment: str) -> dict[str, Any]:
    """Return the resources of all assets and sensors.

    Raises:
        SettingsError: the environment is unknown, or one of its variables is missing or invalid.
    """
    if environment not in MAKERS:
        raise SettingsError(
            f"{ENVIRONMENT} is {environment!r}. It must be 'local' (DuckDB and a folder) or "
            "'cluster' (PostgreSQL and an object store)."
        )
    url = os.environ.get(CAMPAIGNS_URL, "http://127.0.0.1:8765")
    return {**MAKERS[environment](), "campaign_service": CampaignServiceResource(url=url)}


def _local() -> dict[str, Any]:
    data = Path(os.environ.get(DATA, "build/grocer"))
    return {
        "warehouse": DuckDBResource(path=str(data / "warehouse.duckdb")),
        "shop": DuckDBResource(path=str(data / "shop.duckdb")),
        "files": LocalFilesResource(folder=str(data / "files" / "ingestion")),
    }


def _cluster() -> dict[str, Any]:
    missing = [name for name in REQUIRED if not os.environ.get(name)]
    if missing:
        raise SettingsError(
            f"{ENVIRONMENT} is 'cluster', but these environment variables are missing: "
            f"{', '.join(missing)}. Set them in the code location's values.yaml (env) or in a "
            "Secret that it names (envSecrets)."
        )
    return {
        "warehouse": _postgresql("GROCER_WAREHOUSE", default_name="warehouse"),
        "shop": _postgresql("GROCER_SHOP", default_name="shop"),
        "files": S3FilesResource(
            bucket=os.environ[BUCKET],
            prefix="grocer/ingestion/",
            endpoint=os.environ.get(ENDPOINT),
            region=os.environ.get("AWS_REGION", "us-east-1"),
        ),
    }


def _postgresql(settings: str, *, default_name: str) -> PostgreSQLResource:
    port = os.environ.get(f"{settings}_PORT", "5432")
    if not port.isdigit():
        raise SettingsError(f"{settings}_PORT is {port!r}. It must be a number, such as 5432.")
    return PostgreSQLResource(
        host=dg.EnvVar(f"{settings}_HOST"),
        port=int(port),
        name=os.environ.get(f"{settings}_DATABASE", default_name),
        user=dg.EnvVar(f"{settings}_USER"),
        password=dg.EnvVar(f"{settings}_PASSWORD"),
        settings=settings,
    )


MAKERS = {"local": _local, "cluster": _cluster}
"""Environment → the function that makes its resources."""
