"""The requests that are made for single Jobs of steps; all else is known from the watch.

None of these fails because the API server does not answer. What can wait is tried again by the
caller, what cannot is logged.
"""

import logging
import os
import time
from collections.abc import Mapping
from typing import Any, Final

from bulkhead import names
from bulkhead.kube import quantities
from bulkhead.kube.api import KubernetesApi, KubernetesApiError
from bulkhead.kube.jobs import HTTP_NOT_FOUND, plain_object
from bulkhead.kube.objects import parts
from bulkhead.kube.pods import StepPod

_logger = logging.getLogger("bulkhead.steps")

_HTTP_CONFLICT: Final = 409
_HTTP_TOO_MANY: Final = 429
_HTTP_SERVER: Final = 500

_OWNER_TIMEOUT_SECONDS: Final = 60.0
_RETRY_SECONDS: Final = 2.0
_LOG_LINES: Final = 20


class RefusedError(Exception):
    """A request was refused; `str()` is why, and `may_pass` whether the next try may succeed."""

    def __init__(self, message: str, *, may_pass: bool) -> None:
        """Keep the API server's message, and whether the cause may go away."""
        super().__init__(message)
        self.may_pass = may_pass


class StepJobs:
    """The Jobs of one run's steps, in the namespace of its code location.

    It has one method for each request.
    """

    def __init__(self, api: KubernetesApi, namespace: str) -> None:
        """Prepare; nothing is requested yet."""
        self._api = api
        self._namespace = namespace
        self._jobs_path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        self._own: dict[str, Any] | None = None

    def create(self, job: Any) -> None:  # noqa: ANN401 - a V1Job
        """Create a Job; one that exists was created by an earlier try.

        Raises:
            RefusedError: the API server rejects it, or does not answer.
        """
        try:
            self._api.create(self._jobs_path, plain_object(job))
        except KubernetesApiError as error:
            if error.status == _HTTP_CONFLICT and error.reason == "AlreadyExists":
                return
            raise _refused(error) from error

    def exists(self, job_name: str) -> bool | None:
        """Say whether a Job exists and is not being deleted; None where this is unknown."""
        try:
            job = self._read(job_name)
        except KubernetesApiError as error:
            return False if error.status == HTTP_NOT_FOUND else None
        return not job["metadata"].get("deletionTimestamp")

    def exceeded_deadline(self, job_name: str) -> int | None:
        """Return a Job's own time limit in seconds, if it was that which ended its pod."""
        try:
            job = self._read(job_name)
        except KubernetesApiError:
            return None
        conditions = parts(job, "status", "conditions")
        if any(each.get("reason") == "DeadlineExceeded" for each in conditions):
            return job["spec"].get("activeDeadlineSeconds")
        return None

    def last_lines(self, pod: StepPod) -> str:
        """Return the end of what a step's container printed; empty where that is lost."""
        query = {"container": pod.container_name, "tailLines": str(_LOG_LINES)}
        try:
            return self._api.text(f"{_pod_path(pod)}/log", query).strip()
        except KubernetesApiError:
            return ""

    def retrigger(self, job_name: str) -> None:
        """Have the Job controller soon retry to create a pod that was refused.

        By itself it retries after 1, 2, 4 … 60 s. A Job that changes is looked at a second
        later. https://kubernetes.io/docs/concepts/workloads/controllers/job/
        """
        path = f"/metadata/annotations/{names.RETRIGGERED_ANNOTATION.replace('/', '~1')}"
        self._patch(job_name, path, str(int(time.time())), "could not be retriggered")

    def adopt(self, job_name: str) -> None:
        """Hand a Job that an earlier pod of this run made over to the Job of this one.

        The earlier one's is removed when its time to live is over, and what it owns with it.
        """
        owner = self.owner()
        if owner:
            reference = {
                "apiVersion": owner["api_version"],
                "kind": owner["kind"],
                "name": owner["name"],
                "uid": owner["uid"],
            }
            self._patch(
                job_name, "/metadata/ownerReferences", [reference], "stays with an earlier run pod"
            )

    def resize(self, pod: StepPod, memory: int) -> None:
        """Raise the memory request and limit of a running step to `memory` bytes.

        Raises:
            RefusedError: the API server rejects it, or does not answer.
        """
        changes = [
            {
                "op": "replace",
                "path": f"/spec/containers/0/resources/{kind}/memory",
                "value": quantities.exact_bytes(memory),
            }
            for kind in ("requests", "limits")
        ]
        try:
            self._api.patch(f"{_pod_path(pod)}/resize", changes)
        except KubernetesApiError as error:
            raise _refused(error) from error

    def address(self) -> str | None:
        """Return the IP address of this pod; None where it is in none, or cannot see it."""
        return self._own_pod().get("status", {}).get("podIP")

    def delete(self, job_name: str) -> None:
        """Delete a Job and its pod."""
        try:
            self._api.delete(f"{self._jobs_path}/{job_name}")
        except KubernetesApiError as error:
            if error.status == HTTP_NOT_FOUND:
                return
            _logger.warning("Job %s could not be deleted: %s", job_name, error)

    def owner(self) -> Mapping[str, str] | None:
        """Return a reference to the run's Job; None where the run is in no pod of a Job."""
        owners = self._own_pod().get("metadata", {}).get("ownerReferences", [])
        for owner in owners:
            if owner["kind"] == "Job":
                return {
                    "api_version": owner["apiVersion"],
                    "kind": owner["kind"],
                    "name": owner["name"],
                    "uid": owner["uid"],
                }
        return None

    def _own_pod(self) -> dict[str, Any]:
        """Return the pod that this process is in; empty where it is in none, or cannot see it."""
        if self._own is None:
            self._own = self._read_own_pod()
        return self._own

    def _read_own_pod(self) -> dict[str, Any]:
        name = os.environ.get("HOSTNAME")
        timeout = time.monotonic() + _OWNER_TIMEOUT_SECONDS
        while name:
            try:
                return self._api.get(f"/api/v1/namespaces/{self._namespace}/pods/{name}")
            except KubernetesApiError as error:
                if error.status == HTTP_NOT_FOUND or time.monotonic() > timeout:
                    _logger.warning(
                        "Steps of this run have no owner and may outlive it: pod %s in namespace "
                        "%s could not be read: %s",
                        name,
                        self._namespace,
                        error,
                    )
                    break
            time.sleep(_RETRY_SECONDS)
        return {}

    def _read(self, job_name: str) -> dict[str, Any]:
        return self._api.get(f"{self._jobs_path}/{job_name}")

    def _patch(self, job_name: str, path: str, value: object, otherwise: str) -> None:
        try:
            self._api.patch(
                f"{self._jobs_path}/{job_name}", [{"op": "add", "path": path, "value": value}]
            )
        except KubernetesApiError as error:
            _logger.warning("Job %s %s: %s", job_name, otherwise, error)


def _pod_path(pod: StepPod) -> str:
    return f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}"


def _refused(error: KubernetesApiError) -> RefusedError:
    if error.status is None:
        return RefusedError(f"no answer: {error}", may_pass=True)
    may_pass = error.status >= _HTTP_SERVER or error.status in {_HTTP_TOO_MANY, _HTTP_CONFLICT}
    return RefusedError(error.message, may_pass=may_pass)
