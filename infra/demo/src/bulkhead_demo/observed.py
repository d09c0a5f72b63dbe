"""The grocer's runs, assets, checks, sensors and failures, from Dagster's web server.

Other code locations on the same cluster are left out.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bulkhead.webserver_api import runs
from bulkhead.webserver_api.client import GraphQLClient
from bulkhead_demo.paths import LOCATIONS

ENTRY = """
fragment entry on MetadataEntry {
  label
  ... on IntMetadataEntry { intRepr }
  ... on FloatMetadataEntry { floatValue }
  ... on TextMetadataEntry { text }
  ... on BoolMetadataEntry { boolValue }
  ... on PathMetadataEntry { path }
  ... on JsonMetadataEntry { jsonString }
  ... on TableMetadataEntry { table { records } }
}"""

SNAPSHOT = """
query Snapshot($since: Float!) {
  runsOrError(filter: { createdAfter: $since }) { ... on Runs { results {
    runId jobName status creationTime startTime endTime
    assetSelection { path }
    tags { key value }
    repositoryOrigin { repositoryLocationName }
  } } ... on PythonError { message } }
  assetNodes {
    assetKey { path }
    repository { location { name } }
    dependencyKeys { path }
    jobNames
    automationCondition { label }
    assetMaterializations(limit: 1) { runId timestamp }
  }
}"""

CREATED = """
query Created($id: ID!) { runOrError(runId: $id) { ... on Run { creationTime } } }"""

FIGURES = (
    ENTRY
    + """
query Figures { assetNodes {
  assetKey { path }
  repository { location { name } }
  partitionKeys
  assetMaterializations(limit: 1) { metadataEntries { ...entry } }
  assetChecksOrError { ... on AssetChecks { checks {
    name
    executionForLatestMaterialization {
      status
      evaluation { severity description }
    }
  } } }
} }"""
)

SENSORS = """
{ workspaceOrError { ... on Workspace { locationEntries {
  name
  locationOrLoadError { ... on RepositoryLocation {
    repositories { sensors { name sensorType sensorState { status } } }
  } }
} } } }"""

START_SENSOR = """
mutation Start($sensor: SensorSelector!) {
  startSensor(sensorSelector: $sensor) { __typename ... on Error { message } }
}"""

DELETE_HISTORY = """
mutation DeleteHistory($assets: [PartitionsByAssetSelector!]!) {
  wipeAssets(assetPartitionRanges: $assets) { __typename ... on Error { message } }
}"""

EVENT_FIELDS = """
... on MessageEvent { message timestamp stepKey }
... on ErrorEvent { error { message causes { message } } }
... on AssetCheckEvaluationEvent { evaluation { checkName success description } }"""

AUTOMATION = frozenset({"AUTOMATION", "AUTO_MATERIALIZE"})
"""Sensor types that evaluate automation conditions."""

WILL_RETRY = ("dagster/will_retry", "true")
"""Tag of a failed run that Dagster retries."""


@dataclass(frozen=True)
class Run:
    """A run; times are seconds since 1970, None if it has not started or ended."""

    id: str
    location: str
    job: str
    status: str
    assets: tuple[str, ...]
    created: float
    started: float | None
    ended: float | None
    will_retry: bool = False

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.status in runs.ENDED

    @property
    def has_failed(self) -> bool:
        """Whether it failed or was canceled, and is not retried."""
        return self.is_over and self.status != "SUCCESS" and not self.will_retry


@dataclass(frozen=True)
class Asset:
    """An asset; `materialized` is the time of its last materialization, in seconds since 1970."""

    name: str
    location: str
    upstream: frozenset[str]
    is_automatic: bool
    jobs: frozenset[str]
    materialized: float | None
    run_id: str | None


@dataclass(frozen=True)
class Snapshot:
    """Runs in order of creation, and assets by name in order of dependency, at one time."""

    runs: tuple[Run, ...]
    assets: Mapping[str, Asset]


@dataclass(frozen=True)
class Check:
    """The last result of an asset check; `status` is `NOT RUN` if there is none."""

    asset: str
    name: str
    status: str
    is_warning: bool
    description: str


@dataclass(frozen=True)
class Figures:
    """Metadata by asset and label, partitions by asset, and results of checks."""

    metadata: Mapping[str, Mapping[str, Any]]
    partitions: Mapping[str, tuple[str, ...]]
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class Sensor:
    """A sensor; `is_automatic`: it evaluates automation conditions."""

    name: str
    location: str
    is_automatic: bool
    is_running: bool


@dataclass(frozen=True)
class Failure:
    """Why a run failed: the failed step, None if there is none, and the lines of the error."""

    step: str | None
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Event:
    """An event of a run's log."""

    kind: str
    step: str | None
    message: str
    error: tuple[str, ...] = ()


