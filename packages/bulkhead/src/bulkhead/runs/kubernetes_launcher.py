"""The run launcher of processes that reach Kubernetes: web server, daemon and run pods.

dagster-k8s gives run pods and step pods the same service account and resources. Here a step gets
the container context (of the launcher's config and of the code location), without a Kubernetes
token. Run pods get `run_pod` on top of it. A run pod creates Jobs and runs none of the team's code.
A step pod runs that code and creates no Jobs.

The launcher may create and delete Jobs in the namespace of every code location, and a team's code
server sets the container context. So the container context does not decide the namespace of a run.
It is the namespace in which the platform reaches the code server.
"""

import json
from collections.abc import Mapping
from typing import Any, cast

from dagster import DagsterRun, Field, Permissive, Shape, StringSource
from dagster_k8s import K8sRunLauncher
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from bulkhead import names
from bulkhead.dagster_compat import (
    CheckRunHealthResult,
    ConfigurableClassData,
    K8sConfigMergeBehavior,
    K8sContainerContext,
    LaunchRunContext,
    UserDefinedDagsterK8sConfig,
    WorkerStatus,
    container_context,
    get_user_defined_k8s_config,
)
from bulkhead.kube.jobs import (
    CascadingClient,
    namespace_of_code_server,
    run_labels,
    with_metadata,
)
from bulkhead.kube.pods import StepPod
from bulkhead.runs.starts import StartWatch
from bulkhead.steps import diagnosis, sentences

_ANY_SETTINGS: Any = cast("Any", Permissive)()
_RUN_POD_EXTRAS: tuple[tuple[str, Any], ...] = (
    ("security_context", _ANY_SETTINGS),
    ("volumes", [_ANY_SETTINGS]),
    ("volume_mounts", [_ANY_SETTINGS]),
)

_RUN_POD = Field(
    Shape(
        {
            "service_account_name": Field(
                StringSource,
                description="Service account of run pods; it needs rights on Jobs and pods.",
            ),
            "resources": Field(
                Permissive(),
                is_required=False,
                description="Requests and limits of run pods; they replace a code location's, "
                "which are meant for its steps.",
            ),
            **{
                name: Field(
                    kind,
                    is_required=False,
                    description=f"{name} of run pods, beside those of the code location.",
                )
                for name, kind in _RUN_POD_EXTRAS
            },
        }
    ),
    description="What run pods get and step pods do not.",
)


class NamespaceError(ValueError):
    """A run names a namespace that is not the one of its code location."""


