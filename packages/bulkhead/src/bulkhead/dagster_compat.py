"""Every name that Bulkhead takes from Dagster without a promise that it stays.

Dagster promises to keep what `dagster`, `dagster_k8s`, `dagster_postgres` and `dagster_aws.s3`
export. Bulkhead needs more: names below `dagster._core` and its siblings, and modules inside of the
integrations. All of them are named here and nowhere else, so that a new version of Dagster is
checked in one place. The linter refuses them in other modules.

A name is imported when somebody imports it from here, and its module with it. So a step's pod never
imports what only a run's pod needs.
"""

import importlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from dagster import DagsterEvent, ExecutorDefinition
    from dagster._cli.utils import (
        get_instance_for_cli as get_instance_for_cli,
    )
    from dagster._core.definitions.assets.definition.asset_spec import (
        SYSTEM_METADATA_KEY_AUTO_CREATED_STUB_ASSET as SYSTEM_METADATA_KEY_AUTO_CREATED_STUB_ASSET,
    )
    from dagster._core.definitions.declarative_automation.serialized_objects import (
        AutomationConditionSnapshot as AutomationConditionSnapshot,
    )
    from dagster._core.definitions.executor_definition import (
        IN_PROC_CONFIG as IN_PROC_CONFIG,
        MULTI_PROC_CONFIG as MULTI_PROC_CONFIG,
        ExecutorRequirement as ExecutorRequirement,
        in_process_executor as in_process_executor,
        multiple_process_executor_requirements as multiple_process_executor_requirements,
    )
    from dagster._core.definitions.partitions.snap.snap import (
        DynamicPartitionsSnap as DynamicPartitionsSnap,
        MultiPartitionsSnap as MultiPartitionsSnap,
        PartitionsSnap as PartitionsSnap,
        StaticPartitionsSnap as StaticPartitionsSnap,
        TimeWindowPartitionsSnap as TimeWindowPartitionsSnap,
    )
    from dagster._core.definitions.reconstruct import (
        repository_def_from_target_def as repository_def_from_target_def,
    )
    from dagster._core.errors import (
        DagsterExecutionInterruptedError as DagsterExecutionInterruptedError,
    )
    from dagster._core.event_api import (
        EventLogCursor as EventLogCursor,
    )
    from dagster._core.events import (
        EngineEventData as EngineEventData,
    )
    from dagster._core.execution.api import (
        create_execution_plan as create_execution_plan,
        execute_plan_iterator as execute_plan_iterator,
    )
    from dagster._core.execution.context.system import (
        IStepContext as IStepContext,
    )
    from dagster._core.execution.context_creation_job import (
        create_context_free_log_manager as create_context_free_log_manager,
    )
    from dagster._core.execution.plan.objects import (
        ErrorSource as ErrorSource,
        StepFailureData as StepFailureData,
        StepRetryData as StepRetryData,
        UserFailureData as UserFailureData,
    )
    from dagster._core.execution.plan.state import (
        KnownExecutionState as KnownExecutionState,
    )
    from dagster._core.execution.retries import (
        RetryMode as RetryMode,
        get_retries_config as get_retries_config,
    )
    from dagster._core.execution.step_dependency_config import (
        StepDependencyConfig as StepDependencyConfig,
        get_step_dependency_config_field as get_step_dependency_config_field,
    )
    from dagster._core.execution.tags import (
        get_tag_concurrency_limits_config as get_tag_concurrency_limits_config,
    )
    from dagster._core.executor.base import (
        Executor as Executor,
    )
    from dagster._core.executor.step_delegating import (
        CheckStepHealthResult as CheckStepHealthResult,
        StepDelegatingExecutor as StepDelegatingExecutor,
        StepHandlerContext as StepHandlerContext,
    )
    from dagster._core.instance.ref import (
        InstanceRef as InstanceRef,
    )
    from dagster._core.launcher import (
        CheckRunHealthResult as CheckRunHealthResult,
        LaunchRunContext as LaunchRunContext,
        ResumeRunContext as ResumeRunContext,
        RunLauncher as RunLauncher,
        WorkerStatus as WorkerStatus,
    )
    from dagster._core.remote_origin import (
        GrpcServerCodeLocationOrigin as GrpcServerCodeLocationOrigin,
    )
    from dagster._core.remote_representation.external_data import (
        RepositorySnap as RepositorySnap,
        ScheduleSnap as ScheduleSnap,
        SensorSnap as SensorSnap,
    )
    from dagster._core.storage.cloud_storage_compute_log_manager import (
        CloudStorageComputeLogManager as CloudStorageComputeLogManager,
        PollingComputeLogSubscriptionManager as PollingComputeLogSubscriptionManager,
    )
    from dagster._core.storage.compute_log_manager import (
        CapturedLogContext as CapturedLogContext,
        CapturedLogSubscription as CapturedLogSubscription,
        ComputeIOType as ComputeIOType,
    )
    from dagster._core.storage.event_log.schema import (
        SqlEventLogStorageMetadata as SqlEventLogStorageMetadata,
    )
    from dagster._core.storage.local_compute_log_manager import (
        IO_TYPE_EXTENSION as IO_TYPE_EXTENSION,
        LocalComputeLogManager as LocalComputeLogManager,
    )
    from dagster._core.storage.runs.schema import (
        RunStorageSqlMetadata as RunStorageSqlMetadata,
    )
    from dagster._core.storage.schedules.schema import (
        ScheduleStorageSqlMetadata as ScheduleStorageSqlMetadata,
    )
    from dagster._core.storage.sql import (
        run_alembic_upgrade as run_alembic_upgrade,
        stamp_alembic_rev as stamp_alembic_rev,
    )
    from dagster._core.types.loadable_target_origin import (
        LoadableTargetOrigin as LoadableTargetOrigin,
    )
    from dagster._core.workspace.autodiscovery import (
        LOAD_ALL_ASSETS as LOAD_ALL_ASSETS,
        loadable_targets_from_loaded_module as loadable_targets_from_loaded_module,
    )
    from dagster._grpc.server import (
        LoadedRepositories as LoadedRepositories,
    )
    from dagster._grpc.types import (
        ExecuteStepArgs as ExecuteStepArgs,
    )
    from dagster._serdes import (
        ConfigurableClass as ConfigurableClass,
        ConfigurableClassData as ConfigurableClassData,
        deserialize_value as deserialize_value,
        serialize_value as serialize_value,
    )
    from dagster._utils import (
        alter_sys_path as alter_sys_path,
        ensure_file as ensure_file,
        touch_file as touch_file,
    )
    from dagster._utils.error import (
        serializable_error_info_from_exc_info as serializable_error_info_from_exc_info,
    )
    from dagster._utils.hosted_user_process import (
        recon_job_from_origin as recon_job_from_origin,
    )
    from dagster._utils.interrupts import (
        capture_interrupts as capture_interrupts,
        setup_interrupt_handlers as setup_interrupt_handlers,
    )
    from dagster._utils.log import (
        configure_loggers as configure_loggers,
    )
    from dagster.components.definitions import (
        LazyDefinitions as LazyDefinitions,
    )
    from dagster_k8s.client import (
        DagsterKubernetesClient as DagsterKubernetesClient,
    )
    from dagster_k8s.container_context import (
        K8sContainerContext as K8sContainerContext,
    )
    from dagster_k8s.executor import (
        K8sStepHandler as K8sStepHandler,
    )
    from dagster_k8s.job import (
        K8sConfigMergeBehavior as K8sConfigMergeBehavior,
        UserDefinedDagsterK8sConfig as UserDefinedDagsterK8sConfig,
        construct_dagster_k8s_job as construct_dagster_k8s_job,
        get_k8s_job_name as get_k8s_job_name,  # pyright: ignore[reportUnknownVariableType]
        get_user_defined_k8s_config as get_user_defined_k8s_config,
    )
    from dagster_postgres.run_storage import (
        run_storage as run_storage,
    )
    from dagster_postgres.utils import (
        pg_alembic_config as pg_alembic_config,
    )
    from dagster_shared.error import (
        DagsterError as DagsterError,
        SerializableErrorInfo as SerializableErrorInfo,
        remove_matching_lines_from_error_info as remove_matching_lines_from_error_info,
        remove_system_frames_from_error as remove_system_frames_from_error,
    )
    from dagster_shared.seven import (
        import_module_from_path as import_module_from_path,
    )

