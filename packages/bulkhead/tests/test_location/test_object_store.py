"""Values of jobs that name no IO manager, in a real S3-compatible store (SeaweedFS)."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from bulkhead import names
from bulkhead.code_location.object_store import object_store_io_manager

RUN_JOBS = Path(__file__).with_name("run_jobs.py")


def test_values_pass_between_steps_under_the_locations_own_prefix(
    object_store: Any, python: Path, searched: str, tmp_path: Path
) -> None:
    finished = subprocess.run(
        [python, RUN_JOBS, tmp_path / "attempts"],
        env={
            **os.environ,
            **object_store.environment,
            "PYTHONPATH": searched,
            names.CODE_LOCATION_ENV: "blue",
            names.DEFINITIONS_MODULE_ENV: "values_between_pods",
        },
        check=True,
        text=True,
        stdout=subprocess.PIPE,
    )
    run_ids = json.loads(finished.stdout)
    assert list(run_ids) == ["fan_out", "__ASSET_JOB"]

    of_ops = f"io/blue/storage/{run_ids['fan_out']}"
    assert object_store.value(f"{of_ops}/add_at_second_attempt/result") == 5
    assert sum(key.startswith(f"{of_ops}/square") for key in object_store.list_keys()) == 2
    assert object_store.value("io/blue/downstream") == 2
    assert [key for key in object_store.list_keys() if not key.startswith("io/blue/")] == []


def test_without_a_bucket_the_error_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(names.OBJECT_STORE_BUCKET_ENV, raising=False)
    with (
        pytest.raises(dg.DagsterInvariantViolationError) as error,
        dg.build_resources({"io_manager": object_store_io_manager}),
    ):
        pass
    assert names.OBJECT_STORE_BUCKET_ENV in str(error.value)
    assert names.LOCATION_CONFIG_MAP in str(error.value)
