"""What steps print, in a real S3-compatible store."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from dagster._core.storage.compute_log_manager import ComputeIOType

from bulkhead import names
from bulkhead.code_location.compute_logs import LazyS3ComputeLogManager

KEY = ["run", "compute_logs", "step"]


@pytest.fixture
def settings(object_store: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, object_store.environment[name])
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return {
        "bucket": "values",
        "prefix": "logs",
        "endpoint_url": object_store.environment[names.OBJECT_STORE_ENDPOINT_ENV],
        "skip_empty_files": True,
    }


def manager(settings: dict[str, Any], folder: Path) -> LazyS3ComputeLogManager:
    return LazyS3ComputeLogManager(None, {**settings, "local_dir": str(folder)})


def test_what_one_pod_captures_another_reads(
    settings: dict[str, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    step = manager(settings, tmp_path / "step")
    with capfd.disabled(), step.capture_logs(KEY):
        subprocess.run([sys.executable, "-c", "print('Hello, dagster!')"], check=True)
    page = manager(settings, tmp_path / "page")
    assert page.cloud_storage_has_logs(KEY, ComputeIOType.STDOUT)
    data = page.get_log_data(KEY)
    assert data.stdout == b"Hello, dagster!\n"
    page.delete_logs(log_key=KEY)
    assert not page.cloud_storage_has_logs(KEY, ComputeIOType.STDOUT)


def test_a_step_reaches_its_first_line_without_the_client_of_the_store() -> None:
    code = (
        "import sys; import bulkhead.code_location.compute_logs as c;"
        "c.LazyS3ComputeLogManager(None, {'bucket': 'b'});"
        "print(sorted({'boto3', 'dagster_aws'} & {*sys.modules}))"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert said.stdout == "[]\n"
