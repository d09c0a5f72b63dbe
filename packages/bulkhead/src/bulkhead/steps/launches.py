"""One attempt at a step, from the wish to start it to the end of its pod."""

import time
from dataclasses import dataclass, field
from typing import Any

from bulkhead.steps.verdicts import Verdict


@dataclass
class Launch:
    """What has been done for one attempt at a step, and since when something stands in its way."""

    step: str
    attempt: int
    """Counted from 1; repetitions by the executor count too."""
    job_name: str
    job: Any = None
    """The Job as a V1Job; None for an attempt that an earlier run pod made."""
    is_created: bool = False
    verdict: Verdict | None = None
    """What became of it; it stands until the run's log has it."""
    next_try: float = 0.0
    """When the API server may be asked again; `time.monotonic`."""
    looked_up: float = field(default_factory=time.monotonic)
    """When the Job itself was last read or made."""
    _since: dict[str, float] = field(default_factory=dict[str, float])
    _told: set[str] = field(default_factory=set[str])

    def lasting(self, condition: str) -> float:
        """Return for how many seconds a condition has held that holds now."""
        return time.monotonic() - self._since.setdefault(condition, time.monotonic())

    def only(self, condition: str | None) -> None:
        """Note which condition holds, and that no other does."""
        self._since = {each: at for each, at in self._since.items() if each == condition}

    def is_first(self, condition: str) -> bool:
        """Say whether people have yet to be told of a condition; they have been, from then on."""
        if condition in self._told:
            return False
        self._told.add(condition)
        return True