SUPPORTED_VERSIONS: Final = "dagster>=1.12,<1.14"
"""The versions in which all of these names are known to exist and to mean the same."""

_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "dagster._cli.utils": ("get_instance_for_cli",),
    "dagster._core.definitions.assets.definition.asset_spec": (
        "SYSTEM_METADATA_KEY_AUTO_CREATED_STUB_ASSET",
    ),
    "dagster._core.definitions.declarative_automation.serialized_objects": (
        "AutomationConditionSnapshot",
    ),
    "dagster._core.definitions.executor_definition": (
        "ExecutorRequirement",
        "IN_PROC_CONFIG",
        "MULTI_PROC_CONFIG",
        "in_process_executor",
        "multiple_process_executor_requirements",
    ),
    "dagster._core.definitions.partitions.snap.snap": (
        "DynamicPartitionsSnap",
        "MultiPartitionsSnap",
        "PartitionsSnap",
        "StaticPartitionsSnap",
        "TimeWindowPartitionsSnap",
    ),
    "dagster._core.definitions.reconstruct": ("repository_def_from_target_def",),
    "dagster._core.errors": ("DagsterExecutionInterruptedError",),
    "dagster._core.event_api": ("EventLogCursor",),
    "dagster._core.events": ("EngineEventData",),
    "dagster._core.execution.api": (
        "create_execution_plan",
        "execute_plan_iterator",
    ),
    "dagster._core.execution.context.system": ("IStepContext",),
    "dagster._core.execution.context_creation_job": ("create_context_free_log_manager",),
    "dagster._core.execution.plan.objects": (
        "ErrorSource",
        "StepFailureData",
        "StepRetryData",
        "UserFailureData",
    ),
    "dagster._core.execution.plan.state": ("KnownExecutionState",),
    "dagster._core.execution.retries": (
        "RetryMode",
        "get_retries_config",
    ),
    "dagster._core.execution.step_dependency_config": (
        "StepDependencyConfig",
        "get_step_dependency_config_field",
    ),
    "dagster._core.execution.tags": ("get_tag_concurrency_limits_config",),
    "dagster._core.executor.base": ("Executor",),
    "dagster._core.executor.step_delegating": (
        "CheckStepHealthResult",
        "StepDelegatingExecutor",
        "StepHandlerContext",
    ),
    "dagster._core.instance.ref": ("InstanceRef",),
    "dagster._core.launcher": (
        "CheckRunHealthResult",
        "LaunchRunContext",
        "ResumeRunContext",
        "RunLauncher",
        "WorkerStatus",
    ),
    "dagster._core.remote_origin": ("GrpcServerCodeLocationOrigin",),
    "dagster._core.remote_representation.external_data": (
        "RepositorySnap",
        "ScheduleSnap",
        "SensorSnap",
    ),
    "dagster._core.storage.cloud_storage_compute_log_manager": (
        "CloudStorageComputeLogManager",
        "PollingComputeLogSubscriptionManager",
    ),
    "dagster._core.storage.compute_log_manager": (
        "CapturedLogContext",
        "CapturedLogSubscription",
        "ComputeIOType",
    ),
    "dagster._core.storage.event_log.schema": ("SqlEventLogStorageMetadata",),
    "dagster._core.storage.local_compute_log_manager": (
        "IO_TYPE_EXTENSION",
        "LocalComputeLogManager",
    ),
    "dagster._core.storage.runs.schema": ("RunStorageSqlMetadata",),
    "dagster._core.storage.schedules.schema": ("ScheduleStorageSqlMetadata",),
    "dagster._core.storage.sql": (
        "run_alembic_upgrade",
        "stamp_alembic_rev",
    ),
    "dagster._core.types.loadable_target_origin": ("LoadableTargetOrigin",),
    "dagster._core.workspace.autodiscovery": (
        "LOAD_ALL_ASSETS",
        "loadable_targets_from_loaded_module",
    ),
    "dagster._grpc.server": ("LoadedRepositories",),
    "dagster._grpc.types": ("ExecuteStepArgs",),
    "dagster._serdes": (
        "ConfigurableClass",
        "ConfigurableClassData",
        "deserialize_value",
        "serialize_value",
    ),
    "dagster._utils": (
        "alter_sys_path",
        "ensure_file",
        "touch_file",
    ),
    "dagster._utils.error": ("serializable_error_info_from_exc_info",),
    "dagster._utils.hosted_user_process": ("recon_job_from_origin",),
    "dagster._utils.interrupts": (
        "capture_interrupts",
        "setup_interrupt_handlers",
    ),
    "dagster._utils.log": ("configure_loggers",),
    "dagster.components.definitions": ("LazyDefinitions",),
    "dagster_k8s.client": ("DagsterKubernetesClient",),
    "dagster_k8s.container_context": ("K8sContainerContext",),
    "dagster_k8s.executor": ("K8sStepHandler",),
    "dagster_k8s.job": (
        "K8sConfigMergeBehavior",
        "UserDefinedDagsterK8sConfig",
        "get_k8s_job_name",
        "construct_dagster_k8s_job",
        "get_user_defined_k8s_config",
    ),
    "dagster_postgres.run_storage": ("run_storage",),
    "dagster_postgres.utils": ("pg_alembic_config",),
    "dagster_shared.error": (
        "DagsterError",
        "SerializableErrorInfo",
        "remove_matching_lines_from_error_info",
        "remove_system_frames_from_error",
    ),
    "dagster_shared.seven": ("import_module_from_path",),
}

