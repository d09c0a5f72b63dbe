"""Dagster's GraphQL, as the Dagster UI uses it.

Requests go through the API server's proxy of the web server's Service, so they need no ingress and
no port.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.e2e import queries
from tests.e2e.cluster import ApiException, brief, listed, status_of
from tests.e2e.waiting import NotYet, until

from bulkhead.kube.api import KubernetesApiError
from bulkhead.webserver_api.client import GraphQLClient
from bulkhead.webserver_api.errors import NotGraphQLError, ReportedError
from bulkhead.webserver_api.transports import ProxyTransport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.e2e.cluster import Kube

SUCCESS, FAILURE, CANCELED = "SUCCESS", "FAILURE", "CANCELED"
ENDED = {SUCCESS, FAILURE, CANCELED}

RETRY = "bulkhead/retry"
"""Metadata key of the event about a retry by the executor itself."""


class GraphQLError(AssertionError):
    """The web server answered with an error."""


@dataclass(frozen=True)
class _ApiServer:
    """The API server, with the errors that `bulkhead.webserver_api` expects."""

    kube: Kube

    def get(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        return self._request("GET", path, query=query)

    def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._request("POST", path, body=dict(body))

    def _request(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        try:
            return self.kube.request(method, path, **request)
        except ApiException as error:
            raise KubernetesApiError(brief(error), status_of(error)) from error


def web_server_of(kube: Kube, namespace: str, release: str) -> GraphQLClient:
    """Return the client of a release's web server, through the proxy of the API server."""
    return GraphQLClient(ProxyTransport(_ApiServer(kube), release, namespace))


@dataclass(frozen=True)
class Location:
    """A code location as the Dagster UI lists it."""

    name: str
    loaded: bool
    error: str
    """The load error with its whole chain and stack; empty when there is none."""
    dagster: str
    """Version of Dagster in the code server; empty when it has not loaded."""
    jobs: dict[str, str]
    """Name of the repository by name of the job."""

    def __bool__(self) -> bool:
        return self.loaded and not self.error


@dataclass(frozen=True)
class Event:
    """One line of a run's log."""

    kind: str
    """Dagster's event type, as `STEP_FAILURE`; empty for a plain log message."""
    step: str
    message: str
    time: float
    """Seconds since 1970."""
    error: str
    metadata: dict[str, Any]
    file_key: str = ""
    steps: tuple[str, ...] = ()


@dataclass(frozen=True)
class Check:
    """The last execution of an asset check."""

    status: str
    """As `SUCCEEDED`; empty where it has not run."""
    run_id: str
    description: str
    metadata: dict[str, Any]


@dataclass(frozen=True)
class Asset:
    """An asset in the lineage: its code location and its neighbours, of any code location."""

    location: str
    upstream: frozenset[str]
    downstream: frozenset[str]
    description: str


@dataclass(frozen=True)
class CapturedLogs:
    """Output of a step."""

    stdout: str
    stderr: str


@dataclass(frozen=True)
class Tick:
    """One evaluation of a schedule or sensor."""

    status: str
    time: float
    run_ids: tuple[str, ...]
    skip_reason: str
    error: str


