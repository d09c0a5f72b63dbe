"""Turns the request for a step into a Job, or into the reason why there cannot be one."""

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from bulkhead.dagster_compat import K8sContainerContext, StepHandlerContext, step_job_name
from bulkhead.kube.jobs import namespace_of_code_server
from bulkhead.kube.quantities import QuantityError, parse_bytes
from bulkhead.steps import manifest
from bulkhead.steps.ceiling import Ceiling
from bulkhead.steps.cluster import StepCluster
from bulkhead.steps.history import History
from bulkhead.steps.launch import Launch
from bulkhead.steps.resources import StepResources, StepResourcesError, check_memory
from bulkhead.steps.verdicts import Cause, Verdict


class ExecutorSettings(NamedTuple):
    """What the executor's config says about pods, for all steps and for single ops."""

    context: K8sContainerContext
    image: str | None
    per_op: Mapping[str, Mapping[str, Any]]


def namespace_of(context: StepHandlerContext, settings: ExecutorSettings) -> str:
    """Return the namespace of a run and its steps: that of the code server.

    Only where the host of the code server does not name it, as in a workspace written by hand, it
    is the one that the container context names.
    """
    found = namespace_of_code_server(context.dagster_run)
    if found:
        return found
    merged = manifest.container_context(context, settings.context, StepResources(), {}, None)
    return cast("str", merged.namespace)


def new_launch(context: StepHandlerContext) -> Launch:
    """Return the attempt that a context is about, with what the step's tags request.

    Invalid tags become the verdict of the attempt.
    """
    step = manifest.key_of(context)
    args = context.execute_step_args
    known = args.known_state
    before = known.get_retry_state().get_attempt_count(step) if known else 0
    name = f"dagster-step-{step_job_name(args.run_id, step)}"
    launch = Launch(step, before + 1, f"{name}-{before}" if before else name)
    try:
        launch.resources = StepResources.of_tags(context.step_tags[step])
    except StepResourcesError as error:
        launch.verdict = _invalid(launch, error)
    return launch


def prepare(
    launch: Launch,
    context: StepHandlerContext,
    settings: ExecutorSettings,
    history: History,
    ceiling: Ceiling,
    *,
    cluster: StepCluster,
) -> Verdict | None:
    """Compute the Job of an attempt and put it into `launch`.

    Returns:
        None; or why the attempt cannot start: it requests something invalid, or more than the
        ceiling. Nothing has been created then.
    """
    try:
        merged = manifest.container_context(
            context,
            settings.context,
            launch.resources,
            settings.per_op,
            history.memory(launch.step),
        )
        excess = ceiling.excess(manifest.resources_of(merged))
        if excess:
            return Verdict(
                Cause.ABOVE_CEILING,
                launch.step,
                launch.attempt,
                excess=excess,
                location=ceiling.location,
            )
        memory = manifest.limits_of(merged).get("memory")
        if memory is not None:
            check_memory(parse_bytes(memory))
        launch.job = manifest.step_job(
            context,
            merged,
            settings.image,
            launch.job_name,
            len(history.platform_retries(launch.step)),
            cluster.jobs.owner(),
            _growth_environment(launch, context, cluster),
        )
    except (StepResourcesError, QuantityError, manifest.ImageError) as error:
        return _invalid(launch, error)
    return None


def _invalid(launch: Launch, error: Exception) -> Verdict:
    return Verdict(Cause.INVALID, launch.step, launch.attempt, detail=str(error))


def _growth_environment(
    launch: Launch, context: StepHandlerContext, cluster: StepCluster
) -> list[dict[str, str]]:
    """Allow a step to grow while it runs; return the variables with which its pod requests it."""
    max_memory = launch.resources.max_memory
    if max_memory is None:
        return []
    cluster.growth.allow(launch.job_name, context.get_step_context(launch.step), max_memory)
    address = cluster.jobs.address()
    if address and not cluster.channel.is_open:
        cluster.channel.start(address)
    return cluster.channel.environment(launch.job_name)
