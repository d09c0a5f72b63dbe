"""Loads sample projects as a code server does and tells, as JSON, what Dagster sees of them.

Reads a list of environments from standard input, and writes a list of results. Dagster is imported
once (seconds of CPU); each project is then loaded in a child of its own, so that none sees what
another imported or set. Runs on every supported Dagster, so it uses only what all of them have.
"""

import json
import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

# Imported here, so that children inherit them.
import dagster as dg
import dagster._utils.test.definitions
from dagster._core.definitions.job_definition import (
    default_job_io_manager,
    default_job_io_manager_with_fs_io_manager_schema,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._grpc.server import LoadedRepositories

DEFAULT_IO_MANAGERS = (default_job_io_manager, default_job_io_manager_with_fs_io_manager_schema)


def main() -> None:
    environments = json.load(sys.stdin)
    json.dump([in_child(environment) for environment in environments], sys.stdout)


def in_child(environment: dict[str, str]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder, "result.json")
        child = os.fork()
        if child == 0:
            os.environ.update(environment)
            try:
                result.write_text(json.dumps(describe()))
            except BaseException:  # noqa: BLE001 - told to the parent
                result.write_text(json.dumps({"error": traceback.format_exc()}))
            os._exit(0)
        os.waitpid(child, 0)
        return json.loads(result.read_text())


def describe() -> dict[str, Any]:
    loaded = LoadedRepositories(
        LoadableTargetOrigin(module_name="bulkhead.location", working_directory=os.getcwd()),  # noqa: PTH109
        container_image=None,
        entry_point=["dagster"],
        container_context=None,
    )
    return {
        "modules": sorted(sys.modules),
        "repositories": {
            name: describe_repository(repository)
            for name, repository in loaded.definitions_by_name.items()
        },
    }


def describe_repository(repository: dg.RepositoryDefinition) -> dict[str, Any]:
    return {
        "jobs": {job.name: describe_job(job) for job in repository.get_all_jobs()},
        "schedules": {schedule.name: schedule.job_name for schedule in repository.schedule_defs},
        "sensors": {sensor.name: sensor.job_name for sensor in repository.sensor_defs},
        "assets": sorted(
            key.to_user_string() for key in repository.asset_graph.get_all_asset_keys()
        ),
        "checks": sorted(key.name for key in repository.asset_graph.asset_check_keys),
        "metadata": sorted(repository.metadata),
    }


def describe_job(job: dg.JobDefinition) -> dict[str, Any]:
    return {
        "executor": job.executor_def.name,
        "io_manager": "default"
        if job.resource_defs["io_manager"] in DEFAULT_IO_MANAGERS
        else "named",
        "loggers": sorted(job.loggers),
        "tags": dict(job.tags),
        "result": run(job) if os.environ.get("RUN_JOB") == job.name else None,
    }


def run(job: dg.JobDefinition) -> Any:
    outputs = job.execute_in_process()
    return {
        event.step_key: outputs.output_for_node(event.step_key)
        for event in outputs.get_step_success_events()
    }


if __name__ == "__main__":
    main()