@dataclass
class Dagster:
    """One installation of the platform, seen through its web server."""

    web_server: GraphQLClient
    launched: list[str] = field(default_factory=list)
    """Runs launched through this object, for the diagnosis of a failed test."""

    def query(self, document: str, **variables: Any) -> dict[str, Any]:
        """Send one query or mutation and return its `data`.

        Raises:
            GraphQLError: the web server answers with an error.
            NoAnswerError: it does not answer.
        """
        try:
            return self.web_server.execute(document, variables)
        except (ReportedError, NotGraphQLError) as error:
            raise GraphQLError(str(error)) from error

    # --- Code locations -------------------------------------------------------------------------

    def locations(self) -> dict[str, Location]:
        """The code locations in the Dagster UI, by name."""
        workspace = self.query(queries.LOCATIONS)["workspaceOrError"]
        if workspace["__typename"] != "Workspace":
            raise GraphQLError(error_text(workspace))
        return {entry["name"]: _location(entry) for entry in workspace["locationEntries"]}

    def loaded(self, name: str, timeout: float = 60) -> Location:
        """Wait until a code location is listed and loaded without error; return it."""

        def is_loaded() -> Location | NotYet:
            there = self.locations()
            if name not in there:
                return NotYet(f"only {sorted(there)}")
            return there[name] or NotYet(there[name].error or "its code server has not responded")

        return until(is_loaded, timeout, f"code location {name} to be loaded")

    # --- Runs -----------------------------------------------------------------------------------

    def launch(
        self,
        location: str,
        job: str,
        run_config: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        *,
        assets: Sequence[str] = (),
    ) -> str:
        """Launch a job as the Dagster UI does; return the id of the run.

        Args:
            location: name of the code location.
            job: name of the job.
            run_config: the run's configuration.
            tags: tags of the run.
            assets: which of the job's assets; all by default.
        """
        jobs = self.loaded(location).jobs
        if job not in jobs:
            raise GraphQLError(f"code location {location} has no job {job}, only {sorted(jobs)}")
        result = self.query(
            queries.LAUNCH,
            params={
                "selector": {
                    "repositoryLocationName": location,
                    "repositoryName": jobs[job],
                    "jobName": job,
                    **({"assetSelection": [{"path": [name]} for name in assets]} if assets else {}),
                },
                "runConfigData": json.dumps(run_config or {}),
                "mode": "default",
                "executionMetadata": {
                    "tags": [{"key": k, "value": v} for k, v in (tags or {}).items()]
                },
            },
        )["launchRun"]
        return self._launched(result)

    def reexecute(self, run_id: str, steps: Sequence[str]) -> str:
        """Run some steps of a run again, on the outputs of the others; return the new run's id."""
        run = self.run(run_id)
        parents = {"parentRunId": run_id, "rootRunId": run["rootRunId"] or run_id}
        # The Dagster UI groups runs by these tags.
        tags = {
            "dagster/parent_run_id": parents["parentRunId"],
            "dagster/root_run_id": parents["rootRunId"],
        }
        result = self.query(
            queries.REEXECUTE,
            params={
                "selector": {**run["repositoryOrigin"], "jobName": run["jobName"]},
                "runConfigData": json.dumps(run["runConfig"]),
                "mode": "default",
                "stepKeys": list(steps),
                "executionMetadata": {
                    **parents,
                    "tags": [{"key": key, "value": value} for key, value in tags.items()],
                },
            },
        )["launchRunReexecution"]
        return self._launched(result)

    def _launched(self, result: Mapping[str, Any]) -> str:
        if result["__typename"] != "LaunchRunSuccess":
            raise GraphQLError(json.dumps(result, indent=1)[:4000])
        run_id = result["run"]["runId"]
        self.launched.append(run_id)
        return run_id

    def run(self, run_id: str) -> dict[str, Any]:
        """A run: status, times, tags, steps."""
        run = self.query(queries.RUN, runId=run_id)["runOrError"]
        if run["__typename"] != "Run":
            raise GraphQLError(f"no run {run_id}: {run['__typename']}")
        return run

    def status(self, run_id: str) -> str:
        """The run's status, as `STARTED`."""
        return self.run(run_id)["status"]

    def started(self, run_id: str, timeout: float = 90) -> None:
        """Wait until a run is running."""

        def is_started() -> bool | NotYet:
            status = self.status(run_id)
            if status in ENDED:
                raise AssertionError(f"run {run_id} has ended with {status}: {self.why(run_id)}")
            return status == "STARTED" or NotYet(status)

        until(is_started, timeout, f"run {run_id} to start")

    def finish(self, run_id: str, timeout: float = 180) -> str:
        """Wait until a run has ended; return `SUCCESS`, `FAILURE` or `CANCELED`."""

        def ended() -> str | NotYet:
            run = self.run(run_id)
            if run["status"] in ENDED:
                return run["status"]
            steps = {s["stepKey"]: s["status"] for s in run["stepStats"]}
            return NotYet(f"{run['status']}, steps {steps}")

        return until(ended, timeout, f"run {run_id} to end", interval=1)

    def succeed(self, run_id: str, timeout: float = 180) -> None:
        """Wait until a run has ended, and assert that it succeeded."""
        status = self.finish(run_id, timeout)
        assert status == SUCCESS, f"run {run_id} ended with {status}: {self.why(run_id)}"

    def why(self, run_id: str) -> str:
        """The errors of a run."""
        events = self.events(run_id)
        errors = [f"{e.kind} {e.step}: {e.message}\n{e.error}" for e in events if "FAIL" in e.kind]
        return "\n".join(errors)[:4000]

    def events(self, run_id: str) -> list[Event]:
        """The run's whole log, in order."""
        found: list[Event] = []
        cursor: str | None = None
        while True:
            page = self.query(queries.EVENTS, runId=run_id, cursor=cursor)["logsForRun"]
            if page["__typename"] != "EventConnection":
                raise GraphQLError(error_text(page))
            found += [_event(event) for event in page["events"]]
            cursor = page["cursor"]
            if not page["hasMore"]:
                return found

    def metadata(self, run_id: str, step: str) -> dict[str, Any]:
        """Metadata of a step's outputs, materializations and observations."""
        merged: dict[str, Any] = {}
        for event in self.events(run_id):
            if event.step == step and event.kind != "ENGINE_EVENT":
                merged |= event.metadata
        return merged

    def captured_logs(self, run_id: str, step: str) -> CapturedLogs:
        """Output of all attempts at a step."""
        stdout: list[str] = []
        stderr: list[str] = []
        for event in self.events(run_id):
            if event.kind == "LOGS_CAPTURED" and step in event.steps:
                answer = self.query(queries.CAPTURED, runId=run_id, fileKey=event.file_key)
                logs = answer["runOrError"]["capturedLogs"]
                stdout.append(logs["stdout"] or "")
                stderr.append(logs["stderr"] or "")
        return CapturedLogs("".join(stdout), "".join(stderr))

    def runs(self, limit: int = 100, **filters: Any) -> list[dict[str, Any]]:
        """Runs that match a `RunsFilter`, newest first."""
        return self.query(queries.RUNS, filter=filters, limit=limit)["runsOrError"]["results"]

    def runs_with_tag(self, key: str, value: str) -> list[dict[str, Any]]:
        """Runs that carry a tag; a run's automatic retries inherit its tags."""
        return self.runs(tags=[{"key": key, "value": value}])

    def family(self, run_id: str) -> list[dict[str, Any]]:
        """A run and its retries, oldest first."""
        group = self.query(queries.RUN_GROUP, runId=run_id)["runGroupOrError"]
        if group["__typename"] != "RunGroup":
            return [self.run(run_id)]
        return sorted(group["runs"], key=lambda run: run["creationTime"])

    def terminate(self, run_id: str) -> None:
        """Terminate a run, as the Dagster UI does."""
        result = self.query(queries.TERMINATE, runId=run_id)["terminateRun"]
        if result["__typename"] != "TerminateRunSuccess":
            raise GraphQLError(json.dumps(result, indent=1)[:4000])

    def delete_run(self, run_id: str) -> None:
        """Delete a run, as the Dagster UI does; its pods are not touched."""
        result = self.query(queries.DELETE_RUN, runId=run_id)["deleteRun"]
        if result["__typename"] != "DeletePipelineRunSuccess":
            raise GraphQLError(json.dumps(result, indent=1)[:4000])

    # --- Schedules, sensors, daemons ------------------------------------------------------------

    def daemons(self) -> dict[str, bool | None]:
        """Whether each required daemon is healthy, by its type."""
        health = self.query(queries.DAEMONS)["instance"]["daemonHealth"]["allDaemonStatuses"]
        return {d["daemonType"]: d["healthy"] for d in health if d["required"]}

    def start_schedule(self, location: str, name: str) -> None:
        """Switch a schedule on."""
        selector = {**self._repository(location), "scheduleName": name}
        _expect(
            self.query(queries.START_SCHEDULE, selector=selector)["startSchedule"], "ScheduleState"
        )

    def stop_schedule(self, location: str, name: str) -> None:
        """Switch a schedule off."""
        answer = self.query(queries.STOP_SCHEDULE, id=self._instigator(location, name)["id"])
        _expect(answer["stopRunningSchedule"], "ScheduleState")

    def start_sensor(self, location: str, name: str) -> None:
        """Switch a sensor on."""
        selector = {**self._repository(location), "sensorName": name}
        _expect(self.query(queries.START_SENSOR, selector=selector)["startSensor"], "Sensor")

    def stop_sensor(self, location: str, name: str) -> None:
        """Switch a sensor off."""
        answer = self.query(queries.STOP_SENSOR, id=self._instigator(location, name)["id"])
        _expect(answer["stopSensor"], "StopSensorMutationResult")

    def ticks(self, location: str, name: str) -> list[Tick]:
        """The last evaluations of a schedule or sensor, newest first."""
        return [
            Tick(
                tick["status"],
                tick["timestamp"],
                tuple(tick["runIds"]),
                tick["skipReason"] or "",
                tick["error"]["message"] if tick["error"] else "",
            )
            for tick in self._instigator(location, name)["ticks"]
        ]

    # --- Assets ---------------------------------------------------------------------------------

    def materializations(self, *key: str, limit: int = 50) -> list[dict[str, Any]]:
        """An asset's last materializations, newest first."""
        asset = self.query(queries.ASSET, key={"path": list(key)}, limit=limit)["assetOrError"]
        return [
            {**each, "metadata": _metadata(each)} for each in asset.get("assetMaterializations", [])
        ]

    def checks(self, asset: str) -> dict[str, Check]:
        """The checks of an asset's last materialization, by name."""
        node = self.query(queries.CHECKS, key={"path": [asset]})["assetNodeOrError"]
        return {
            check["name"]: _check(check["executionForLatestMaterialization"] or {})
            for check in node["assetChecksOrError"]["checks"]
        }

    def freshness(self, asset: str) -> str:
        """State of an asset's freshness policy: `HEALTHY`, `WARNING`, `DEGRADED`, …."""
        node = self.query(queries.FRESHNESS, key={"path": [asset]})["assetNodeOrError"]
        return node["freshnessStatusInfo"]["freshnessStatus"]

    def assets(self) -> dict[str, Asset]:
        """All assets of all code locations, by name."""
        return {
            "/".join(node["assetKey"]["path"]): Asset(
                location=node["repository"]["location"]["name"],
                upstream=frozenset("/".join(key["path"]) for key in node["dependencyKeys"]),
                downstream=frozenset("/".join(key["path"]) for key in node["dependedByKeys"]),
                description=node["description"] or "",
            )
            for node in self.query(queries.ASSETS)["assetNodes"]
        }

    def backfill(self, asset: str, partitions: Sequence[str]) -> str:
        """Launch a backfill of some partitions of an asset; return its id."""
        params = {"assetSelection": [{"path": [asset]}], "partitionNames": list(partitions)}
        answer = self.query(queries.LAUNCH_BACKFILL, params=params)["launchPartitionBackfill"]
        return _expect(answer, "LaunchBackfillSuccess")["backfillId"]

    def backfilled(self, backfill: str, timeout: float = 180) -> list[dict[str, Any]]:
        """Wait until a backfill has succeeded; return its runs."""

        def ended() -> bool | NotYet:
            answer = self.query(queries.BACKFILL, id=backfill)["partitionBackfillOrError"]
            status = _expect(answer, "PartitionBackfill")["status"]
            if "FAIL" in status:
                raise AssertionError(f"backfill {backfill}: {error_text(answer['error'])}")
            return status == "COMPLETED_SUCCESS" or NotYet(status)

        until(ended, timeout, f"backfill {backfill} to succeed", interval=1)
        return self.runs_with_tag("dagster/backfill", backfill)

    def _repository(self, location: str) -> dict[str, str]:
        return {
            "repositoryLocationName": location,
            "repositoryName": next(iter(self.loaded(location).jobs.values())),
        }

    def _instigator(self, location: str, name: str) -> dict[str, Any]:
        selector = {**self._repository(location), "name": name}
        state = self.query(queries.INSTIGATOR, selector=selector)["instigationStateOrError"]
        return _expect(state, "InstigationState")


