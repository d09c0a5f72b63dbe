"""The state of a step's pod, read from the pod as the API server describes it."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bulkhead import names
from bulkhead.kube import quantities
from bulkhead.kube.objects import Object, condition, part, parts

# Reasons of a container that waits because something is wrong. They are all that the kubelet gives
# while it pulls an image, ErrImagePull refined to the last two by the runtime:
# https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/kubelet/images/types.go
# https://github.com/kubernetes/kubernetes/blob/v1.34.0/staging/src/k8s.io/cri-api/pkg/errors/errors.go
IMAGE_REASONS: Final = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
# All that it gives while it starts a container, but for PostStartHookError: the container has run
# then, has ended, and is not started again in a pod of a Job (restartPolicy Never).
# https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/kubelet/kuberuntime/kuberuntime_container.go
START_REASONS: Final = frozenset(
    {
        "CreateContainerConfigError",
        "PreCreateHookError",
        "CreateContainerError",
        "PreStartHookError",
        "RunContainerError",
    }
)
# Reasons of a container that has ended without ever having run, from containerd and from Docker.
NEVER_RAN_REASONS: Final = frozenset({"StartError", "ContainerCannotRun"})
# Reasons of a container that was gone when the kubelet (ContainerStatusUnknown) or containerd
# (Unknown) came back, for example after a reboot.
LOST_REASONS: Final = frozenset({"ContainerStatusUnknown", "Unknown"})


@dataclass(frozen=True)
class Ending:
    """How the step's container ended."""

    exit_code: int
    reason: str
    message: str
    started_at: str | None
    finished_at: str | None

    @property
    def seconds(self) -> float | None:
        """How long the container lived, where the kubelet knows."""
        if not self.started_at or not self.finished_at or self.reason in NEVER_RAN_REASONS:
            return None  # one that never ran is said to have started in 1970
        return (parse_time(self.finished_at) - parse_time(self.started_at)).total_seconds()