_MODULES: Final = {name: module for module, names in _NAMES.items() for name in names}


class DagsterVersionError(ImportError):
    """The installed Dagster lacks a name that Bulkhead needs."""

    def __init__(self, missing: str) -> None:
        """Say what is missing, which version is installed and which ones work."""
        import dagster

        super().__init__(
            f"Dagster {dagster.__version__} has no {missing}, which Bulkhead needs. Bulkhead "
            f"supports {SUPPORTED_VERSIONS}: pin one of these in the lock of the image, or install "
            "a newer Bulkhead."
        )


def __getattr__(name: str) -> Any:  # noqa: ANN401 - types are declared above
    """Import a name from where Dagster keeps it.

    Raises:
        DagsterVersionError: this version of Dagster does not have it.
    """
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(importlib.import_module(module), name)
    except (ModuleNotFoundError, AttributeError) as error:
        if isinstance(error, ModuleNotFoundError) and not f"{module}.".startswith(f"{error.name}."):
            raise  # something that Dagster itself imports is missing
        raise DagsterVersionError(f"{module}.{name}") from error
    globals()[name] = value
    return value


def set_default_executor(definition: "ExecutorDefinition") -> None:
    """Make `definition` the executor of all jobs of this process that name none.

    Dagster has no setting for it. Every job without an executor reads this variable when it is
    used.

    Raises:
        DagsterVersionError: this version of Dagster keeps its default executor elsewhere.
    """
    from dagster._core.definitions import job_definition

    if not hasattr(job_definition, "DEFAULT_EXECUTOR_DEF"):
        raise DagsterVersionError(f"{job_definition.__name__}.DEFAULT_EXECUTOR_DEF")
    job_definition.DEFAULT_EXECUTOR_DEF = definition


