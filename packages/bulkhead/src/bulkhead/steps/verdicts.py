"""What became of an attempt at a step: a cause, and the facts that are known about it.

Facts keep their types here. `bulkhead.steps.sentences` turns a verdict into words for people.
"""

import enum
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple


class Cause(enum.Enum):
    """Why a step ended, or never started."""

    OUT_OF_MEMORY = "OutOfMemory"
    STORAGE = "EphemeralStorageExceeded"
    DEADLINE = "DeadlineExceeded"
    EXIT_CODE = "ExitCode"
    SIGNAL = "Signal"
    SILENT = "EndedWithoutResult"

    EVICTED = "Evicted"
    PREEMPTED = "Preempted"
    NODE_LOST = "NodeLost"
    NODE_SILENT = "NodeSilent"
    DELETED = "PodDeleted"
    API = "KubernetesApi"

    ABOVE_CEILING = "AboveCeiling"
    INVALID = "InvalidResources"
    REJECTED = "Rejected"
    QUOTA = "QuotaExceeded"
    UNSCHEDULABLE = "Unschedulable"
    IMAGE = "ImageCannotBePulled"
    CANNOT_START = "ContainerCannotStart"
    NEVER_STARTED = "NeverStarted"

    @property
    def is_infrastructure(self) -> bool:
        """Whether the cluster caused it. Such a step is retried without using its own retries."""
        return self in _INFRASTRUCTURE

    @property
    def is_before_start(self) -> bool:
        """Whether the step's code cannot have run. The step's own retries cannot help then."""
        return self in _BEFORE_START


_INFRASTRUCTURE: Final = frozenset(
    {Cause.EVICTED, Cause.PREEMPTED, Cause.NODE_LOST, Cause.DELETED, Cause.API}
)
_BEFORE_START: Final = frozenset(
    {
        Cause.ABOVE_CEILING,
        Cause.INVALID,
        Cause.REJECTED,
        Cause.QUOTA,
        Cause.UNSCHEDULABLE,
        Cause.IMAGE,
        Cause.CANNOT_START,
        Cause.NEVER_STARTED,
    }
)


class Excess(NamedTuple):
    """A request for more than is allowed; amounts as Kubernetes quantities."""

    resource: str
    requested: str
    allowed: str


class QuotaUse(NamedTuple):
    """A ResourceQuota without room for a pod; amounts as the API server lists them."""

    name: str
    requested: str
    used: str
    limited: str


class FailedInitContainer(NamedTuple):
    """An init container that kept a step from starting."""

    name: str
    exit_code: int


@dataclass(frozen=True)
class Verdict:
    """Why one attempt at a step ended, or cannot go on. What is not known is None or empty."""

    cause: Cause
    step: str
    """Key of the step; empty for a run's own pod."""
    attempt: int = 1
    """Counted from 1; retries of every kind count."""
    detail: str = ""
    """What the kubelet, the scheduler or the API server says, unchanged."""

    pod: str | None = None
    namespace: str | None = None
    node: str | None = None
    job: str | None = None
    """Name of the step's Job, where the Job itself is the subject."""
    image: str | None = None

    memory_limit: int | None = None
    """Bytes; the limit that was in force."""
    memory_request: int | None = None
    """Bytes."""
    cpu_limit: Decimal | None = None
    """Cores."""
    cpu_request: Decimal | None = None
    """Cores."""
    storage_limit: int | None = None
    """Bytes of ephemeral storage."""
    time_limit: int | None = None
    """Seconds; the deadline that has passed."""
    is_time_limit_of_job: bool = False
    """Whether the deadline is one of the Job and not of its pod."""

    exit_code: int | None = None
    signal: int | None = None
    """Number of the signal that ended the process."""
    reason: str | None = None
    """The kubelet's reason for the state of the container, or of the pod where it never had one."""
    elapsed: float | None = None
    """Seconds for which the container ran."""
    finished_at: str | None = None
    """RFC 3339, UTC."""
    init_container: FailedInitContainer | None = None

    excess: Excess | None = None
    location: str | None = None
    """The code location whose ceiling is exceeded."""
    quota: QuotaUse | None = None
    was_interrupted: bool = False
    """Whether the run itself was interrupted when this happened."""

    waited: float | None = None
    """Seconds after which waiting was given up."""
    last_lines: str = ""
    """The end of the container's log."""