@dataclass(frozen=True)
class StepPod:
    """One pod, as last seen; `is_gone` once the API server no longer has it.

    It is long because each field of the API that matters is one small property.
    """

    object: Object
    is_gone: bool = False
    memory_limit_before: int | None = None
    """The limit in bytes that was in force when its container was last seen running."""

    def seen_again(self, value: Object, *, is_gone: bool) -> "StepPod":
        """Return the same pod as it is now; keep what only its earlier state tells."""
        before = self.memory_limit if self.is_running else self.memory_limit_before
        return StepPod(value, is_gone, before)

    @property
    def name(self) -> str:
        """Its name, which no other attempt at any step has."""
        return self.object["metadata"]["name"]

    @property
    def namespace(self) -> str:
        """Its code location's namespace."""
        return self.object["metadata"]["namespace"]

    @property
    def step_key(self) -> str:
        """The step that runs in it."""
        return self._metadata("annotations").get(names.STEP_KEY_ANNOTATION, "")

    @property
    def node(self) -> str | None:
        """The node that it runs on, once there is one."""
        return self._spec.get("nodeName")

    @property
    def phase(self) -> str:
        """Pending, Running, Succeeded, Failed or Unknown."""
        return self._status.get("phase", "Pending")

    @property
    def reason(self) -> str:
        """Why the pod as a whole failed: Evicted, DeadlineExceeded, NodeLost and the like."""
        return self._status.get("reason", "")

    @property
    def message(self) -> str:
        """The message beside `reason`."""
        return self._status.get("message", "")

    @property
    def is_over(self) -> bool:
        """Whether nothing of it runs now or later."""
        return self.is_gone or self.phase in {"Succeeded", "Failed"} or self.ending is not None

    @property
    def is_being_deleted(self) -> bool:
        """Whether it was deleted, by a person or a component of the cluster."""
        return "deletionTimestamp" in self.object["metadata"]

    @property
    def has_started(self) -> bool:
        """Whether its container has run, so that the step's code may have, too."""
        if self.ending:
            return self.ending.reason not in NEVER_RAN_REASONS
        return self.is_running

    @property
    def is_running(self) -> bool:
        """Whether its container ran when it was last seen."""
        return "running" in self._state

    @property
    def running_since(self) -> dt.datetime | None:
        """When its container started, while it runs."""
        started = self._state.get("running", {}).get("startedAt")
        return started and parse_time(started)

    @property
    def grace_seconds(self) -> int:
        """How long the kubelet gives its container to end."""
        return int(self._spec.get("terminationGracePeriodSeconds") or 30)

    @property
    def created_at(self) -> dt.datetime | None:
        """When the API server accepted it."""
        created = self.object["metadata"].get("creationTimestamp")
        return created and parse_time(created)

    @property
    def ending(self) -> Ending | None:
        """How the container ended, if it has."""
        terminated = self._state.get("terminated")
        if terminated is None:
            return None
        return Ending(
            exit_code=int(terminated.get("exitCode", 0)),
            reason=terminated.get("reason", ""),
            message=terminated.get("message", ""),
            started_at=terminated.get("startedAt"),
            finished_at=terminated.get("finishedAt"),
        )

    @property
    def failed_init_container(self) -> tuple[str, int] | None:
        """Name and exit code of the init container that failed, if one has."""
        statuses = parts(self._status, "initContainerStatuses")
        for status in statuses:
            code = part(status, "state", "terminated").get("exitCode", 0)
            if code:
                return status["name"], int(code)
        return None

    @property
    def waiting(self) -> tuple[str, str] | None:
        """Reason and message of a container that waits to start."""
        waiting = self._state.get("waiting")
        return waiting and (waiting.get("reason", ""), waiting.get("message", ""))

    @property
    def unschedulable(self) -> str | None:
        """The scheduler's reason, while there is no node for it."""
        condition = self._condition("PodScheduled")
        if condition and condition.get("status") == "False":
            return condition.get("message") or condition.get("reason")
        return None

    @property
    def disruption(self) -> tuple[str, str] | None:
        """Reason and message if the cluster ends it: drained, preempted, its node lost.

        https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions
        """
        condition = self._condition("DisruptionTarget")
        if condition and condition.get("status") == "True":
            return condition.get("reason", ""), condition.get("message", "")
        return None

    @property
    def node_is_lost(self) -> bool:
        """Whether the node has stopped reporting the pod's state.

        The node controller then sets the pod's condition Ready to False. ContainersReady stays
        True, as the kubelet last reported it.
        """
        if self.reason == "NodeLost" or self.phase == "Unknown":
            return True
        ready = self._condition("Ready") or {}
        containers_ready = self._condition("ContainersReady") or {}
        return (
            self.is_running
            and ready.get("status") in {"False", "Unknown"}
            and ready.get("reason") != "ReadinessGatesNotReady"
            and containers_ready.get("status") == "True"
        )

    @property
    def container_name(self) -> str:
        """The name of the step's container."""
        return self._container.get("name", "")

    @property
    def image(self) -> str:
        """The image of its container."""
        return self._container.get("image", "")

    @property
    def deadline_seconds(self) -> int | None:
        """Its time limit in seconds."""
        return self._spec.get("activeDeadlineSeconds")

    def limit(self, resource: str) -> str | None:
        """The limit of its container in the pod's spec, where a LimitRange may have set it."""
        return part(self._container, "resources", "limits").get(resource)

    def request(self, resource: str) -> str | None:
        """The request of its container in the pod's spec."""
        return part(self._container, "resources", "requests").get(resource)

    @property
    def memory_limit(self) -> int | None:
        """The memory limit in bytes: the one in force, which may have grown since it started.

        For a container that does not run, the kubelet reports the limit that it was granted. A step
        that was killed before this limit was in force never had it.
        """
        if not self.is_running and self.memory_limit_before is not None:
            return self.memory_limit_before
        status = self._container_status or {}
        amount = part(status, "resources", "limits").get("memory") or self.limit("memory")
        return None if amount is None else quantities.parse_bytes(amount)

    @property
    def _spec(self) -> Object:
        return part(self.object, "spec")

    @property
    def _status(self) -> Object:
        return part(self.object, "status")

    def _metadata(self, kind: str) -> Mapping[str, str]:
        return part(self.object, "metadata", kind)

    @property
    def _container(self) -> Object:
        """The step's container is the first; sidecars of a team come after it."""
        containers = parts(self._spec, "containers")
        return containers[0] if containers else {}

    @property
    def _container_status(self) -> Object | None:
        name = self._container.get("name")
        statuses = parts(self._status, "containerStatuses")
        return next((status for status in statuses if status.get("name") == name), None)

    @property
    def _state(self) -> Object:
        status = self._container_status
        return status.get("state", {}) if status else {}

    def _condition(self, kind: str) -> Object | None:
        return condition(self.object, kind)


def parse_time(text: str) -> dt.datetime:
    """Return a time of the API, which is RFC 3339 in UTC."""
    return dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
