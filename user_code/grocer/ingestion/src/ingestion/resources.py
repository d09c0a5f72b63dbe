"""Where this code location finds its databases, files and campaigns: the only place that knows.

Assets take what is made here and never ask where they run.
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
"""Environment variables without which nothing works on a cluster."""


class SettingsError(ValueError):
    """An environment variable is missing or wrong; `str()` says which, and what is allowed."""


class DatabaseResource(dg.ConfigurableResource, ABC):
    """A database: the shop's, or the warehouse."""

    @abstractmethod
    def database(self) -> Database:
        """Return the database, not connected to yet."""


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
    settings: str = Field(description="What the environment variables that lead to it begin with.")

    def database(self) -> Database:
        """Return the database."""
        return PostgreSQL(self.host, self.port, self.name, self.user, self.password, self.settings)


class FilesResource(dg.ConfigurableResource, ABC):
    """Files that stores drop."""

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
    """Return where this runs, as GROCER_ENVIRONMENT says; without it, on a laptop."""
    return os.environ.get(ENVIRONMENT, "local")


def resources(environment: str) -> dict[str, Any]:
    """Return the resources of all assets and sensors.

    Raises:
        SettingsError: there is no such environment, or one of its variables is missing or wrong.
    """
    if environment not in MAKERS:
        raise SettingsError(
            f"{ENVIRONMENT} is {environment!r}; it must be 'local' (DuckDB and a folder) or "
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
            f"{ENVIRONMENT} is 'cluster', and these environment variables are missing: "
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
        raise SettingsError(f"{settings}_PORT is {port!r}; it must be a number, such as 5432.")
    return PostgreSQLResource(
        host=dg.EnvVar(f"{settings}_HOST"),
        port=int(port),
        name=os.environ.get(f"{settings}_DATABASE", default_name),
        user=dg.EnvVar(f"{settings}_USER"),
        password=dg.EnvVar(f"{settings}_PASSWORD"),
        settings=settings,
    )


MAKERS = {"local": _local, "cluster": _cluster}
"""What makes the resources of each environment."""
