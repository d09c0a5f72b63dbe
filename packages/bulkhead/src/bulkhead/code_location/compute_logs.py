"""Stores the output of steps in the object store, with Dagster's own S3 manager.

The S3 manager is imported at the first upload: importing `dagster_aws` and making a client takes
0.45 s of CPU in every step's pod. A step uploads its output after its end, or `upload_interval`
seconds after its start.
"""

import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any, cast

from dagster import Permissive

from bulkhead.dagster_compat import (
    IO_TYPE_EXTENSION,
    CapturedLogContext,
    CapturedLogSubscription,
    CloudStorageComputeLogManager,
    ComputeIOType,
    ConfigurableClass,
    ConfigurableClassData,
    LocalComputeLogManager,
    PollingComputeLogSubscriptionManager,
    ensure_file,
    touch_file,
)
from bulkhead.steps import supervisor

if TYPE_CHECKING:
    from dagster_aws.s3 import S3ComputeLogManager


class _SupervisedManager(LocalComputeLogManager):
    """Lets the supervisor of a step's process write the files; without one, works as Dagster's."""

    @contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Generator[CapturedLogContext]:
        if supervisor.FOLDER_ENV not in os.environ:
            with super().capture_logs(log_key) as context:
                yield context
            return
        paths = {
            number: self.get_captured_local_path(log_key, IO_TYPE_EXTENSION[kind])
            for number, kind in ((1, ComputeIOType.STDOUT), (2, ComputeIOType.STDERR))
        }
        for path in paths.values():
            ensure_file(path)
        with supervisor.captured(paths):
            yield CapturedLogContext(log_key)
        touch_file(cast("Any", self).complete_artifact_path(log_key))


class LazyS3ComputeLogManager(CloudStorageComputeLogManager, ConfigurableClass):
    """Captures output itself, and leaves everything about the store to an `S3ComputeLogManager`.

    It has the settings of an `S3ComputeLogManager`. They are checked when this is made: at the
    first upload or read. Most methods only forward to it, as Dagster's interface needs.
    """

    def __init__(self, inst_data: ConfigurableClassData | None, config: Mapping[str, Any]) -> None:
        """Keep the settings of an `S3ComputeLogManager`."""
        self._inst_data = inst_data
        folder = config.get("local_dir") or gettempdir()
        self._config: dict[str, Any] = {**config, "local_dir": folder}
        self._local_manager = _SupervisedManager(folder)
        self._subscriptions = PollingComputeLogSubscriptionManager(self)
        super().__init__()

    @cached_property
    def _s3(self) -> "S3ComputeLogManager":
        from dagster_aws.s3 import S3ComputeLogManager

        return S3ComputeLogManager(**self._config)

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        """Return where this was configured."""
        return self._inst_data

    @classmethod
    def config_type(cls) -> Permissive:
        """Accept any settings: `S3ComputeLogManager` checks them."""
        return cast("Any", Permissive)()

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "LazyS3ComputeLogManager":
        """Make the manager from its section of `dagster.yaml`."""
        return cls(inst_data, config_value)

    @property
    def local_manager(self) -> LocalComputeLogManager:
        """Return the manager that captures output in files of this pod."""
        return self._local_manager

    @property
    def upload_interval(self) -> int | None:
        """Return the seconds between uploads while a step runs; None uploads only at its end."""
        return self._config.get("upload_interval") or None

    def delete_logs(
        self, log_key: Sequence[str] | None = None, prefix: Sequence[str] | None = None
    ) -> None:
        """Remove captured logs, in this pod and in the store."""
        self._s3.delete_logs(log_key=log_key, prefix=prefix)

    def download_url_for_type(self, log_key: Sequence[str], io_type: ComputeIOType) -> str | None:
        """Return a signed address of a complete log."""
        return cast("str | None", self._s3.download_url_for_type(log_key, io_type))

    def display_path_for_type(self, log_key: Sequence[str], io_type: ComputeIOType) -> str:
        """Return the path of a complete log in the store, for people."""
        return cast("str", self._s3.display_path_for_type(log_key, io_type))

    def cloud_storage_has_logs(
        self, log_key: Sequence[str], io_type: ComputeIOType, partial: bool = False
    ) -> bool:
        """Say whether a log is in the store."""
        return self._s3.cloud_storage_has_logs(log_key, io_type, partial)

    def upload_to_cloud_storage(
        self, log_key: Sequence[str], io_type: ComputeIOType, partial: bool = False
    ) -> None:
        """Put a captured log into the store."""
        self._s3.upload_to_cloud_storage(log_key, io_type, partial)

    def download_from_cloud_storage(
        self, log_key: Sequence[str], io_type: ComputeIOType, partial: bool = False
    ) -> None:
        """Download a log from the store to the files of this pod."""
        self._s3.download_from_cloud_storage(log_key, io_type, partial)

    def get_log_keys_for_log_key_prefix(
        self, log_key_prefix: Sequence[str], io_type: ComputeIOType
    ) -> Sequence[list[str]]:
        """Return the keys of the logs under a prefix."""
        return self._s3.get_log_keys_for_log_key_prefix(log_key_prefix, io_type)

    def on_subscribe(self, subscription: CapturedLogSubscription) -> None:
        """Follow a log for the Dagster UI."""
        self._subscriptions.add_subscription(subscription)

    def on_unsubscribe(self, subscription: CapturedLogSubscription) -> None:
        """Stop following a log."""
        self._subscriptions.remove_subscription(subscription)

    def dispose(self) -> None:
        """Release files and threads."""
        self._subscriptions.dispose()
        self._local_manager.dispose()