def set_engine(storage: Any, engine: Any) -> None:  # noqa: ANN401 - untyped there
    """Let a storage of dagster_postgres use another SQLAlchemy engine than its own.

    Raises:
        DagsterVersionError: this version of dagster_postgres keeps its engine elsewhere.
    """
    if not hasattr(storage, "_engine"):
        raise DagsterVersionError(f"{type(storage).__name__}._engine")
    storage._engine = engine  # noqa: SLF001


def has_token_provider(storage: Any) -> bool:  # noqa: ANN401 - untyped there
    """Return whether a storage of dagster_postgres gets its passwords from a provider of tokens."""
    return bool(getattr(storage, "_token_provider", None))


def own_failure_or_retry(executor_class: Any) -> "Callable[..., DagsterEvent]":  # noqa: ANN401
    """Return the method in which `StepDelegatingExecutor` reports a step that has failed.

    It was called `get_failure_or_retry_event_after_error` in Dagster 1.12.

    Raises:
        DagsterVersionError: this version of Dagster has neither.
    """
    for name in (
        "log_failure_or_retry_event_after_error",
        "get_failure_or_retry_event_after_error",
    ):
        method = getattr(executor_class, name, None)
        if method:
            return cast("Callable[..., DagsterEvent]", method)
    raise DagsterVersionError("StepDelegatingExecutor.log_failure_or_retry_event_after_error")


# --- Typed forms of what Dagster declares without types -------------------------------------------


def step_job_name(run_id: str, step_key: str) -> str:
    """Return the name that dagster-k8s gives to the Job of a step, without its prefix."""
    return __getattr__("get_k8s_job_name")(run_id, step_key)


def kubernetes_config(config: Mapping[str, Any]) -> "UserDefinedDagsterK8sConfig":
    """Return raw Kubernetes config, such as a `dagster-k8s/config` tag holds, as dagster-k8s does.

    Raises:
        dagster_shared.check.CheckError: a key does not exist.
    """
    return __getattr__("UserDefinedDagsterK8sConfig").from_dict(dict(config))


def container_context(config: Mapping[str, Any]) -> "K8sContainerContext":
    """Return the container context that a config with the key `k8s` describes."""
    return __getattr__("K8sContainerContext").create_from_config(dict(config))


def api_configuration(client: "DagsterKubernetesClient") -> Any:  # noqa: ANN401 - untyped there
    """Return the `kubernetes.client.Configuration` with which a client of dagster-k8s connects."""
    return cast("Any", client).core_api.api_client.configuration
