"""Starts, watches and ends the Jobs of one run's steps."""

import logging
import os
import time
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from dagster._core.executor.step_delegating import CheckStepHealthResult, StepHandlerContext
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.executor import K8sStepHandler
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from bulkhead import names
from bulkhead.kubernetes_jobs import HTTP_NOT_FOUND, CascadingClient, run_labels, with_metadata

_logger = logging.getLogger("bulkhead.steps")

# Finished Jobs of a run with a thousand steps would make each list megabytes long.
_NOT_SUCCEEDED = "status.successful=0"


class IsolatedStepHandler(K8sStepHandler):
    """A step handler whose Jobs belong to the run's Job and are watched together.

    **Owner.** A step's Job is owned by the Job of the run, not by the run's pod as
    `enable_owner_references` of dagster-k8s has it. Both make the cluster remove the steps of a run
    that is cancelled or deleted. But a pod may go alone (evicted, its node lost, deleted by hand)
    while its run is to be resumed, and would take its steps' work with it; its Job outlives it. The
    resumed run gets a new Job, and steps still at work are handed over to it, because the dead Job
    is removed when its time to live is over, and what it owns with it.

    **Watching.** One list of the run's unfinished Jobs for all steps, not a request for each. Only
    a step that the list shows as failed, or does not show, is asked for by itself.
    """

    def __init__(self, *, snapshot_seconds: float, **config: Any) -> None:  # noqa: ANN401
        """Take what `K8sStepHandler` takes, and how many seconds one list of Jobs may serve."""
        super().__init__(**config)
        self._api_client = CascadingClient.over(self._api_client)
        self._snapshot_seconds = snapshot_seconds
        self._snapshot: dict[str, _StepJob] = {}
        self._snapshot_time = float("-inf")
        self._owner: dict[str, str] | None = None
        self._owner_is_known = False
        self._tried_to_adopt: set[str] = set()

    def _get_container_context(
        self, step_handler_context: StepHandlerContext
    ) -> K8sContainerContext:
        context = super()._get_container_context(step_handler_context)
        step_key = self._get_step_key(step_handler_context)
        return with_metadata(
            context,
            labels={
                **run_labels(step_handler_context.dagster_run),
                names.STEP_KEY_LABEL: names.label_value(step_key),
            },
            annotations={names.STEP_KEY_ANNOTATION: step_key},
            owner=self._find_owner(context),
        )

    def check_step_health(self, step_handler_context: StepHandlerContext) -> CheckStepHealthResult:
        """Say whether the step's Job is there and has not failed.

        An API server that does not answer says nothing about a step, so the step counts as healthy
        until it answers. (Dagster 1.12 fails the step on any error here.)
        """
        try:
            return self._check_step_health(step_handler_context)
        except (ApiException, HTTPError) as error:
            _logger.warning("The Kubernetes API did not say how the run's steps are: %s", error)
            return CheckStepHealthResult.healthy()

    def _check_step_health(self, step_handler_context: StepHandlerContext) -> CheckStepHealthResult:
        context = super()._get_container_context(step_handler_context)
        namespace = cast("str", context.namespace)
        job_name = self._get_k8s_step_job_name(step_handler_context)
        self._refresh_snapshot(step_handler_context.execute_step_args.run_id, namespace)

        job = self._snapshot.get(job_name)
        if job is None or job.failed or job.is_being_deleted:
            # The list comes from the API server's cache and may be a moment old.
            job = self._read_job(job_name, namespace)

        step_key = self._get_step_key(step_handler_context)
        if job is None:
            return CheckStepHealthResult.unhealthy(
                f"Kubernetes job {job_name} for step {step_key} could not be found."
            )
        if job.is_being_deleted:
            return CheckStepHealthResult.unhealthy(
                f"Kubernetes job {job_name} for step {step_key} is being deleted."
            )
        if job.failed:
            return CheckStepHealthResult.unhealthy(
                f"Discovered failed Kubernetes job {job_name} for step {step_key}."
            )
        self._adopt(job, self._find_owner(context))
        return CheckStepHealthResult.healthy()

    def _refresh_snapshot(self, run_id: str, namespace: str) -> None:
        if time.monotonic() - self._snapshot_time < self._snapshot_seconds:
            return
        jobs = self._api_client.batch_api.list_namespaced_job(
            namespace,
            label_selector=f"{names.RUN_ID_LABEL}={run_id},{names.STEP_KEY_LABEL}",
            field_selector=_NOT_SUCCEEDED,
            resource_version="0",  # from the API server's cache: no read of etcd
        )
        self._snapshot = {job.metadata.name: _StepJob.of(job) for job in jobs.items}
        self._snapshot_time = time.monotonic()

    def _read_job(self, job_name: str, namespace: str) -> "_StepJob | None":
        try:
            return _StepJob.of(self._api_client.batch_api.read_namespaced_job(job_name, namespace))
        except ApiException as error:
            if error.status == HTTP_NOT_FOUND:
                return None
            raise

    def _adopt(self, job: "_StepJob", owner: Mapping[str, str] | None) -> None:
        """Hand a step's Job that an earlier attempt at this run started over to this one's Job."""
        if not owner or owner["uid"] in job.owner_uids or job.name in self._tried_to_adopt:
            return
        self._tried_to_adopt.add(job.name)
        try:
            self._api_client.batch_api.patch_namespaced_job(
                job.name,
                job.namespace,
                [{"op": "add", "path": "/metadata/ownerReferences", "value": [_as_json(owner)]}],
            )
        except ApiException as error:
            _logger.warning(
                "Job %s of a step that still runs stays owned by an earlier attempt at this run, "
                "and will be removed together with it: %s",
                job.name,
                error,
            )

    def _find_owner(self, context: K8sContainerContext) -> dict[str, str] | None:
        """Return a reference to the run's Job; None where the run is in no pod of a Job."""
        if not self._owner_is_known:
            self._owner = self._read_owner(cast("str", context.namespace))
            self._owner_is_known = True
        return self._owner

    def _read_owner(self, namespace: str) -> dict[str, str] | None:
        pod_name = os.environ.get("HOSTNAME")
        if not pod_name:
            return None
        try:
            pod = self._api_client.get_pod_by_name(pod_name, namespace)
        except ApiException as error:
            _logger.warning(
                "Steps of this run have no owner and may outlive it: pod %s in namespace %s could "
                "not be read: %s",
                pod_name,
                namespace,
                error,
            )
            return None
        for owner in pod.metadata.owner_references or []:
            if owner.kind == "Job":
                return {
                    "api_version": owner.api_version,
                    "kind": owner.kind,
                    "name": owner.name,
                    "uid": owner.uid,
                }
        return None


class _StepJob(NamedTuple):
    """What matters here of a step's Job."""

    name: str
    namespace: str
    owner_uids: frozenset[str]
    failed: bool
    is_being_deleted: bool

    @classmethod
    def of(cls, job: Any) -> "_StepJob":  # noqa: ANN401 - a V1Job, all of whose fields are optional
        return cls(
            name=job.metadata.name,
            namespace=job.metadata.namespace,
            owner_uids=frozenset(owner.uid for owner in job.metadata.owner_references or []),
            failed=bool(job.status.failed),
            is_being_deleted=job.metadata.deletion_timestamp is not None,
        )


def _as_json(owner: Mapping[str, str]) -> dict[str, str]:
    return {
        "apiVersion": owner["api_version"],
        "kind": owner["kind"],
        "name": owner["name"],
        "uid": owner["uid"],
    }
