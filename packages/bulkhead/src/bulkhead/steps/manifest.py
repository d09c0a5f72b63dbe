"""The Job of one attempt at a step: which settings win, and the manifest that they give."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from bulkhead import names
from bulkhead.dagster_compat import (
    K8sContainerContext,
    StepHandlerContext,
    UserDefinedDagsterK8sConfig,
    construct_dagster_k8s_job,
    get_user_defined_k8s_config,
    kubernetes_config,
)
from bulkhead.kube.jobs import run_labels, with_metadata
from bulkhead.steps.resources import StepResources
from bulkhead.steps.worker import COMMAND, PLATFORM_RETRIES_ENV

if TYPE_CHECKING:
    from dagster_k8s import K8sRunLauncher


class ImageError(Exception):
    """No setting names the image of a step."""


def container_context(
    context: StepHandlerContext,
    executor: K8sContainerContext,
    requested: StepResources,
    per_op: Mapping[str, Mapping[str, Any]],
    grown_memory: int | None,
) -> K8sContainerContext:
    """Return the settings of a step's pod.

    Each of these wins over the one before: the settings of the launcher, those of the code
    location, the executor's `step_k8s_config`, the op's `dagster-k8s/config` tag, the op's
    `step_resources`, the executor's `per_step_k8s_config`, and the memory to which the step grew.
    """
    step_key = key_of(context)
    op_name = context.get_step_context(step_key).step.op_name
    merged = K8sContainerContext.create_for_run(
        context.dagster_run,
        cast("K8sRunLauncher", context.instance.run_launcher),
        include_run_tags=False,  # as in Dagster's own executor: the tag of a job is for its run pod
    ).merge(executor)
    for config in (
        get_user_defined_k8s_config(context.step_tags[step_key]),
        _of_step_resources(requested),
        kubernetes_config(per_op.get(op_name, {})),
        _of_step_resources(StepResources(memory=grown_memory)),
    ):
        merged = merged.merge(K8sContainerContext(run_k8s_config=config))
    return merged


def resources_of(context: K8sContainerContext) -> dict[str, Any]:
    """Return the `resources` of the step's container; empty where no setting names any."""
    return dict(context.run_k8s_config.container_config.get("resources") or {})


def limits_of(context: K8sContainerContext) -> dict[str, Any]:
    """Return the limits among those resources."""
    return dict(resources_of(context).get("limits") or {})


def step_job(  # noqa: PLR0917 - called once
    context: StepHandlerContext,
    settings: K8sContainerContext,
    image: str | None,
    job_name: str,
    platform_retries: int,
    owner: Mapping[str, str] | None,
    env: Sequence[Mapping[str, str]],
) -> Any:  # noqa: ANN401 - a V1Job
    """Return the Job that runs a step.

    Args:
        context: the step and its run.
        settings: what `container_context` returned.
        image: the executor's own; None: that of the run's tag `dagster-k8s/config`, else that of
            the code location.
        job_name: its name.
        platform_retries: how many of the earlier attempts the executor decided to retry.
        owner: the owner of the Job, which takes it along when it is deleted.
        env: more variables of its container.

    Raises:
        ImageError: neither the executor nor the code location names an image.
    """
    step_key = key_of(context)
    run = context.dagster_run
    settings = with_metadata(
        settings,
        labels={**run_labels(run), names.STEP_KEY_LABEL: names.label_value(step_key)},
        annotations={names.STEP_KEY_ANNOTATION: step_key},
        owner=owner,
    )
    launcher = cast("K8sRunLauncher", context.instance.run_launcher)
    config: Any = cast("Any", settings).get_k8s_job_config(image, launcher)
    instance_settings = config.instance_config_map
    # A pod that mounts nothing starts 0.3 s earlier: the kubelet checks its mounts at once, before
    # they can be there, and then after 0.3 s. So what Dagster mounts is passed as a variable.
    config = config._replace(instance_config_map=None)
    args = context.execute_step_args
    if not config.job_image:
        # The run's own tag may name another image than the code server's: then the run pod has it,
        # and a step of other code than its run would be wrong.
        of_run = get_user_defined_k8s_config(run.tags).container_config.get("image")
        config = config.with_image(of_run or args.job_origin.repository_origin.container_image)
    if not config.job_image and "image" not in settings.run_k8s_config.container_config:
        raise ImageError(
            "it has no image. Neither its code location (DAGSTER_CURRENT_IMAGE) nor the executor "
            "nor a tag names one"
        )
    return construct_dagster_k8s_job(
        job_config=config,
        args=COMMAND,
        job_name=job_name,
        pod_name=job_name,
        component="step_worker",
        user_defined_k8s_config=settings.run_k8s_config,
        labels=_dagster_labels(context),
        env_vars=[
            *args.get_command_env(),
            {"name": "DAGSTER_RUN_JOB_NAME", "value": run.job_name},
            {"name": "DAGSTER_RUN_STEP_KEY", "value": step_key},
            {"name": PLATFORM_RETRIES_ENV, "value": str(platform_retries)},
            *([_of_config_map(instance_settings)] if instance_settings else []),
            *env,
        ],
    )


def key_of(context: StepHandlerContext) -> str:
    """Return the key of the step that a context is about."""
    (step_key,) = cast("list[str]", context.execute_step_args.step_keys_to_execute)
    return step_key


def _of_step_resources(requested: StepResources) -> UserDefinedDagsterK8sConfig:
    resources = requested.container_resources()
    return UserDefinedDagsterK8sConfig(
        container_config={"resources": resources} if resources else {},
        pod_spec_config={"active_deadline_seconds": requested.timeout} if requested.timeout else {},
    )


def _of_config_map(name: str) -> dict[str, Any]:
    key = {"name": name, "key": names.INSTANCE_CONFIG_KEY}
    return {"name": names.INSTANCE_SETTINGS_ENV, "value_from": {"config_map_key_ref": key}}


def _dagster_labels(context: StepHandlerContext) -> dict[str, str]:
    """Return the labels of Dagster's own executor, for tools that select by them."""
    run = context.dagster_run
    labels = {
        "dagster/job": run.job_name,
        "dagster/op": key_of(context),
        "dagster/run-id": run.run_id,
    }
    if run.remote_job_origin:
        labels["dagster/code-location"] = run.remote_job_origin.location_name
    return labels
