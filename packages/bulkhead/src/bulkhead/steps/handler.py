"""Starts, judges and ends the Jobs of one run's steps."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, cast

from dagster import DagsterEvent, MetadataValue

from bulkhead import names
from bulkhead.dagster_compat import (
    CheckStepHealthResult,
    EngineEventData,
    K8sStepHandler,
    StepHandlerContext,
    get_k8s_job_name,
)
from bulkhead.kube.api import KubernetesApi
from bulkhead.kube.pods import StepPod
from bulkhead.kube.quantities import QuantityError, parse_bytes
from bulkhead.steps import manifest, verdicts
from bulkhead.steps.ceiling import Ceiling
from bulkhead.steps.growth import InPlaceGrowth
from bulkhead.steps.growth_channel import GrowthChannel
from bulkhead.steps.history import History
from bulkhead.steps.launches import Launch
from bulkhead.steps.refusals import of_refusal
from bulkhead.steps.resources import StepResources, StepResourcesError, refuse_too_little_memory
from bulkhead.steps.step_jobs import RefusedError, StepJobs
from bulkhead.steps.verdicts import Cause, Verdict
from bulkhead.steps.watch import StepWatch

_NUDGE_SECONDS: Final = 3.0
_RETRY_SECONDS: Final = 2.0
_LOOK_UP_SECONDS: Final = 20.0
_LIST_PATIENCE_SECONDS: Final = 30.0

# Before people are told what a step waits for: most waits are over by then.
_TELL_AFTER_SECONDS: Final = 3.0

# An answer of a registry that the next try will not change.
_FINAL_PULL_ANSWERS: Final = ("not found", "InvalidImageName", "ErrImageNeverPull")

_WITH_LAST_LINES: Final = frozenset(
    {Cause.EXIT_CODE, Cause.SIGNAL, Cause.SILENT, Cause.OUT_OF_MEMORY}
)


@dataclass(frozen=True)
class Patience:
    """How many seconds a step may wait for what; then it fails and says so."""

    scheduling: float
    start: float
    quota: float
    image_pull: float
    node: float


class _Cluster(NamedTuple):
    """What reaches the steps of one run."""

    jobs: StepJobs
    watch: StepWatch
    growth: InPlaceGrowth
    channel: GrowthChannel


class IsolatedStepHandler(K8sStepHandler):
    """A step handler whose Jobs belong to the run's Job, are watched together, and are judged.

    **Owner.** A step's Job is owned by the Job of the run, not by the run's pod as
    `enable_owner_references` of dagster-k8s has it. Both make the cluster remove the steps of a run
    that is cancelled or deleted. But a pod may go alone (evicted, its node lost, deleted by hand)
    while its run is to be resumed, and would take its steps' work with it; its Job outlives it.

    **Health.** Asking for a step's health costs no request: the watch knows. What an unhealthy step
    died of is a `Verdict`, to be fetched with `verdict`. It stands until the step is
    started again: should writing it to the run's log fail, it is written at the next look.
    """

    def __init__(self, *, patience: Patience, history: History, **config: Any) -> None:  # noqa: ANN401
        """Take what `K8sStepHandler` takes, as `config`, and what is ours.

        Args:
            patience: how long steps may wait.
            history: the run's earlier attempts; whoever reads the event log keeps it up to date.
            **config: of `K8sStepHandler`.
        """
        super().__init__(**config)
        self._patience = patience
        self._history = history
        self._ceiling = Ceiling.of_environment()
        self._launches: dict[str, Launch] = {}
        self._settled: frozenset[str] = frozenset()
        self._cluster: _Cluster | None = None

    @property
    def ceiling(self) -> Ceiling:
        """Return the largest step that is allowed here."""
        return self._ceiling

    def settle(self) -> bool:
        """Note which pods are over by now, before the event log is read.

        Only these are judged afterwards: a step writes its end to the log before its process ends,
        so one that is over and not in the log then will never be.

        Returns:
            Whether there are more than the last time.
        """
        before = self._settled
        if self._cluster:
            self._settled = self._cluster.watch.ended()
        return not self._settled <= before

    def verdict(self, step_key: str) -> Verdict | None:
        """Return why the step was called unhealthy."""
        launch = self._launches.get(step_key)
        return launch and launch.verdict

    def asked(self, tags: Mapping[str, str]) -> StepResources:
        """Return what a step's tags ask for; nonsense has been judged already and asks nothing."""
        try:
            return StepResources.of_tags(tags)
        except StepResourcesError:
            return StepResources()

    # --- Start ------------------------------------------------------------------------------------

    def launch_step(self, step_handler_context: StepHandlerContext) -> Iterator[DagsterEvent]:
        """Make the step's Job, or note why it can't be made.

        Whatever stands in the way becomes a verdict and not an exception: one step's trouble must
        not end the run of the others.
        """
        launch = self._new_launch(step_handler_context)
        self._launches[launch.step] = launch
        launch.verdict = self._prepare(launch, step_handler_context)
        if launch.verdict is None:
            yield DagsterEvent.step_worker_starting(
                step_handler_context.get_step_context(launch.step),
                message=f'Executing step "{launch.step}" in Kubernetes job {launch.job_name}.',
                metadata={"Kubernetes Job name": MetadataValue.text(launch.job_name)},
            )
            launch.verdict = self._create(launch, step_handler_context)

    def _new_launch(self, context: StepHandlerContext) -> Launch:
        step = manifest.key_of(context)
        args = context.execute_step_args
        known = args.known_state
        before = known.get_retry_state().get_attempt_count(step) if known else 0
        name = f"dagster-step-{get_k8s_job_name(args.run_id, step)}"
        return Launch(step, before + 1, f"{name}-{before}" if before else name)

    def _prepare(self, launch: Launch, context: StepHandlerContext) -> Verdict | None:
        """Compute the Job; what is asked for is judged before anything is made."""
        cluster = self._reach(context)
        try:
            asked = StepResources.of_tags(context.step_tags[launch.step])
            settings = manifest.container_context(
                context,
                self._executor_container_context,
                asked,
                self._per_step_k8s_config,
                self._history.memory(launch.step),
            )
            limits = manifest.limits_of(settings)
            refusal = self._ceiling.refusal(launch.step, manifest.resources_of(settings))
            if refusal:
                shown = {f"{resource}_limit": str(amount) for resource, amount in limits.items()}
                return Verdict(Cause.ABOVE_CEILING, refusal, shown)
            if "memory" in limits:
                refuse_too_little_memory(parse_bytes(limits["memory"]))
            launch.job = manifest.step_job(
                context,
                settings,
                self._executor_image,
                launch.job_name,
                len(self._history.repeats(launch.step)),
                cluster.jobs.owner(),
                self._let_grow(launch, asked.max_memory, context),
            )
        except (StepResourcesError, QuantityError, manifest.ImageError) as error:
            sentence = f"Step {launch.step} can't be started: {error}."
            return Verdict(Cause.NONSENSE, sentence)
        return None

    def _let_grow(
        self, launch: Launch, max_memory: int | None, context: StepHandlerContext
    ) -> list[dict[str, str]]:
        """Let a step grow while it runs; return the variables with which its pod asks for it."""
        if max_memory is None:
            return []
        cluster = self._reach(context)
        cluster.growth.allow(launch.job_name, context.get_step_context(launch.step), max_memory)
        address = cluster.jobs.address()
        if address and not cluster.channel.is_open:
            cluster.channel.start(address)
        return cluster.channel.environment(launch.job_name)

    def _create(self, launch: Launch, context: StepHandlerContext) -> Verdict | None:
        """Make the Job; return why it will never be made, if so."""
        if time.monotonic() < launch.next_try:
            return None
        try:
            self._reach(context).jobs.create(launch.job)
        except RefusedError as error:
            launch.next_try = time.monotonic() + _RETRY_SECONDS
            verdict, may_pass = of_refusal(str(error), launch.step)
            if may_pass or error.may_pass:
                return self._patiently(launch, verdict)
            return verdict
        launch.is_created = True
        return None

    # --- Judge ------------------------------------------------------------------------------------

    def check_step_health(self, step_handler_context: StepHandlerContext) -> CheckStepHealthResult:
        """Say whether the step may still end by itself; if not, `verdict` tells why."""
        launch = self._launches.get(manifest.key_of(step_handler_context))
        if launch is None:
            return self._take_up(step_handler_context)
        launch.verdict = launch.verdict or self._judge(launch, step_handler_context)
        if launch.verdict is None:
            return CheckStepHealthResult.healthy()
        launch.verdict = launch.verdict.with_facts(attempt=launch.attempt)
        return CheckStepHealthResult.unhealthy(launch.verdict.sentence)

    def _judge(self, launch: Launch, context: StepHandlerContext) -> Verdict | None:
        if not launch.is_created:
            return self._create(launch, context)
        jobs, watch, *_ = self._reach(context)
        pod = watch.pod(launch.job_name)
        if pod and pod.is_over:
            verdict = self._judge_ended_pod(launch, pod, jobs)
            may_yet_begin = verdict and verdict.cause.is_infrastructure
        elif pod:
            verdict = may_yet_begin = self._judge_waiting_pod(launch, pod, context)
        else:
            verdict = may_yet_begin = self._judge_missing_pod(launch, context)
        if may_yet_begin:
            jobs.delete(launch.job_name)
        return verdict

    def _judge_missing_pod(self, launch: Launch, context: StepHandlerContext) -> Verdict | None:
        jobs, watch, *_ = self._reach(context)
        refusal = watch.refusal(launch.job_name)
        if refusal:
            verdict, may_pass = of_refusal(refusal, launch.step)
            if not may_pass:
                return verdict
            self._tell(launch, verdict, context)
            if time.monotonic() >= launch.next_try:
                launch.next_try = time.monotonic() + _NUDGE_SECONDS
                jobs.retrigger(launch.job_name)
            return self._patiently(launch, verdict)
        if time.monotonic() - launch.looked_up < _LOOK_UP_SECONDS:
            return None
        launch.looked_up = time.monotonic()
        if jobs.exists(launch.job_name) is not False:
            return None
        return Verdict(
            Cause.DELETED,
            f"The Job of step {launch.step}, {launch.job_name}, is gone, and its pod with it.",
        )

    def _judge_ended_pod(self, launch: Launch, pod: StepPod, jobs: StepJobs) -> Verdict | None:
        if launch.job_name not in self._settled:
            return None
        if pod.is_gone and pod.is_running and launch.lasting("vanished") < pod.grace_seconds:
            # Removed without waiting for its node: what ran may run on for as long as it may take
            # to end, and no step may run twice at the same time.
            return None
        verdict = verdicts.of_ended_pod(pod, launch.step, launch.attempt)
        if verdict.cause is Cause.DELETED:
            seconds = jobs.exceeded_deadline(launch.job_name)
            if seconds:
                return verdicts.of_job_deadline(pod, launch.step, launch.attempt, seconds)
        lines = jobs.last_lines(pod) if verdict.cause in _WITH_LAST_LINES else ""
        return verdict.with_facts(last_lines=lines) if lines else verdict

    def _judge_waiting_pod(
        self, launch: Launch, pod: StepPod, context: StepHandlerContext
    ) -> Verdict | None:
        waits = verdicts.of_waiting_pod(pod, launch.step, launch.attempt)
        launch.only(waits.cause.value if waits else None)
        if waits is None:
            return None
        if waits.cause is not Cause.NEVER_STARTED:
            self._tell(launch, waits, context)
        if waits.cause is Cause.IMAGE and any(
            answer in waits.sentence for answer in _FINAL_PULL_ANSWERS
        ):
            return waits
        return self._patiently(launch, waits)

    def _patiently(self, launch: Launch, verdict: Verdict) -> Verdict | None:
        """Return the verdict once what it says has lasted too long."""
        lasted = launch.lasting(verdict.cause.value)
        if lasted < self._longest(verdict.cause):
            return None
        return verdict.and_then(f"It has waited {lasted:.0f} s.")

    def _longest(self, cause: Cause) -> float:
        match cause:
            case Cause.QUOTA:
                return self._patience.quota
            case Cause.NEVER_STARTED:
                return self._patience.start
            case Cause.NODE_SILENT:
                return self._patience.node
            case Cause.IMAGE | Cause.CANNOT_START:
                return self._patience.image_pull
            case _:
                return self._patience.scheduling

    def _tell(self, launch: Launch, verdict: Verdict, context: StepHandlerContext) -> None:
        """Tell in the page what a step waits for, once, unless it is over at once."""
        cause = verdict.cause.value
        if launch.lasting(cause) >= _TELL_AFTER_SECONDS and launch.is_first(cause):
            DagsterEvent.engine_event(
                context.get_step_context(launch.step),
                verdict.sentence,
                EngineEventData(metadata=verdict.facts),
            )

    # --- Take up, end -----------------------------------------------------------------------------

    def _take_up(self, context: StepHandlerContext) -> CheckStepHealthResult:
        """Say whether an earlier pod of this run began the attempt; then it is judged like any."""
        launch = self._new_launch(context)
        jobs, watch, *_ = self._reach(context)
        patience = time.monotonic() + _LIST_PATIENCE_SECONDS
        while not watch.is_listed and time.monotonic() < patience:
            time.sleep(0.05)
        has_job = jobs.exists(launch.job_name)
        if has_job is False and watch.pod(launch.job_name) is None:
            if not self._history.has_started(launch.step):
                return CheckStepHealthResult.unhealthy("it was not begun")
            launch.verdict = Verdict(
                Cause.DELETED,
                f"The pod of step {launch.step} was deleted while its run was interrupted.",
            )
        launch.is_created = True
        self._launches[launch.step] = launch
        if has_job:
            jobs.adopt(launch.job_name)
        return CheckStepHealthResult.healthy()

    def terminate_step(self, step_handler_context: StepHandlerContext) -> Iterator[DagsterEvent]:
        """Delete the step's Job, and its pod with it."""
        launch = self._launches.get(manifest.key_of(step_handler_context))
        if launch is None:
            return
        yield DagsterEvent.engine_event(
            step_handler_context.get_step_context(launch.step),
            message=f"Deleting Kubernetes job {launch.job_name} for step",
            event_specific_data=EngineEventData(),
        )
        self._reach(step_handler_context).jobs.delete(launch.job_name)

    def _reach(self, context: StepHandlerContext) -> _Cluster:
        """Return what reaches the run's steps; the first call starts the watch over them."""
        if self._cluster is None:
            settings = manifest.container_context(
                context, self._executor_container_context, StepResources(), {}, None
            )
            namespace = cast("str", settings.namespace)
            configuration = self._api_client.core_api.api_client.configuration
            api = KubernetesApi.of_configuration(configuration)
            jobs = StepJobs(api, namespace)
            run_id = context.execute_step_args.run_id
            watch = StepWatch(
                api,
                namespace,
                f"{names.RUN_ID_LABEL}={run_id},{names.STEP_KEY_LABEL}",
            )
            watch.start()
            growth = InPlaceGrowth(jobs, watch, self._ceiling)
            self._cluster = _Cluster(jobs, watch, growth, GrowthChannel(growth.grow))
        return self._cluster
