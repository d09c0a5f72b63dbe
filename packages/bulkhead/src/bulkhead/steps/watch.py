"""What happens to the pods of one run's steps, as the API server reports it.

Nothing is requested for a single step. Two collections of the run's namespace are followed: the
pods with the run's label, and the events that tell why a Job could not create its pod. Each is
listed, then watched from there; see `bulkhead.kube.list_watch`.
"""

import logging
import threading
from dataclasses import replace
from typing import Final

from bulkhead.kube.api import KubernetesApi, KubernetesApiError
from bulkhead.kube.list_watch import ListWatch
from bulkhead.kube.objects import Object, parts
from bulkhead.kube.pods import StepPod

_logger = logging.getLogger("bulkhead.steps")

_REFUSED: Final = "involvedObject.kind=Job,reason=FailedCreate"
_RESTART_SECONDS: Final = 5.0


class StepWatch:
    """The pods of a run's steps by the name of their Job, kept up to date by two threads."""

    def __init__(self, api: KubernetesApi, namespace: str, selector: str) -> None:
        """Prepare; `start` begins.

        Args:
            api: the API server.
            namespace: where the steps' Jobs are.
            selector: labels of the steps' pods.
        """
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._pods = _Pods(self._lock)
        self._refusals = _Refusals(self._lock)
        path = f"/api/v1/namespaces/{namespace}"
        self._list_watches = [
            ListWatch(
                api,
                f"{path}/pods",
                {"labelSelector": selector},
                self._pods,
                on_failure=_log_failure,
            ),
            ListWatch(
                api,
                f"{path}/events",
                {"fieldSelector": _REFUSED},
                self._refusals,
                on_failure=_log_failure,
            ),
        ]

    def start(self) -> None:
        """Begin to follow, in threads that end with the process."""
        for each in self._list_watches:
            threading.Thread(target=self._run, args=[each], name="step-watch", daemon=True).start()

    def stop(self) -> None:
        """Let the threads end when their requests do."""
        self._stopped.set()
        for each in self._list_watches:
            each.stop()

    def _run(self, list_watch: ListWatch) -> None:
        """Follow until stopped; an object that the stores cannot read must not end it."""
        while not self._stopped.is_set():
            try:
                list_watch.run()
            except Exception:  # noqa: PERF203 - one pass lasts as long as the run
                _logger.exception("The watch on the steps of this run failed; listing again.")
                self._stopped.wait(_RESTART_SECONDS)

    @property
    def is_listed(self) -> bool:
        """Whether what is there has been seen at least once, so that a missing pod is missing."""
        return self._pods.is_listed

    def pod(self, job_name: str) -> StepPod | None:
        """Return the pod of a Job as last seen, also when it is gone; None if it never was."""
        with self._lock:
            return self._pods.by_job.get(job_name)

    def ended(self) -> frozenset[str]:
        """Return the names of the Jobs whose pods are over by now."""
        with self._lock:
            return frozenset(name for name, pod in self._pods.by_job.items() if pod.is_over)

    def refusal(self, job_name: str) -> str | None:
        """Return the API server's last message about a Job's pod that it refused."""
        with self._lock:
            return self._refusals.by_job.get(job_name)


class _Pods:
    def __init__(self, lock: threading.Lock) -> None:
        self.by_job: dict[str, StepPod] = {}
        self.is_listed = False
        self._lock = lock

    def replace(self, objects: list[Object]) -> None:
        there = {_uid(pod) for pod in objects}
        with self._lock:
            for pod in sorted(objects, key=_created):
                if self._is_of_the_first(pod):
                    self.by_job[_job_of(pod)] = self._seen(pod)
            for job, pod in self.by_job.items():
                if _uid(pod.object) not in there:
                    # Deleted while nobody watched: its last known state is all that there is.
                    self.by_job[job] = replace(pod, is_gone=True)
            self.is_listed = True

    def apply(self, change: str, value: Object) -> None:
        job = _job_of(value)
        with self._lock:
            known = self.by_job.get(job)
            was_gone = known is not None and known.is_gone
            if self._is_of_the_first(value) and not was_gone:
                pod = self._seen(value, is_gone=change == "DELETED")
                if known and _had_ended_by_itself(known) and (pod.is_being_deleted or pod.is_gone):
                    # A pod that is over and then deleted was not ended by the deletion.
                    pod = replace(known, is_gone=pod.is_gone)
                self.by_job[job] = pod

    def _seen(self, value: Object, *, is_gone: bool = False) -> StepPod:
        known = self.by_job.get(_job_of(value))
        return known.seen_again(value, is_gone=is_gone) if known else StepPod(value, is_gone)

    def _is_of_the_first(self, value: Object) -> bool:
        """Say whether this is the known pod of its Job, or the first one.

        A Job of a step creates one pod. If the cluster ever starts a second, only the code of the
        first runs (see `bulkhead.steps.worker`).
        """
        known = self.by_job.get(_job_of(value))
        return known is None or _uid(known.object) == _uid(value)


def _had_ended_by_itself(pod: StepPod) -> bool:
    return pod.is_over and not pod.is_being_deleted


class _Refusals:
    def __init__(self, lock: threading.Lock) -> None:
        self.by_job: dict[str, str] = {}
        self._lock = lock

    def replace(self, objects: list[Object]) -> None:
        for value in sorted(objects, key=_reported_at):  # a list is in the order of names
            self.apply("ADDED", value)

    def apply(self, change: str, value: Object) -> None:
        if change == "DELETED":  # events expire after an hour; their message stays true
            return
        with self._lock:
            self.by_job[value["involvedObject"]["name"]] = value.get("message", "")


def _job_of(pod: Object) -> str:
    owners = parts(pod, "metadata", "ownerReferences")
    return next((each["name"] for each in owners if each["kind"] == "Job"), pod["metadata"]["name"])


def _uid(value: Object) -> str | None:
    return value["metadata"].get("uid")


def _created(value: Object) -> str:
    return value["metadata"].get("creationTimestamp") or ""


def _reported_at(event: Object) -> str:
    return event.get("lastTimestamp") or event.get("eventTime") or ""


def _log_failure(error: KubernetesApiError) -> None:
    _logger.info("The steps of this run cannot be listed: %s; retrying", error)
