"""The platform's answer for jobs that name no executor and no IO manager."""

import os

import dagster
from dagster._core.definitions import job_definition

from bulkhead.steps import isolated_step_executor

# Dagster's own switches for the IO manager of jobs that name none; see default_job_io_manager in
# dagster/_core/definitions/job_definition.py.
_IO_MANAGER_MODULE_ENV = "DAGSTER_DEFAULT_IO_MANAGER_MODULE"
_IO_MANAGER_ATTRIBUTE_ENV = "DAGSTER_DEFAULT_IO_MANAGER_ATTRIBUTE"


def supply_defaults() -> None:
    """Make a pod per step and the object store this process's defaults.

    Only the defaults change, never a definition. So a job, a `Definitions` or a repository that
    names its executor or its `io_manager` keeps it, a job in any form (loose, in a repository, made
    from assets, held by a schedule or a sensor) is reached, and `execute_in_process` in a team's
    tests goes on using memory.

    Raises:
        DagsterInvariantViolationError: this Dagster holds its default executor elsewhere.
    """
    _supply_executor()
    _supply_io_manager()


def _supply_executor() -> None:
    # Dagster has no setting for the default executor. Every job without one asks for this name at
    # the time of use, in 1.12 as in 1.13.
    if not hasattr(job_definition, "DEFAULT_EXECUTOR_DEF"):
        raise dagster.DagsterInvariantViolationError(
            f"Dagster {dagster.__version__} is not one that Bulkhead knows: it keeps its default "
            "executor elsewhere, so steps would share one pod. Pin dagster>=1.12,<1.14 in the code "
            "location's lock, or name an executor in its Definitions and load it without "
            "bulkhead.location."
        )
    job_definition.DEFAULT_EXECUTOR_DEF = isolated_step_executor


def _supply_io_manager() -> None:
    # Set by the team: named, so it stays.
    if _IO_MANAGER_MODULE_ENV not in os.environ:
        os.environ[_IO_MANAGER_MODULE_ENV] = "bulkhead.code_location.object_store"
        os.environ[_IO_MANAGER_ATTRIBUTE_ENV] = "object_store_io_manager"
