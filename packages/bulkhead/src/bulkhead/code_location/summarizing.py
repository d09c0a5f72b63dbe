"""Makes the summary of what a code location defines."""

import hashlib
from collections.abc import Iterable
from typing import Any, Final, cast

from dagster import AssetKey, AutomationCondition, JobDefinition, RepositoryDefinition

from bulkhead.code_location.loading import Repository
from bulkhead.code_location.partitions_table import PartitionsTable
from bulkhead.code_location.step_requests import StepRequests
from bulkhead.code_location.summary import (
    Asset,
    Check,
    Job,
    Resource,
    Schedule,
    Sensor,
    Summary,
)
from bulkhead.dagster_compat import (
    SYSTEM_METADATA_KEY_AUTO_CREATED_STUB_ASSET,
    AutomationConditionSnapshot,
    ScheduleSnap,
    SensorSnap,
)

# What Dagster makes for assets without a job, and for schedules and sensors that target assets.
_OWN_JOBS: Final = ("__ASSET_JOB", "__anonymous_asset_job")

_EXECUTIONS: Final = {
    "MATERIALIZATION": "materialization",
    "OBSERVATION": "observation",
    "UNEXECUTABLE": "external",
}

_OPERATORS: Final = {"and": " & ", "or": " | "}
_DIGEST_LENGTH: Final = 10


def summarize(repositories: Iterable[Repository]) -> Summary:
    """Return the summary of a code location; equal definitions give an equal one.

    Its name, its ceiling and its default steps come from the settings of this pod.
    """
    found = sorted(repositories, key=lambda each: each.definition.name)
    partitions = PartitionsTable()
    steps = StepRequests()
    jobs: dict[str, Job] = {}
    assets: dict[str, Asset] = {}
    checks: dict[str, Check] = {}
    schedules: dict[str, Schedule] = {}
    sensors: dict[str, Sensor] = {}
    resources: dict[str, Resource] = {}
    for definition, snap in found:
        prefix = f"{definition.name}/" if len(found) > 1 else ""
        for job in definition.get_all_jobs():
            steps.add(job)
            if not job.name.startswith(_OWN_JOBS):
                jobs[prefix + job.name] = _job(job, partitions)
        assets.update(_assets(definition, partitions))
        for check in snap.asset_check_nodes or ():
            asset = check.asset_key.to_user_string()
            checks[f"{asset}:{check.name}"] = Check(asset, check.blocking)
        schedules.update({prefix + each.name: _schedule(each) for each in snap.schedules})
        sensors.update({prefix + each.name: _sensor(each) for each in snap.sensors})
        resources.update(
            {prefix + each.name: Resource(each.resource_type) for each in snap.resources or ()}
        )
    return Summary(
        location=steps.ceiling.location,
        jobs=jobs,
        assets=assets,
        checks=checks,
        schedules=schedules,
        sensors=sensors,
        resources=resources,
        partitions=partitions.by_id,
        steps=steps.by_key(),
        ceiling=steps.ceiling.amounts,
        above_ceiling=steps.above_ceiling(),
    )


def _job(job: JobDefinition, partitions: PartitionsTable) -> Job:
    assets = _keys(job.asset_layer.selected_asset_keys)
    ops = () if assets else tuple(sorted(node.name for node in job.graph.nodes))
    return Job(assets, ops, partitions.id_of(job.partitions_def))


def _assets(
    repository: RepositoryDefinition, partitions: PartitionsTable
) -> Iterable[tuple[str, Asset]]:
    graph = repository.asset_graph
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        if node.metadata.get(SYSTEM_METADATA_KEY_AUTO_CREATED_STUB_ASSET):
            continue  # it is only named as a dependency
        condition = cast("AutomationCondition[Any] | None", node.automation_condition)
        text, digest = _automation(condition)
        yield (
            key.to_user_string(),
            Asset(
                deps=_keys(node.parent_keys),
                group=node.group_name,
                execution=_EXECUTIONS[node.execution_type.value],
                partitions=partitions.id_of(node.partitions_def),
                automation=text,
                automation_id=digest,
            ),
        )


def _keys(keys: Iterable[AssetKey]) -> tuple[str, ...]:
    return tuple(sorted(key.to_user_string() for key in keys))


def _automation(condition: "AutomationCondition[Any] | None") -> tuple[str | None, str | None]:
    """Return the text of a condition, and a digest of what its labels stand for."""
    if condition is None:
        return None, None
    snapshot = condition.get_snapshot()
    whole = _condition(snapshot, with_labels=False)
    digest = hashlib.sha256(whole.encode()).hexdigest()[:_DIGEST_LENGTH]
    return _condition(snapshot, with_labels=True), digest


def _condition(snapshot: AutomationConditionSnapshot, *, with_labels: bool) -> str:
    node = snapshot.node_snapshot
    if with_labels and node.label:
        return node.label
    children = [_condition(each, with_labels=with_labels) for each in snapshot.children]
    name = node.name or node.class_name
    if not children:
        return f"{name} ({node.description})" if not with_labels and node.description else name
    if name == "NOT":
        return f"~{children[0]}"
    if name.lower() in _OPERATORS:
        return f"({_OPERATORS[name.lower()].join(children)})"
    return f"{name.lower()}({', '.join(children)})"


def _schedule(schedule: ScheduleSnap) -> Schedule:
    cron = schedule.cron_schedule
    selection = schedule.asset_selection
    return Schedule(
        cron=(cron,) if isinstance(cron, str) else tuple(cron),
        timezone=schedule.execution_timezone or "UTC",
        target=schedule.job_name if selection is None else str(selection),
        runs_by_default=schedule.default_status is not None,
    )


def _sensor(sensor: SensorSnap) -> Sensor:
    selection = sensor.asset_selection
    targets = sorted(sensor.target_dict) if selection is None else [str(selection)]
    return Sensor(
        targets=tuple(targets),
        runs_by_default=sensor.default_status is not None,
        interval=sensor.min_interval,
    )
