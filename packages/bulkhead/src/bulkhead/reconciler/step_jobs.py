"""Lists and removes the Jobs of steps in the code locations' namespaces."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

from bulkhead import names
from bulkhead.discovery import registry
from bulkhead.discovery.registry import RegistryError
from bulkhead.kube.api import KubernetesApi, KubernetesApiError
from bulkhead.kube.objects import parts
from bulkhead.reconciler import leftovers
from bulkhead.reconciler.leftovers import Leftover, StepJob

_log = logging.getLogger(__name__)

# Jobs of steps that have not succeeded. A Job that has failed stays in the list until its time to
# live is over: the API has no field that would exclude it.
_SELECTOR: Final = {
    "labelSelector": f"{names.RUN_ID_LABEL},{names.STEP_KEY_LABEL}",
    "fieldSelector": "status.successful=0",
}
# A Job is some 10 kB of JSON, of which little is kept: small pages, little memory.
_PAGE: Final = 100

_REMOVED_BY_OTHERS: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT})
"""Answers to a deletion: the Job does not exist, or another Job has the name now."""

Failures = dict[str, str]
"""What failed in a check, and why."""


class StepJobs:
    """The Jobs of steps. What the API server does not answer is added to `failures`."""

    def __init__(
        self, api: KubernetesApi, registry: str, namespace: str, beat: Callable[[], None]
    ) -> None:
        """Prepare.

        Args:
            api: The API server.
            registry: The ConfigMap that registers the code locations.
            namespace: Its namespace.
            beat: Is called before each request.
        """
        self._api = api
        self._registry = registry
        self._namespace = namespace
        self._beat = beat

    def at_work(self, failures: Failures) -> list[StepJob]:
        """Return the Jobs that may have a running pod, of all namespaces that answer."""
        return [
            job
            for namespace in self._namespaces(failures)
            for job in self._of_namespace(namespace, failures)
        ]

    def remove(self, leftover: Leftover, failures: Failures) -> bool:
        """Delete a Job with its pod; return whether this deleted it."""
        job = leftover.job
        self._beat()
        try:
            self._api.delete(
                f"/apis/batch/v1/namespaces/{job.namespace}/jobs/{job.name}", uid=job.uid
            )
        except KubernetesApiError as error:
            if error.status not in _REMOVED_BY_OTHERS:
                failures[f"Job {job.name} in namespace {job.namespace}"] = str(error)
            return False
        _log.info("%s (Job %s in namespace %s)", leftover.message, job.name, job.namespace)
        return True

    def _namespaces(self, failures: Failures) -> Iterable[str]:
        """Return the namespaces of the registered code locations."""
        self._beat()
        try:
            registered = registry.read(self._api, self._registry, self._namespace)
        except (KubernetesApiError, RegistryError) as error:
            failures[f"ConfigMap {self._registry} in namespace {self._namespace}"] = str(error)
            return ()
        return sorted({each.namespace for each in registered.values()})

    def _of_namespace(self, namespace: str, failures: Failures) -> list[StepJob]:
        try:
            # A list that ends early is not the whole list, so nothing of it is used.
            return list(self._read(namespace))
        except KubernetesApiError as error:
            reason = str(error)
            if error.status == HTTPStatus.FORBIDDEN:
                reason += f" ({registry.role_advice(names.LAUNCHER_ROLE, namespace)})"
            failures[f"Jobs in namespace {namespace}"] = reason
            return []

    def _read(self, namespace: str) -> Iterator[StepJob]:
        self._beat()
        path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        for page in self._api.pages(path, _SELECTOR, size=_PAGE):
            self._beat()
            jobs = (_read_job(item) for item in parts(page, "items"))
            yield from (job for job in jobs if job is not None)


def _read_job(item: Mapping[str, Any]) -> StepJob | None:
    try:
        return leftovers.read_job(item)
    except (KeyError, TypeError, AttributeError) as error:
        raise KubernetesApiError(f"an item of the list is not a Job: {str(item)[:80]}") from error
