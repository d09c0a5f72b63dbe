"""The process of a step's pod: it runs one step and reports what the step used.

It does what `dagster api execute_step` does, with five differences:

- It has a supervisor, so that no output is lost.
- It imports only what a step needs: not the command line, and nothing of Kubernetes.
- It keeps its connections to the database.
- It tells the step's own retries from those that the executor decided on.
- It does not report a failure when the cluster ends the step. The run judges it, and retries it.
"""

import base64
import gc
import os
import sys
import tempfile
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from bulkhead import names
from bulkhead.steps import growth_channel, supervisor
from bulkhead.steps.deferred_imports import defer, defer_init
from bulkhead.steps.usage import Usage, UsageMeter

if TYPE_CHECKING:
    from dagster import DagsterInstance, DagsterRun

    from bulkhead.dagster_compat import ExecuteStepArgs, InstanceRef, KnownExecutionState

COMMAND: Final = ["python", "-m", "bulkhead.steps.worker"]
"""The command of a step's pod. Its arguments are in `DAGSTER_COMPRESSED_EXECUTE_STEP_ARGS`."""

PLATFORM_RETRIES_ENV: Final = "BULKHEAD_PLATFORM_RETRIES"
"""How many of the earlier attempts the executor decided to retry."""

USAGE_KEYS: Final = ("peak_memory", "memory_limit", "cpu_seconds")
"""Metadata keys of the event in which a step reports what it used: bytes, bytes, seconds."""

_ARGUMENTS_ENV: Final = "DAGSTER_COMPRESSED_EXECUTE_STEP_ARGS"
_MOST_CONNECTIONS: Final = 2
_TERMINATED: Final = 143  # 128 and SIGTERM
_INTERRUPTS: Final = frozenset({"DagsterExecutionInterruptedError", "KeyboardInterrupt"})


def main() -> None:
    """Run the step that the environment names, and end the process."""
    # Imported modules stay. Collecting garbage among them takes a quarter of the CPU time of a
    # start (0.80 s without, 1.06 s with; medians of 4 in turns).
    gc.disable()
    supervisor.begin()
    # First, because imports take most of the memory of a small step.
    grow = growth_channel.request_memory if growth_channel.is_available() else None
    meter = UsageMeter(grow=grow)
    meter.start()
    provide_instance_settings()

    from bulkhead.dagster_compat import capture_interrupts, setup_interrupt_handlers

    setup_interrupt_handlers()
    with capture_interrupts():
        sys.exit(_run(meter))


def provide_instance_settings() -> None:
    """Write `dagster.yaml` where `DagsterInstance.get()` and Dagster's commands find it.

    This process does not need it, because its arguments describe the instance. The team's code may.
    """
    settings = os.environ.pop(names.INSTANCE_SETTINGS_ENV, None)
    if settings is None:
        return
    home = Path(os.environ[names.DAGSTER_HOME_ENV])
    try:
        (home / names.INSTANCE_CONFIG_KEY).write_text(settings)
    except OSError:  # an image without that folder, or a root file system that is read-only
        home = Path(tempfile.mkdtemp(prefix="dagster-home-"))
        (home / names.INSTANCE_CONFIG_KEY).write_text(settings)
        os.environ[names.DAGSTER_HOME_ENV] = str(home)


def open_instance(ref: "InstanceRef") -> "DagsterInstance":
    """Return the instance that `ref` describes, with connections that are kept.

    The modules of its storages are imported here, without the packages that a step never uses.
    """
    from dagster import DagsterInstance

    from bulkhead.steps.connections import keep_connections

    defer_init("dagster._daemon")
    with defer("alembic"):
        instance = DagsterInstance.from_ref(ref)
        keep_connections(instance, _MOST_CONNECTIONS)
    return instance


