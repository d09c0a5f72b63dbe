"""The step executor: a pod of its own for every step.

It is cheap to import. Step pods and code servers only need the config of the executor, so only run
pods import the parts that use Kubernetes (0.5 s of CPU). A step's pod imports this package before
Dagster, to watch its own memory from the start.

| module | subject |
|---|---|
| `resources`, `ceiling` | what a step requests, and the largest step that is allowed |
| `executor_config`, `executor` | the config of the executor, and the executor |
| `handler` | creates, judges and deletes the Jobs of steps, as the executor requests |
| `launching`, `manifest`, `launch` | from a step to its Job; one attempt at a step |
| `judging`, `diagnosis`, `refusals` | whether an attempt is over, and why; no I/O |
| `verdicts`, `sentences`, `reports` | the result: its facts, its sentences, its events |
| `retries`, `history` | what follows, and what the run's log says about earlier attempts |
| `resuming` | takes over steps that an earlier run pod started |
| `growth`, `growth_channel` | raises the memory limit of a running step |
| `cluster`, `watch`, `step_jobs` | requests to the Kubernetes API |
| `event_tail`, `connections` | reading the event log, and the connections to the database |
| `worker`, `supervisor`, `usage`, `deferred_imports` | what runs in a step's pod |
"""

from typing import TYPE_CHECKING

from bulkhead.steps.resources import step_resources

if TYPE_CHECKING:
    from bulkhead.steps.executor_config import isolated_step_executor

__all__ = ["isolated_step_executor", "step_resources"]


def __getattr__(name: str) -> object:
    """Import the executor, and Dagster with it."""
    if name != "isolated_step_executor":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from bulkhead.steps.executor_config import isolated_step_executor

    return isolated_step_executor
