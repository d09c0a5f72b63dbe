"""What happens to the pod of a load check, as the API server reports it."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from bulkhead import names
from bulkhead.deploy.load_check.pod import COMPONENT, COMPONENT_LABEL
from bulkhead.deploy.load_check.progress import Stage
from bulkhead.kube.api import KubernetesApi, KubernetesApiError
from bulkhead.kube.list_watch import ListWatch
from bulkhead.kube.objects import Object, labels
from bulkhead.kube.pods import IMAGE_REASONS, StepPod

_PULLED: Final = frozenset({"Pulled", "Created", "Started"})

_ABANDONED_AFTER: Final = timedelta(seconds=60)


class Following:
    """The pod of a load check as last seen, kept up to date by two threads.

    Its events say what its status does not: that its image is being pulled, and why a volume cannot
    be mounted.
    """

    def __init__(self, api: KubernetesApi, created: Object) -> None:
        """Prepare; `start` begins.

        Args:
            api: the API server.
            created: the pod, as the API server returned it.
        """
        namespace, name = created["metadata"]["namespace"], created["metadata"]["name"]
        location = labels(created).get(names.CODE_LOCATION_LABEL, "")
        self._changed = threading.Event()
        self._pods = _Pods(created, self._changed.set)
        self._events = _Events(self._changed.set)
        self._list_watches = [
            ListWatch(
                api,
                f"/api/v1/namespaces/{namespace}/pods",
                {
                    "labelSelector": f"{COMPONENT_LABEL}={COMPONENT},"
                    f"{names.CODE_LOCATION_LABEL}={location}"
                },
                self._pods,
                on_failure=self._pods.fail,
            ),
            ListWatch(
                api,
                f"/api/v1/namespaces/{namespace}/events",
                {"fieldSelector": f"involvedObject.kind=Pod,involvedObject.name={name}"},
                self._events,
            ),
        ]

    def start(self) -> None:
        """Begin to follow, in threads that end with the process."""
        for each in self._list_watches:
            threading.Thread(target=each.run, name="load-check", daemon=True).start()

    def stop(self) -> None:
        """Let the threads end when their requests do."""
        for each in self._list_watches:
            each.stop()

    def wait(self, seconds: float) -> None:
        """Wait until something has changed, or until the time is over."""
        self._changed.wait(seconds)
        self._changed.clear()

    @property
    def pod(self) -> StepPod:
        """The pod as last seen."""
        return self._pods.pod

    @property
    def failure(self) -> KubernetesApiError | None:
        """Why the pod cannot be listed at the moment."""
        return self._pods.failure

    @property
    def stage(self) -> Stage:
        """What the pod does."""
        pod = self.pod
        if pod.is_running:
            return Stage.LOADING
        if pod.node is None:
            return Stage.SCHEDULING
        is_waiting_for_image = pod.waiting is not None and pod.waiting[0] in IMAGE_REASONS
        if is_waiting_for_image or self._events.is_pulling:
            return Stage.PULLING
        return Stage.STARTING

    @property
    def warning(self) -> str:
        """The last warning about the pod, in the words of the scheduler or the kubelet."""
        return self._events.warning

    def abandoned(self) -> list[str]:
        """Return the names of pods of earlier checks that nobody waits for.

        A deploy that was killed leaves its pod. A check waits no longer than the deadline of its
        pod, so a pod that is older than that has nobody.
        """
        own = self.pod.created_at
        return [
            each.name
            for each in self._pods.others
            if own
            and each.created_at
            and each.created_at + timedelta(seconds=each.deadline_seconds or 0) + _ABANDONED_AFTER
            < own
        ]


class _Pods:
    """The store of all pods of load checks of the code location; one of them is the own."""

    def __init__(self, created: Object, changed: Callable[[], None]) -> None:
        self.pod = StepPod(created)
        self.others: list[StepPod] = []
        self.failure: KubernetesApiError | None = None
        self._changed = changed

    def replace(self, objects: list[Object]) -> None:
        self.failure = None
        own = [each for each in objects if self._is_own(each)]
        self.others = [StepPod(each) for each in objects if not self._is_own(each)]
        # Deleted while nobody watched: its last known state is all that there is.
        self._take(own[0] if own else self.pod.object, is_gone=not own)

    def apply(self, change: str, value: Object) -> None:
        if self._is_own(value):
            self._take(value, is_gone=change == "DELETED")

    def fail(self, error: KubernetesApiError) -> None:
        self.failure = error
        self._changed()

    def _take(self, value: Object, *, is_gone: bool) -> None:
        if self.pod.is_over and (is_gone or StepPod(value).is_being_deleted):
            # A pod that is over and then deleted was not ended by the deletion.
            self.pod = replace(self.pod, is_gone=is_gone)
        else:
            self.pod = self.pod.seen_again(value, is_gone=is_gone)
        self._changed()

    def _is_own(self, value: Object) -> bool:
        metadata: Any = value["metadata"]
        return metadata.get("uid") == self.pod.object["metadata"].get("uid")


class _Events:
    """The store of the events about the pod."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self.warning = ""
        self._reasons: set[str] = set()
        self._changed = changed

    @property
    def is_pulling(self) -> bool:
        return "Pulling" in self._reasons and not self._reasons & _PULLED

    def replace(self, objects: list[Object]) -> None:
        for each in sorted(objects, key=_reported_at):
            self.apply("ADDED", each)

    def apply(self, change: str, value: Object) -> None:
        if change == "DELETED":  # an event expires; what it says stays true
            return
        self._reasons.add(str(value.get("reason")))
        if value.get("type") == "Warning":
            self.warning = str(value.get("message") or "")
        self._changed()


def _reported_at(event: Object) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or "")