def snapshot(client: GraphQLClient, since: float) -> Snapshot:
    """Return the runs created after a time, in seconds since 1970, and all assets."""
    answer = client.execute(SNAPSHOT, {"since": since})
    nodes = filter(_is_ours, answer["assetNodes"])
    assets = _in_order({asset.name: asset for asset in map(_asset, nodes)})
    all_runs = [_run(run, assets.values()) for run in answer["runsOrError"]["results"]]
    ours = [run for run in all_runs if run.location in LOCATIONS]
    return Snapshot(tuple(sorted(ours, key=lambda run: run.created)), assets)


def created(client: GraphQLClient, run_id: str) -> float:
    """Return a run's creation time as Dagster recorded it, in seconds since 1970."""
    return client.execute(CREATED, {"id": run_id})["runOrError"]["creationTime"]


def figures(client: GraphQLClient) -> Figures:
    """Return the metadata of each asset's last materialization, and the results of checks."""
    answer = client.execute(FIGURES)
    nodes = {_name(node["assetKey"]): node for node in filter(_is_ours, answer["assetNodes"])}
    return Figures(
        {
            name: _metadata(node["assetMaterializations"][0]["metadataEntries"])
            for name, node in nodes.items()
            if node["assetMaterializations"]
        },
        {name: tuple(node["partitionKeys"]) for name, node in nodes.items()},
        tuple(
            _check(name, check)
            for name, node in nodes.items()
            for check in node["assetChecksOrError"].get("checks", [])
        ),
    )


def sensors(client: GraphQLClient) -> list[Sensor]:
    """Return all sensors of the loaded code locations."""
    entries: list[dict[str, Any]] = client.execute(SENSORS)["workspaceOrError"]["locationEntries"]
    return [
        Sensor(
            sensor["name"],
            entry["name"],
            sensor["sensorType"] in AUTOMATION,
            sensor["sensorState"]["status"] == "RUNNING",
        )
        for entry in entries
        if entry["name"] in LOCATIONS
        for repository in _repositories(entry)
        for sensor in repository["sensors"]
    ]


def start(client: GraphQLClient, sensor: Sensor) -> str | None:
    """Start a sensor; returns the reason if the web server rejects it, else None."""
    selector = {
        "repositoryLocationName": sensor.location,
        "repositoryName": "__repository__",
        "sensorName": sensor.name,
    }
    answer = client.execute(START_SENSOR, {"sensor": selector})["startSensor"]
    return _refusal(answer, "Sensor")


def delete_history(client: GraphQLClient, assets: Iterable[str]) -> str | None:
    """Delete the history of assets; returns the reason if it is rejected, else None."""
    keys = [{"assetKey": {"path": [name]}} for name in assets]
    answer = client.execute(DELETE_HISTORY, {"assets": keys})["wipeAssets"]
    return _refusal(answer, "AssetWipeSuccess")


def events(client: GraphQLClient, run_id: str) -> list[Event]:
    """Return all events of a run so far."""
    return [_event(event) for event in runs.events(client, run_id, EVENT_FIELDS)]