def _run(meter: UsageMeter) -> int:
    from bulkhead.dagster_compat import (
        DagsterExecutionInterruptedError,
        ExecuteStepArgs,
        deserialize_value,
    )

    packed = base64.b64decode(os.environ[_ARGUMENTS_ENV])
    args = deserialize_value(zlib.decompress(packed).decode(), ExecuteStepArgs)
    (step_key,) = cast("list[str]", args.step_keys_to_execute)
    with open_instance(cast("Any", args.instance_ref)) as instance:
        run = instance.get_run_by_id(args.run_id)
        if run is None:
            sys.stderr.write(f"Run {args.run_id} was deleted, so its step is not run.\n")
            return 1
        try:
            with _interrupts_left_to_the_run(instance, args.run_id):
                _execute(args, instance, run, step_key)
        except (KeyboardInterrupt, DagsterExecutionInterruptedError):
            instance.report_engine_event(
                "The step's process was told to stop (SIGTERM).", run, step_key=step_key
            )
            return _TERMINATED
        finally:
            _report(meter.stop(), instance, run, step_key)
    return 0


def _execute(
    args: "ExecuteStepArgs", instance: "DagsterInstance", run: "DagsterRun", step_key: str
) -> None:
    """Do what `dagster._cli.api` does for a step, also where the framework itself fails."""
    from dagster import DagsterEvent, DagsterRunStatus, MetadataValue

    from bulkhead.dagster_compat import (
        DagsterExecutionInterruptedError,
        EngineEventData,
        create_context_free_log_manager,
        serializable_error_info_from_exc_info,
    )

    location = run.remote_job_origin.location_name if run.remote_job_origin else None
    instance.inject_env_vars(location)
    cast("Any", DagsterEvent).step_worker_started(
        create_context_free_log_manager(instance, run),
        run.job_name,
        message=f'Step worker started for "{step_key}".',
        metadata={"pid": MetadataValue.text(str(os.getpid()))},
        step_key=step_key,
    )
    if run.is_finished or run.status == DagsterRunStatus.CANCELING:
        instance.report_engine_event(
            f"Step {step_key} is not run, because its run is {run.status.value}.",
            run,
            step_key=step_key,
        )
        return
    if not _is_first_of_its_attempt(args, instance, run, step_key):
        return
    try:
        _run_plan(args, instance, run)
    except (KeyboardInterrupt, DagsterExecutionInterruptedError):
        raise
    except Exception:
        instance.report_engine_event(
            "An exception was thrown during step execution that is likely a framework error, "
            "rather than an error in user code.",
            run,
            EngineEventData.engine_error(serializable_error_info_from_exc_info(sys.exc_info())),
            step_key=step_key,
        )
        raise


def _is_first_of_its_attempt(
    args: "ExecuteStepArgs", instance: "DagsterInstance", run: "DagsterRun", step_key: str
) -> bool:
    """Return whether this attempt has not started elsewhere. Code runs once for each attempt."""
    before = _known_state(args).get_retry_state().get_attempt_count(step_key)
    stats = instance.get_run_step_stats(run.run_id, step_keys=[step_key])
    started = sum(each.attempts or 0 for each in stats)
    if started <= before:
        return True
    instance.report_engine_event(
        f"Attempt {before + 1} at step {step_key} is not run here, because it has already started "
        "in another pod. The cluster created a second pod for it.",
        run,
        step_key=step_key,
    )
    return False


def _run_plan(args: "ExecuteStepArgs", instance: "DagsterInstance", run: "DagsterRun") -> None:
    from bulkhead.dagster_compat import (
        create_execution_plan,
        execute_plan_iterator,
        recon_job_from_origin,
    )

    load_data = None
    if run.has_repository_load_data:
        snapshot = instance.get_execution_plan_snapshot(cast("str", run.execution_plan_snapshot_id))
        load_data = snapshot.repository_load_data
    job = (
        recon_job_from_origin(cast("Any", run.job_code_origin))
        .with_repository_load_data(load_data)
        .get_subset(
            op_selection=run.resolved_op_selection,
            asset_selection=run.asset_selection,
            asset_check_selection=run.asset_check_selection,
        )
    )
    plan = create_execution_plan(
        job,
        run_config=run.run_config,
        step_keys_to_execute=list(args.step_keys_to_execute or []),
        known_state=_own_retries_only(args),
        repository_load_data=load_data,
    )
    gc.freeze()
    gc.enable()
    for _ in execute_plan_iterator(
        plan,
        job,
        run,
        instance,
        run_config=run.run_config,
        retry_mode=cast("Any", args.retry_mode),
    ):
        pass


