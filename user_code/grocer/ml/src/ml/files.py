"""Files of this code location: a folder on a laptop, a bucket on the cluster; without Dagster."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import boto3


class Files(Protocol):
    """A store of files."""

    def write(self, name: str, content: bytes) -> str:
        """Write a file, replacing one of the same name; return its address."""
        ...

    def read(self, name: str) -> bytes:
        """Return a file's content.

        Raises:
            FileNotFoundError: the file does not exist.
        """
        ...


@dataclass(frozen=True)
class Folder:
    """A folder on this machine."""

    path: Path

    def write(self, name: str, content: bytes) -> str:
        """Write a file atomically; return its path."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f".{file.name}.part")
        part.write_bytes(content)
        part.replace(file)
        return str(file)

    def read(self, name: str) -> bytes:
        """Return a file's content; see `Files`."""
        return (self.path / name).read_bytes()


@dataclass(frozen=True)
class Bucket:
    """A prefix in a bucket of an S3-compatible store; credentials as boto3 finds them."""

    bucket: str
    prefix: str
    endpoint: str | None

    def write(self, name: str, content: bytes) -> str:
        """Put an object there."""
        self._client().put_object(Bucket=self.bucket, Key=self.prefix + name, Body=content)
        return f"s3://{self.bucket}/{self.prefix}{name}"

    def read(self, name: str) -> bytes:
        """Return an object's content; see `Files`."""
        client = self._client()
        try:
            return client.get_object(Bucket=self.bucket, Key=self.prefix + name)["Body"].read()
        except client.exceptions.NoSuchKey as error:
            raise FileNotFoundError(
                f"There is no object s3://{self.bucket}/{self.prefix}{name}."
            ) from error

    def _client(self) -> Any:  # noqa: ANN401 - boto3 makes its classes when it runs
        return boto3.client("s3", endpoint_url=self.endpoint)