def failure(client: GraphQLClient, run_id: str, most_lines: int = 12) -> Failure:
    """Return the error of a run's first failed step, else of the run."""
    logged = events(client, run_id)
    for kind in ("ExecutionStepFailureEvent", "RunFailureEvent"):
        for event in logged:
            if event.kind == kind:
                lines = event.error or tuple(event.message.splitlines())
                return Failure(event.step, lines[:most_lines])
    return Failure(None, tuple(event.message for event in logged[-most_lines:]))


def _in_order(assets: Mapping[str, Asset]) -> dict[str, Asset]:
    """Return the assets in order of dependency."""

    def depth(name: str) -> int:
        asset = assets.get(name)
        return 1 + max((depth(up) for up in asset.upstream), default=0) if asset else 0

    return {name: assets[name] for name in sorted(assets, key=lambda name: (depth(name), name))}


def _run(run: dict[str, Any], assets: Iterable[Asset]) -> Run:
    origin = run["repositoryOrigin"]
    location = origin["repositoryLocationName"] if origin else "?"
    selection: list[dict[str, Any]] | None = run["assetSelection"]
    selected = {_name(key) for key in selection or ()}
    made = [
        each.name
        for each in assets
        if (each.name in selected if selected else run["jobName"] in each.jobs)
        and each.location == location
    ]
    return Run(
        run["runId"],
        location,
        run["jobName"],
        run["status"],
        tuple(made),
        run["creationTime"],
        run["startTime"],
        run["endTime"],
        WILL_RETRY in {(tag["key"], tag["value"]) for tag in run["tags"]},
    )


def _repositories(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the repositories of a code location; none if it is not loaded."""
    location: dict[str, Any] | None = entry["locationOrLoadError"]
    return location.get("repositories", []) if location else []


def _location(node: dict[str, Any]) -> str:
    return node["repository"]["location"]["name"]


def _is_ours(node: dict[str, Any]) -> bool:
    return _location(node) in LOCATIONS


def _asset(node: dict[str, Any]) -> Asset:
    last = next(iter(node["assetMaterializations"]), None)
    return Asset(
        _name(node["assetKey"]),
        _location(node),
        frozenset(_name(key) for key in node["dependencyKeys"]),
        node["automationCondition"] is not None,
        frozenset(node["jobNames"]),
        int(last["timestamp"]) / 1000 if last else None,
        last["runId"] if last else None,
    )


def _check(asset: str, check: dict[str, Any]) -> Check:
    execution: dict[str, Any] = check["executionForLatestMaterialization"] or {}
    evaluation: dict[str, Any] = execution.get("evaluation") or {}
    return Check(
        asset,
        check["name"],
        execution.get("status", "NOT RUN"),
        evaluation.get("severity") == "WARN",
        evaluation.get("description") or "",
    )


def _event(event: dict[str, Any]) -> Event:
    error = event.get("error")
    # Dagster wraps the error of the user's code, which is the last cause.
    chain = [error, *error["causes"]] if error else []
    text = chain[-1]["message"] if chain else ""
    evaluation = event.get("evaluation")
    message = event.get("message") or ""
    if evaluation:
        message = f"{evaluation['checkName']}: {evaluation['description'] or message}"
    return Event(
        event["__typename"], event.get("stepKey") or None, message, tuple(text.splitlines())
    )


def _refusal(answer: dict[str, Any], success: str) -> str | None:
    """Return why a mutation was rejected; None if its answer has the type `success`."""
    return None if answer["__typename"] == success else answer.get("message", "no reason given")


def _metadata(entries: Iterable[dict[str, Any]]) -> dict[str, Any]:
    return {entry["label"]: _value(entry) for entry in entries}


def _value(entry: dict[str, Any]) -> Any:  # noqa: ANN401 - metadata has many types
    """Return the value of an entry; None for types that the demo does not use."""
    if "intRepr" in entry:
        return int(entry["intRepr"])
    if "table" in entry:
        return [json.loads(record) for record in entry["table"]["records"]]
    if "jsonString" in entry:
        return json.loads(entry["jsonString"])
    plain = ("floatValue", "text", "boolValue", "path")
    return next((entry[name] for name in plain if name in entry), None)


def _name(key: dict[str, Any]) -> str:
    return "/".join(key["path"])
