"""One attempt at a step, from the request to start it until its pod has ended."""

import time
from dataclasses import dataclass, field
from typing import Any

from bulkhead.steps.resources import StepResources
from bulkhead.steps.verdicts import Cause, Verdict


@dataclass
class Launch:
    """What has been done for one attempt at a step, and what it waits for. Times are monotonic."""

    step: str
    attempt: int
    """Counted from 1; retries of every kind count."""
    job_name: str
    resources: StepResources = field(default_factory=StepResources)
    """What the step's tags request."""
    job: Any = None
    """The Job as a V1Job; None for an attempt that an earlier run pod started."""
    is_created: bool = False
    verdict: Verdict | None = None
    """What became of it. It stays until the run's log has it."""
    next_request_at: float = 0.0
    """When the API server may be asked next to create the pod."""
    job_checked_at: float = field(default_factory=time.monotonic)
    """When the Job itself was last read or created."""
    since: dict[Cause, float] = field(default_factory=dict[Cause, float])
    """Since when it waits, by what it waits for."""
    reported: set[Cause] = field(default_factory=set[Cause])
    """What it waits for and the Dagster UI has shown."""

    def waited(self, cause: Cause, now: float) -> float:
        """Return for how many seconds it has waited for something that it waits for now."""
        return now - self.since.get(cause, now)

    def waits_for(self, cause: Cause | None, now: float) -> None:
        """Note what it waits for now; the first call starts the clock of that cause."""
        if cause is not None:
            self.since.setdefault(cause, now)

    def waits_only_for(self, cause: Cause | None, now: float) -> None:
        """Note what it waits for now, and that everything else is over."""
        self.since = {each: at for each, at in self.since.items() if each is cause}
        self.waits_for(cause, now)
