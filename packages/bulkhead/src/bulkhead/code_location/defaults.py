"""The defaults of the platform for jobs that name no executor or no IO manager."""

import os

from bulkhead.dagster_compat import set_default_executor
from bulkhead.steps import isolated_step_executor

# Dagster's own settings for the IO manager of jobs that name none; see default_job_io_manager in
# dagster/_core/definitions/job_definition.py.
_IO_MANAGER_MODULE_ENV = "DAGSTER_DEFAULT_IO_MANAGER_MODULE"
_IO_MANAGER_ATTRIBUTE_ENV = "DAGSTER_DEFAULT_IO_MANAGER_ATTRIBUTE"


def supply_defaults() -> None:
    """Make a pod per step and the object store this process's defaults.

    Only the defaults change, never a definition. So a job, a `Definitions` or a repository that
    names its executor or its `io_manager` keeps it. The defaults apply to every kind of job: loose,
    in a repository, made from assets, or of a schedule or a sensor. `execute_in_process` in a
    team's tests still uses memory.

    Raises:
        DagsterVersionError: this version of Dagster keeps its default executor elsewhere.
    """
    set_default_executor(isolated_step_executor)
    _supply_io_manager()


def _supply_io_manager() -> None:
    # The team set it: it stays.
    if _IO_MANAGER_MODULE_ENV not in os.environ:
        os.environ[_IO_MANAGER_MODULE_ENV] = "bulkhead.code_location.object_store"
        os.environ[_IO_MANAGER_ATTRIBUTE_ENV] = "object_store_io_manager"
