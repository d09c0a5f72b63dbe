"""The files of the stores: in a folder on a laptop, in an S3 bucket on a cluster."""

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from botocore.client import BaseClient

DROPPED = "dropped/"
"""The folder in which stores put their files."""


class Files(ABC):
    """Files by name; a name may contain folders."""

    @abstractmethod
    def fingerprints(self, folder: str, suffix: str = ".csv") -> dict[str, str]:
        """Return the files in a folder, each with a fingerprint of its content."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Return a file's content; raises FileNotFoundError with the address."""

    @abstractmethod
    def write(self, name: str, content: bytes) -> str:
        """Write a file; return its address."""


@dataclass(frozen=True)
class LocalFiles(Files):
    """Files in a folder."""

    folder: Path

    def fingerprints(self, folder: str, suffix: str = ".csv") -> dict[str, str]:
        """Return the files in a folder, each with a fingerprint of its content."""
        return {
            path.relative_to(self.folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted((self.folder / folder).glob(f"[!.]*{suffix}"))
        }

    def read(self, name: str) -> bytes:
        """Return a file's content."""
        return (self.folder / name).read_bytes()

    def write(self, name: str, content: bytes) -> str:
        """Write a file atomically; return its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}")
        unfinished.write_bytes(content)
        unfinished.replace(path)
        return str(path)


@dataclass(frozen=True)
class S3Files(Files):
    """Objects in a bucket, under a prefix.

    Attributes:
        prefix: ends with a slash.
        endpoint: the store's address; None: that of AWS.
    """

    bucket: str
    prefix: str
    endpoint: str | None
    region: str

    @cached_property
    def _client(self) -> "BaseClient":
        import boto3

        return boto3.client("s3", endpoint_url=self.endpoint, region_name=self.region)

    def fingerprints(self, folder: str, suffix: str = ".csv") -> dict[str, str]:
        """Return the objects in a folder, each with a fingerprint of its content."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=self.prefix + folder, Delimiter="/"
        )
        return {
            item["Key"].removeprefix(self.prefix): item["ETag"].strip('"')
            for page in pages
            for item in page.get("Contents", [])
            if item["Key"].endswith(suffix)
        }

    def read(self, name: str) -> bytes:
        """Return an object's content."""
        try:
            found = self._client.get_object(Bucket=self.bucket, Key=self.prefix + name)
        except self._client.exceptions.NoSuchKey as error:
            raise FileNotFoundError(f"{self._address(name)} does not exist.") from error
        return found["Body"].read()

    def write(self, name: str, content: bytes) -> str:
        """Write an object; return its address."""
        self._client.put_object(Bucket=self.bucket, Key=self.prefix + name, Body=content)
        return self._address(name)

    def _address(self, name: str) -> str:
        return f"s3://{self.bucket}/{self.prefix}{name}"