def error_text(error: Mapping[str, Any] | None) -> str:
    """Message and stack of an error and of its causes."""
    lines: list[str] = []
    while error:
        lines += [f"{error.get('className')}: {error.get('message')}", *(error.get("stack") or [])]
        error = error.get("cause")
    return "\n".join(lines)


def _expect(answer: dict[str, Any], kind: str) -> dict[str, Any]:
    if not answer["__typename"].startswith(kind) or "NotFound" in answer["__typename"]:
        raise GraphQLError(json.dumps(answer, indent=1)[:4000])
    return answer


def _location(entry: Mapping[str, Any]) -> Location:
    content: Mapping[str, Any] = entry["locationOrLoadError"] or {"__typename": "none"}
    loaded = content["__typename"] == "RepositoryLocation"
    libraries = listed(content.get("dagsterLibraryVersions"))
    versions = {library["name"]: library["version"] for library in libraries}
    return Location(
        name=entry["name"],
        loaded=loaded and entry["loadStatus"] == "LOADED",
        error=error_text(content) if content["__typename"] == "PythonError" else "",
        dagster=versions.get("dagster", ""),
        jobs={
            job["name"]: repository["name"]
            for repository in listed(content.get("repositories"))
            for job in repository["jobs"]
        },
    )


def _event(event: Mapping[str, Any]) -> Event:
    return Event(
        kind=event.get("eventType") or "",
        step=event.get("stepKey") or "",
        message=event.get("message") or "",
        time=float(event.get("timestamp") or 0) / 1000,
        error=error_text(event.get("error")),
        metadata={
            **_metadata(event),
            **_metadata(event.get("failureMetadata")),
        },
        file_key=event.get("fileKey") or "",
        steps=tuple(event.get("stepKeys") or ()),
    )


def _check(execution: Mapping[str, Any]) -> Check:
    evaluation: Mapping[str, Any] = execution.get("evaluation") or {}
    return Check(
        execution.get("status", ""),
        execution.get("runId", ""),
        evaluation.get("description") or "",
        _metadata(evaluation),
    )


def _metadata(holder: Mapping[str, Any] | None) -> dict[str, Any]:
    """The metadata of an event, an evaluation or a materialization, by label."""
    entries = listed((holder or {}).get("metadataEntries"))
    return {entry["label"]: _value(entry) for entry in entries}


def _value(entry: Mapping[str, Any]) -> Any:
    if entry.get("jsonString") is not None:
        return json.loads(entry["jsonString"])
    if entry.get("intRepr") is not None:
        return int(entry["intRepr"])
    for key in ("floatValue", "boolValue", "text", "mdStr", "path", "url"):
        if entry.get(key) is not None:
            return entry[key]
    return None
