"""A pod of its own for every step.

Cheap to import: step pods and code servers know the executor by its settings only, so what talks to
Kubernetes (0.5 s of CPU to import) is loaded by run pods alone.
"""

from bulkhead.steps.executor import isolated_step_executor

__all__ = ["isolated_step_executor"]
