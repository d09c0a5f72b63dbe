"""The config of the executor: its settings and what they mean."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from dagster import (
    Field,
    InitExecutorContext,
    IntSource,
    Map,
    Noneable,
    Permissive,
    Shape,
    executor,
)

from bulkhead.dagster_compat import (
    IN_PROC_CONFIG,
    MULTI_PROC_CONFIG,
    ExecutorRequirement,
    get_retries_config,
    get_step_dependency_config_field,
    get_tag_concurrency_limits_config,
    in_process_executor,
    multiple_process_executor_requirements,
)

if TYPE_CHECKING:
    from bulkhead.dagster_compat import Executor

# The shape of a `dagster-k8s/config` tag. dagster_k8s has the same; importing it here would make
# every step pod import the Kubernetes client.
_K8S_CONFIG: Any = cast("Any", Shape)(
    {
        "container_config": Permissive(),
        "pod_spec_config": Permissive(),
        "pod_template_spec_metadata": Permissive(),
        "job_config": Permissive(),
        "job_metadata": Permissive(),
        "job_spec_config": Permissive(),
        "merge_behavior": Field(
            str, is_required=False, description="`DEEP` (the default) or `SHALLOW`."
        ),
    }
)

_CONFIG = {
    "max_concurrent": Field(
        IntSource,
        is_required=False,
        description="How many steps of one run may have a pod at the same time. Without it, only "
        "the quota of the code location limits them.",
    ),
    "tag_concurrency_limits": get_tag_concurrency_limits_config(),
    "retries": get_retries_config(),
    "step_dependency_config": get_step_dependency_config_field(),
    "step_k8s_config": Field(
        _K8S_CONFIG,
        is_required=False,
        description="Raw Kubernetes config of the Job and pod of every step, as in a "
        "`dagster-k8s/config` tag. The tag of a step wins over it.",
    ),
    "per_step_k8s_config": Field(
        Map(str, _K8S_CONFIG, key_label_name="op_name"),
        is_required=False,
        description="The same for single ops, by name. It wins over the tag of the op.",
    ),
    "max_infrastructure_repeats": Field(
        IntSource,
        is_required=False,
        default_value=3,
        description="How often a step is retried that the cluster ended: it was evicted, its node "
        "was lost, or its pod was deleted. This does not use the step's own retries.",
    ),
    "scheduling_timeout_seconds": Field(
        IntSource,
        is_required=False,
        default_value=300,
        description="How long a step's pod may wait for a node that has room for it.",
    ),
    "start_timeout_seconds": Field(
        IntSource,
        is_required=False,
        default_value=900,
        description="How long a step's pod may take on its node before its container starts, for "
        "example to pull a large image or to mount volumes.",
    ),
    "quota_timeout_seconds": Field(
        IntSource,
        is_required=False,
        default_value=3600,
        description="How long a step may wait for room in the quota of its code location.",
    ),
    "image_pull_timeout_seconds": Field(
        IntSource,
        is_required=False,
        default_value=60,
        description="How long the pull of a step's image may fail. If the image does not exist, "
        "the step fails at once.",
    ),
    "node_timeout_seconds": Field(
        IntSource,
        is_required=False,
        default_value=600,
        description="How long the node of a step may not respond. Meanwhile the step is not "
        "retried elsewhere, because it may still run there.",
    ),
    # Dagster's own default executor has these two keys, so projects that never named an executor
    # can have them in their config.
    "multiprocess": Field(
        Noneable(MULTI_PROC_CONFIG.config_type),
        is_required=False,
        description="Settings for Dagster's default executor. Its limits and retries apply to "
        "pods instead of processes. How processes start is ignored.",
    ),
    "in_process": Field(
        Noneable(IN_PROC_CONFIG.config_type),
        is_required=False,
        description="For debugging: runs all steps in the run's own pod, one after another, within "
        "the small limits of that pod.",
    ),
}


def _requirements(config: Mapping[str, object]) -> Sequence[ExecutorRequirement]:
    return [] if _is_in_process(config) else multiple_process_executor_requirements()


@executor(name="isolated_step", config_schema=_CONFIG, requirements=_requirements)
def isolated_step_executor(init_context: InitExecutorContext) -> "Executor":
    """Run each step in a pod of its own, with limits of its own.

    Every setting is optional. In Kubernetes a step gets these settings, each wins over the one
    before: the launcher's, the code location's container context, `step_k8s_config`, the op's
    `dagster-k8s/config` tag, its `step_resources`, `per_step_k8s_config`, our labels.

    A step whose pod ends without a result fails with a sentence that says why (see
    `bulkhead.steps.sentences`). A step that ran out of memory grows up to its `max_memory`. A step
    that the cluster ended is retried.

    Raises:
        DagsterUnmetExecutorRequirementsError: the instance does not launch runs in Kubernetes.
    """
    config: Mapping[str, Any] = init_context.executor_config
    if _is_in_process(config):
        return _in_process(init_context)
    from bulkhead.steps.executor import kubernetes_executor

    return kubernetes_executor(
        init_context.instance, {**config, **(config.get("multiprocess") or {})}
    )


def _is_in_process(config: Mapping[str, object]) -> bool:
    return config.get("in_process") is not None


def _in_process(init_context: InitExecutorContext) -> "Executor":
    create = in_process_executor.executor_creation_fn
    assert create  # noqa: S101 - Dagster's own definition has one
    return create(
        init_context._replace(
            executor_def=in_process_executor,
            executor_config=init_context.executor_config["in_process"],
        )
    )