class KubernetesRunLauncher(K8sRunLauncher):
    """A `K8sRunLauncher` that separates run pods from step pods, for every executor.

    It is configured like `K8sRunLauncher`, and with `run_pod`. A run pod gets these settings, each
    wins over the one before: those of this launcher, the container context of the code location,
    `run_pod`, the `dagster-k8s/config` tag of the run, our labels.

    **Namespace.** The host of a code server that workspace-sync found is
    `<service>.<namespace>.svc`. Its runs are launched, watched and terminated in that namespace
    only. With any other host (a workspace written by hand, outside of a cluster) the namespace is
    that of the container context, else `job_namespace`, as with `K8sRunLauncher`.
    """

    def __init__(self, *, run_pod: Mapping[str, Any], **config: Any) -> None:  # noqa: ANN401
        """Take `run_pod` as its config schema says, and the rest as `K8sRunLauncher` does."""
        cast("Any", super()).__init__(**config)
        self._run_pod = run_pod
        self._starts = StartWatch()
        self._api_client = CascadingClient.over(self._api_client)

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Return the config schema: that of `K8sRunLauncher` and `run_pod`."""
        return {**cast("dict[str, Any]", super().config_type()), "run_pod": _RUN_POD}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "KubernetesRunLauncher":
        """Create the launcher from its part of `dagster.yaml`."""
        return cls(inst_data=inst_data, **config_value)

    @property
    def run_k8s_config(self) -> Mapping[str, Any]:
        """Return the raw Kubernetes config that every pod starts from.

        dagster-k8s mounts a token into every pod unless this forbids it, also where the service
        account forbids it, because the setting of the pod wins.
        """
        config = cast("Mapping[str, Any]", super().run_k8s_config)
        return {
            **config,
            "pod_spec_config": {
                "automount_service_account_token": False,
                **config.get("pod_spec_config", {}),
            },
        }

    def get_container_context_for_run(self, dagster_run: DagsterRun) -> K8sContainerContext:
        """Return the settings of the run's pod. Every request for its Job uses them.

        Raises:
            NamespaceError: container context or tag names a namespace that is not the run's.
            Exception: the run's tag sets a field that `only_allow_user_defined_k8s_config_fields`
                forbids.
        """
        context = K8sContainerContext.create_for_run(dagster_run, self, include_run_tags=False)
        for settings in (
            self._run_pod_extras(),
            self._run_pod_context(),
            self._tag_context(dagster_run),
        ):
            context = context.merge(settings)
        namespace = namespace_of_code_server(dagster_run)
        if namespace:
            _refuse_other_namespaces(dagster_run, context, namespace)
            context = context.merge(K8sContainerContext(namespace=namespace))
        return with_metadata(context, labels=run_labels(dagster_run))

    def launch_run(self, context: LaunchRunContext) -> None:
        """Create the run's Job, and fail the run if its pod ends before the run has started."""
        super().launch_run(context)
        self._starts.launched(self, self._instance)

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Return the health of the run's pod, with the reason for which it ended, if it has."""
        health = super().check_run_worker_health(run)
        if health.status not in {WorkerStatus.FAILED, WorkerStatus.UNKNOWN}:
            return health
        sentence = self._end_of_run_pod(run)
        return health._replace(msg=sentence) if sentence else health

    def _end_of_run_pod(self, run: DagsterRun) -> str | None:
        """Return why the newest of the run's own pods ended; None while it has not."""
        namespace = self.get_container_context_for_run(run).namespace
        try:
            response: Any = cast("Any", self._api_client).core_api.list_namespaced_pod(
                namespace,
                label_selector=f"{names.RUN_ID_LABEL}={run.run_id},!{names.STEP_KEY_LABEL}",
                _preload_content=False,
            )
        except (ApiException, HTTPError, OSError):
            return None
        pods = json.loads(response.data)["items"]
        if not pods:
            return None
        newest = max(pods, key=lambda pod: pod["metadata"].get("creationTimestamp", ""))
        pod = StepPod(newest)
        return sentences.of_run_pod(diagnosis.of_ended_pod(pod, "")) if pod.is_over else None

    def _run_pod_extras(self) -> K8sContainerContext:
        extras = (name for name, _ in _RUN_POD_EXTRAS if name in self._run_pod)
        return container_context({"k8s": {name: self._run_pod[name] for name in extras}})

    def _run_pod_context(self) -> K8sContainerContext:
        resources = self._run_pod.get("resources")
        return K8sContainerContext(
            run_k8s_config=UserDefinedDagsterK8sConfig(
                container_config={"resources": resources} if resources else {},
                pod_spec_config={
                    "service_account_name": self._run_pod["service_account_name"],
                    "automount_service_account_token": True,
                },
                # Replaces all resources: a step's request beside a run pod's limit could be larger
                # than that limit.
                merge_behavior=K8sConfigMergeBehavior.SHALLOW,
            )
        )

    def _tag_context(self, dagster_run: DagsterRun) -> K8sContainerContext:
        context = K8sContainerContext(run_k8s_config=get_user_defined_k8s_config(dagster_run.tags))
        return context.validate_user_k8s_config_for_run(
            self.only_allow_user_defined_k8s_config_fields, self.only_allow_user_defined_env_vars
        )


def _refuse_other_namespaces(run: DagsterRun, context: K8sContainerContext, allowed: str) -> None:
    # Without a launcher: the namespace that the code location names, without any default.
    own = K8sContainerContext.create_for_run(run, None, include_run_tags=False)
    job_metadata = context.run_k8s_config.job_metadata
    for source, namespace in {
        "namespace in the container context of its code server": own.namespace,
        "job_metadata.namespace in its container context or tag dagster-k8s/config": (
            job_metadata.get("namespace")
        ),
    }.items():
        if namespace not in {None, allowed}:
            raise NamespaceError(
                f"Run {run.run_id} is rejected: {source} is {namespace!r}. Its code server is in "
                f"namespace {allowed!r}, and its runs are allowed only there. Set it to "
                f"{allowed!r} or leave it out, and launch the run again."
            )
