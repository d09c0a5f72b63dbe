"""What the run launcher and the step executor share: namespace, labels, owners, deletion of Jobs.

Both work on Jobs that belong to one run: the launcher makes the run's Job, the executor the Jobs of
its steps, owned by the run's.
"""

import os
from collections.abc import Mapping
from typing import Any, cast

from dagster import DagsterRun
from kubernetes.client import ApiClient
from kubernetes.client.exceptions import ApiException

from bulkhead import names
from bulkhead.dagster_compat import (
    DagsterKubernetesClient,
    GrpcServerCodeLocationOrigin,
    K8sContainerContext,
    UserDefinedDagsterK8sConfig,
)
from bulkhead.kube.service_dns import namespace_of_host

HTTP_NOT_FOUND = 404


class CascadingClient(DagsterKubernetesClient):
    """Deletes a Job together with everything that it owns.

    Without a propagation policy the API server orphans what a Job owns (the default of `batch/v1`
    Jobs): dagster-k8s deletes the Job's pods by hand instead, and would leave the step Jobs that a
    run's Job owns.
    """

    @classmethod
    def over(cls, client: DagsterKubernetesClient) -> "CascadingClient":
        """Return a client that cascades, over the connection of another one."""
        known: Any = client
        return cls(known.batch_api, known.core_api, known.logger, known.sleeper, known.timer)

    def delete_job(self, job_name: str, namespace: str) -> bool:
        """Delete a Job and let the cluster remove its pods and the Jobs that it owns.

        Returns False where there is no such Job.

        Raises:
            ApiException: the API server refuses or fails.
        """
        try:
            cast("Any", self.batch_api).delete_namespaced_job(
                name=job_name, namespace=namespace, propagation_policy="Background"
            )
        except ApiException as error:
            if cast("Any", error).status == HTTP_NOT_FOUND:
                return False
            raise
        return True


def plain_object(model: Any) -> dict[str, Any]:  # noqa: ANN401 - the package carries no types
    """Return an object of the `kubernetes` package, such as a V1Job, as the API's JSON has it."""
    return cast("Any", ApiClient()).sanitize_for_serialization(model)


def run_labels(run: DagsterRun) -> dict[str, str]:
    """Return our labels of every Job and pod of a run.

    The code location is the one that the platform knows the run by, not one that its code claims.
    Only a run that was launched by hand, without a web server or daemon, has none; then it is the
    code location of this pod.
    """
    labels = {names.RUN_ID_LABEL: run.run_id}
    location = (
        run.remote_job_origin.location_name
        if run.remote_job_origin
        else os.environ.get(names.CODE_LOCATION_ENV)
    )
    if location:
        labels[names.CODE_LOCATION_LABEL] = names.label_value(location)
    return labels


def namespace_of_code_server(run: DagsterRun) -> str | None:
    """Return the namespace in which the platform reaches the code server of a run.

    Returns:
        None where the run does not come from a code server, and where the code server's host is not
        the name of a Service.
    """
    if not run.remote_job_origin:
        return None
    origin = run.remote_job_origin.repository_origin.code_location_origin
    if not isinstance(origin, GrpcServerCodeLocationOrigin):
        return None
    return namespace_of_host(origin.host)


def with_metadata(
    context: K8sContainerContext,
    *,
    labels: Mapping[str, str],
    annotations: Mapping[str, str] | None = None,
    owner: Mapping[str, Any] | None = None,
) -> K8sContainerContext:
    """Return the context with labels and annotations for Job and pod, and the Job's owner.

    What is given here wins over what the context holds under the same key.
    """
    metadata: dict[str, Any] = {"labels": dict(labels)}
    if annotations:
        metadata["annotations"] = dict(annotations)
    job_metadata = {**metadata, "owner_references": [owner]} if owner else metadata
    return context.merge(
        K8sContainerContext(
            run_k8s_config=UserDefinedDagsterK8sConfig(
                job_metadata=job_metadata, pod_template_spec_metadata=metadata
            )
        )
    )
