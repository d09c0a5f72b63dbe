"""The platform's answer for jobs that name no executor and no IO manager."""

import os

from bulkhead.dagster_compat import set_default_executor
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
        DagsterVersionError: this version of Dagster keeps its default executor elsewhere.
    """
    set_default_executor(isolated_step_executor)
    _supply_io_manager()


def _supply_io_manager() -> None:
    # Set by the team: named, so it stays.
    if _IO_MANAGER_MODULE_ENV not in os.environ:
        os.environ[_IO_MANAGER_MODULE_ENV] = "bulkhead.code_location.object_store"
        os.environ[_IO_MANAGER_ATTRIBUTE_ENV] = "object_store_io_manager"
