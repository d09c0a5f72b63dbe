"""The requests that are made for single Jobs of steps; all else is known from the watch.

An API server that does not answer is no reason for any of these to fail: what can wait is tried
again by whoever asks, and what can't is written to the log.
"""

import json
import logging
import os
import time
from collections.abc import Mapping
from typing import Any, Final, cast

from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from bulkhead import names
from bulkhead.dagster_compat import DagsterKubernetesClient
from bulkhead.kube import quantities
from bulkhead.kube.jobs import HTTP_NOT_FOUND, CascadingClient
from bulkhead.kube.pods import StepPod

_logger = logging.getLogger("bulkhead.steps")

_NO_ANSWER: Final = (HTTPError, OSError)

_HTTP_CONFLICT: Final = 409
_HTTP_TOO_MANY: Final = 429
_HTTP_SERVER: Final = 500

_OWNER_PATIENCE_SECONDS: Final = 60.0
_RETRY_SECONDS: Final = 2.0
_LOG_LINES: Final = 20


class RefusedError(Exception):
    """A request was not granted; `str()` is why, and `may_pass` whether the next try can be."""

    def __init__(self, message: str, *, may_pass: bool) -> None:
        """Keep the API server's words, and whether it may think otherwise later."""
        super().__init__(message)
        self.may_pass = may_pass


class StepJobs:
    """The Jobs of one run's steps, in the namespace of its code location."""

    def __init__(self, client: DagsterKubernetesClient, namespace: str) -> None:
        """Use the connections of a client of dagster-k8s."""
        self._client = CascadingClient.over(client)
        self._namespace = namespace
        self._own: dict[str, Any] | None = None

    @property
    def core_api(self) -> Any:  # noqa: ANN401 - a CoreV1Api
        """The API in which pods and events are."""
        return self._client.core_api

    def create(self, job: Any) -> None:  # noqa: ANN401 - a V1Job
        """Make a Job; one that is there already was made by an earlier try.

        Raises:
            RefusedError: the API server will not have it, or does not answer.
        """
        try:
            self._client.batch_api.create_namespaced_job(self._namespace, job)
        except ApiException as error:
            if error.status == _HTTP_CONFLICT and _reason(error) == "AlreadyExists":
                return
            raise _refused(error) from error
        except _NO_ANSWER as error:
            raise _unanswered(error) from error

    def exists(self, job_name: str) -> bool | None:
        """Say whether a Job is there and stays; None where the API server does not say."""
        try:
            job = self._client.batch_api.read_namespaced_job(job_name, self._namespace)
        except ApiException as error:
            return False if error.status == HTTP_NOT_FOUND else None
        except _NO_ANSWER:
            return None
        return job.metadata.deletion_timestamp is None

    def exceeded_deadline(self, job_name: str) -> int | None:
        """Return a Job's own time limit in seconds, if it was that which ended its pod."""
        try:
            job = self._client.batch_api.read_namespaced_job(job_name, self._namespace)
        except (ApiException, *_NO_ANSWER):
            return None
        conditions = job.status.conditions or []
        if any(each.reason == "DeadlineExceeded" for each in conditions):
            return job.spec.active_deadline_seconds
        return None

    def last_lines(self, pod: StepPod) -> str:
        """Return the end of what a step's container printed; empty where that is lost."""
        try:
            return self.core_api.read_namespaced_pod_log(
                pod.name, pod.namespace, container=pod.container_name, tail_lines=_LOG_LINES
            ).strip()
        except (ApiException, *_NO_ANSWER):
            return ""

    def nudge(self, job_name: str) -> None:
        """Have the Job controller try again soon to make a pod that was refused.

        By itself it tries again after 1, 2, 4 … 60 s. A Job that changes is looked at a second
        later. https://kubernetes.io/docs/concepts/workloads/controllers/job/
        """
        path = f"/metadata/annotations/{names.RETRIGGERED_ANNOTATION.replace('/', '~1')}"
        self._patch(job_name, path, str(int(time.time())), "could not be nudged")

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
        """Raise the memory request and limit of a running step, to so many bytes.

        Raises:
            RefusedError: the API server will not have it, or does not answer.
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
            self.core_api.patch_namespaced_pod_resize(
                pod.name, pod.namespace, changes, _preload_content=False
            )
        except ApiException as error:
            raise _refused(error) from error
        except _NO_ANSWER as error:
            raise _unanswered(error) from error

    def address(self) -> str | None:
        """Return the IP address of this pod; None where it is in none, or cannot see it."""
        return self._own_pod().get("status", {}).get("podIP")

    def delete(self, job_name: str) -> None:
        """Remove a Job and its pod."""
        try:
            self._client.delete_job(job_name, self._namespace)
        except (ApiException, *_NO_ANSWER) as error:
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
        patience = time.monotonic() + _OWNER_PATIENCE_SECONDS
        while name:
            try:
                response = self.core_api.read_namespaced_pod(
                    name, self._namespace, _preload_content=False
                )
                return json.loads(response.data)
            except (ApiException, *_NO_ANSWER) as error:
                final = isinstance(error, ApiException) and error.status == HTTP_NOT_FOUND
                if final or time.monotonic() > patience:
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

    def _patch(self, job_name: str, path: str, value: object, otherwise: str) -> None:
        try:
            self._client.batch_api.patch_namespaced_job(
                job_name, self._namespace, [{"op": "add", "path": path, "value": value}]
            )
        except (ApiException, *_NO_ANSWER) as error:
            _logger.warning("Job %s %s: %s", job_name, otherwise, error)


def _refused(error: ApiException) -> RefusedError:
    trouble = not error.status or error.status in range(_HTTP_SERVER, 600)
    may_pass = trouble or error.status in {_HTTP_TOO_MANY, _HTTP_CONFLICT}
    return RefusedError(_message(error), may_pass=may_pass)


def _unanswered(error: Exception) -> RefusedError:
    return RefusedError(f"no answer: {error}", may_pass=True)


def _message(error: ApiException) -> str:
    """The API server's own words."""
    return _said(error).get("message") or f"{error.status} {error.reason}"


def _reason(error: ApiException) -> str | None:
    """The API server's reason, in one word."""
    return _said(error).get("reason")


def _said(error: ApiException) -> dict[str, Any]:
    try:
        said = json.loads(error.body or "")
    except ValueError:
        return {}
    return cast("dict[str, Any]", said) if isinstance(said, dict) else {}
