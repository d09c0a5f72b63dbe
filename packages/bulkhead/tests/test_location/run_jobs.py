"""Runs the jobs of a sample project in this process, through `bulkhead.location`."""

import json
import sys

import dagster as dg
from dagster._core.code_pointer import CodePointer
from dagster._core.definitions.reconstruct import ReconstructableRepository


def main() -> None:
    attempts_file = sys.argv[1]
    repository = ReconstructableRepository(
        CodePointer.from_module("bulkhead.location", "defs", None)
    )
    in_process = {"execution": {"config": {"in_process": {}}}}
    op_config = {"ops": {"add_at_second_attempt": {"config": {"attempts_file": attempts_file}}}}
    with dg.DagsterInstance.ephemeral() as instance:
        results = {
            "fan_out": dg.execute_job(
                repository.get_reconstructable_job("fan_out"),
                instance,
                run_config={**in_process, **op_config},
            ),
            "__ASSET_JOB": dg.execute_job(
                repository.get_reconstructable_job("__ASSET_JOB"), instance, run_config=in_process
            ),
        }
    json.dump(
        {name: result.run_id for name, result in results.items() if result.success}, sys.stdout
    )


if __name__ == "__main__":
    main()