def _known_state(args: "ExecuteStepArgs") -> "KnownExecutionState":
    return cast("KnownExecutionState", args.known_state)


def _own_retries_only(args: "ExecuteStepArgs") -> "KnownExecutionState":
    """Return the state in which only the step's own retries count as earlier attempts."""
    state = _known_state(args)
    platform_retries = int(os.environ.get(PLATFORM_RETRIES_ENV, "0"))
    (step_key,) = cast("list[str]", args.step_keys_to_execute)
    attempts = dict(state.previous_retry_attempts or {})
    attempts[step_key] = max(attempts.get(step_key, 0) - platform_retries, 0)
    return state._replace(previous_retry_attempts=attempts)


@contextmanager
def _interrupts_left_to_the_run(instance: "DagsterInstance", run_id: str) -> Generator[None]:
    """Keep a step that receives SIGTERM from reporting a failure or a retry.

    Dagster would write one. But the pod may have been evicted, or its node drained, and then the
    run retries the step without using the step's own retries. A run that is being cancelled does
    get the event.

    Raises:
        DagsterExecutionInterruptedError: an event was kept back, and Dagster raised nothing.
    """
    from dagster import DagsterRunStatus

    from bulkhead.dagster_compat import DagsterExecutionInterruptedError

    handle = instance.handle_new_event
    kept_back: list[Any] = []

    def handle_unless_interrupted(event: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - Dagster's own
        if _is_of_interrupt(event.dagster_event and event.dagster_event.event_specific_data):
            run = instance.get_run_by_id(run_id)
            if run and run.status == DagsterRunStatus.STARTED:
                kept_back.append(event)
                return None
        return handle(event, **kwargs)

    instance.handle_new_event = handle_unless_interrupted
    try:
        yield
    finally:
        instance.handle_new_event = handle
    if kept_back:
        raise DagsterExecutionInterruptedError


def _is_of_interrupt(data: object) -> bool:
    """Return whether the data of an event is a failure or a retry because of an interrupt.

    Dagster reports an interrupt as a failure. Where the op has a retry policy, it reports a retry,
    or a failure of the op itself when the policy allows no further retry. The interrupt is the
    cause of that error then.
    """
    from bulkhead.dagster_compat import ErrorSource, StepFailureData, StepRetryData

    if isinstance(data, StepFailureData) and data.error_source == ErrorSource.INTERRUPT:
        return True
    if not isinstance(data, StepFailureData | StepRetryData) or data.error is None:
        return False
    cause = data.error.cause
    return cause is not None and cause.cls_name in _INTERRUPTS


def _report(usage: Usage, instance: "DagsterInstance", run: "DagsterRun", step_key: str) -> None:
    """Report what the step used. A step does not fail because this report does."""
    from dagster import DagsterError
    from sqlalchemy.exc import SQLAlchemyError

    from bulkhead.dagster_compat import EngineEventData
    from bulkhead.steps import sentences

    if usage.peak_memory is None or usage.cpu_seconds is None:
        return
    metadata: dict[str, Any] = {
        "peak_memory": usage.peak_memory,
        "cpu_seconds": round(usage.cpu_seconds, 3),
        **({"memory_limit": usage.memory_limit} if usage.memory_limit else {}),
        **({"oom_kills": usage.oom_kills} if usage.oom_kills else {}),
    }
    try:
        instance.report_engine_event(
            sentences.of_usage(step_key, usage),
            run,
            EngineEventData(metadata=metadata),
            step_key=step_key,
        )
    except (DagsterError, SQLAlchemyError, OSError) as error:
        sys.stderr.write(f"The usage of step {step_key} could not be reported: {error}\n")


if __name__ == "__main__":
    main()
