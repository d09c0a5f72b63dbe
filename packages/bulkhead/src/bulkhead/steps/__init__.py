"""A pod of its own for every step.

Cheap to import: step pods and code servers know the executor by its settings only, so what talks to
Kubernetes (0.5 s of CPU to import) is loaded by run pods alone. And a step's pod, which looks after
its own memory from the first moment, is in here before it has loaded even Dagster.
"""

from typing import TYPE_CHECKING

from bulkhead.steps.resources import step_resources

if TYPE_CHECKING:
    from bulkhead.steps.executor_config import isolated_step_executor

__all__ = ["isolated_step_executor", "step_resources"]


def __getattr__(name: str) -> object:
    """Return the executor, which loads Dagster."""
    if name != "isolated_step_executor":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from bulkhead.steps.executor_config import isolated_step_executor

    return isolated_step_executor
