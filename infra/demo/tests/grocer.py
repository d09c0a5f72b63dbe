"""A fake web server of the grocer: answers the demo's queries as Dagster does, and runs nothing.

Each query of the snapshot moves the runs on by one step: a queued run starts, a started run ends,
and automation, if its sensor runs, starts a run for what is out of date.
"""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from bulkhead.webserver_api import runs, workspace
from bulkhead.webserver_api.errors import NoAnswerError
from bulkhead_demo import observed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

OPENED = ("shop_database", "users", "campaigns", "offline_orders")

ASSETS = {
    "shop_database": ("ingestion", ()),
    "users": ("ingestion", ("shop_database",)),
    "campaigns": ("ingestion", ()),
    "offline_orders": ("ingestion", ("users",)),
    "orders": ("ingestion", ("shop_database",)),
    "orders_cleaned": ("analytics", ("orders", "offline_orders")),
    "users_augmented": ("analytics", ("users", "orders_cleaned")),
    "daily_order_summary": ("analytics", ("orders_cleaned",)),
    "user_weeks": ("analytics", ("orders_cleaned",)),
    "order_forecast_model": ("ml", ("daily_order_summary",)),
    "predicted_orders": ("ml", ("order_forecast_model",)),
    "next_week_shoppers": ("ml", ("user_weeks",)),
    "store_flyer": ("ml", ("predicted_orders",)),
    "stocks": ("hello", ()),
}
"""Each asset's code location and upstream assets; those of analytics and ml are automatic.
`hello` is another team's, outside the grocer."""

JOBS = {
    "open_the_shop": OPENED,
    "load_orders": ("orders",),
    "load_offline_orders": ("offline_orders",),
    "trade": ("stocks",),
}

METADATA: dict[str, dict[str, Any]] = {
    "orders": {"dagster/row_count": 155_848, "rows loaded": 155_848},
    "daily_order_summary": {"dagster/row_count": 365},
    "order_forecast_model": {"mape": 4.3, "naive_mape": 5.6},
    "next_week_shoppers": {"auc": 0.82, "recency_auc": 0.7, "frequency_auc": 0.73},
    "predicted_orders": {
        "next_week": [
            {"order_date": f"2018-01-0{day}", "orders": 400.0 + day} for day in range(1, 8)
        ]
    },
}


@dataclass
class FakeRun:
    """A run; times are seconds since 1970."""

    id: str
    location: str
    job: str
    selected: tuple[str, ...]
    status: str = "QUEUED"
    created: float = field(default_factory=time.time)
    started: float | None = None
    ended: float | None = None

    @property
    def assets(self) -> tuple[str, ...]:
        return self.selected or JOBS[self.job]


@dataclass
class Grocer:
    """The web server, as the transport of a client; its fields say what goes wrong.

    Attributes:
        is_up: whether it answers.
        load_errors: error by code location.
        fails: an asset whose run fails.
        hangs: an asset whose run never ends.
        stopped: code locations whose automation sensor is stopped.
        inactive: code locations whose automation sensor runs and starts no run.
        keeps_history: whether the history of assets cannot be deleted.
        rejected: description of the check of dropped files; the check fails if it is not empty.
        unusual: description of the check of the last days, which fails if it is not empty; it has
            no result while its run is in progress.
        events: more events of a run, by asset.
    """

    is_up: bool = True
    load_errors: dict[str, str] = field(default_factory=dict)
    fails: str | None = None
    hangs: str | None = None
    stopped: set[str] = field(default_factory=set)
    inactive: set[str] = field(default_factory=set)
    keeps_history: bool = False
    rejected: str = ""
    unusual: str = ""
    events: dict[str, str] = field(default_factory=dict)
    launched: list[dict[str, Any]] = field(default_factory=list)
    runs: list[FakeRun] = field(default_factory=list)
    materialized: dict[str, tuple[float, str]] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def address(self) -> str:
        return "the grocer"

    def send(self, document: str, variables: Mapping[str, Any], timeout: float) -> object:
        del timeout
        if not self.is_up:
            raise NoAnswerError(f"{self.address} does not answer: ConnectionRefusedError")
        answers: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            workspace.LOAD_STATUSES: self._locations,
            runs.LAUNCH: self._launch,
            observed.SNAPSHOT: self._snapshot,
            observed.CREATED: self._created,
            observed.SENSORS: self._sensors,
            observed.START_SENSOR: self._start_sensor,
            observed.DELETE_HISTORY: self._delete_history,
            runs.events_document(observed.EVENT_FIELDS): self._events,
            observed.FIGURES: self._figures,
        }
        return {"data": answers[document](variables)}

    def begin(self, location: str, job: str, selected: tuple[str, ...] = ()) -> FakeRun:
        run = FakeRun(f"run-{next(self._numbers)}", location, job, selected)
        self.runs.append(run)
        return run

    def _locations(self, _: Mapping[str, Any]) -> dict[str, Any]:
        entries: list[dict[str, Any]] = []
        for name in ("ingestion", "analytics", "ml"):
            error = self.load_errors.get(name)
            failed: dict[str, Any] = {"__typename": "PythonError", "message": error, "causes": []}
            entries.append(
                {
                    "name": name,
                    "loadStatus": "LOADED",
                    "updatedTimestamp": 1.0,
                    "displayMetadata": [],
                    "locationOrLoadError": failed
                    if error
                    else {"__typename": "RepositoryLocation"},
                }
            )
        return {"workspace": {"__typename": "Workspace", "locationEntries": entries}}

    def _launch(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        params = variables["params"]
        self.launched.append(params)
        selector = params["selector"]
        selected = tuple(each["path"][0] for each in selector.get("assetSelection", []))
        run = self.begin(selector["repositoryLocationName"], selector["jobName"], selected)
        return {"launch": {"__typename": "LaunchRunSuccess", "run": {"runId": run.id}}}

    def _snapshot(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        self._advance()
        results = [_shown(run) for run in self.runs if run.created > variables["since"]]
        return {
            "runsOrError": {"results": results[::-1]},
            "assetNodes": [self._node(name) for name in ASSETS],
        }

    def _node(self, name: str) -> dict[str, Any]:
        location, upstream = ASSETS[name]
        when, run_id = self.materialized.get(name, (0.0, ""))
        materialization = {"timestamp": str(int(when * 1000)), "runId": run_id}
        return {
            "assetKey": {"path": [name]},
            "repository": {"location": {"name": location}},
            "dependencyKeys": [{"path": [each]} for each in upstream],
            "jobNames": ["__ASSET_JOB", *(job for job, made in JOBS.items() if name in made)],
            "automationCondition": {"label": "eager"} if location in {"analytics", "ml"} else None,
            "assetMaterializations": [materialization] if run_id else [],
        }

    def _created(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        (run,) = [run for run in self.runs if run.id == variables["id"]]
        return {"runOrError": {"creationTime": run.created}}

    def _sensors(self, _: Mapping[str, Any]) -> dict[str, Any]:
        entries: list[dict[str, Any]] = [
            {
                "name": name,
                "locationOrLoadError": {
                    "repositories": [
                        {
                            "sensors": [
                                {
                                    "name": f"follow_{name}",
                                    "sensorType": "AUTOMATION",
                                    "sensorState": {
                                        "status": "STOPPED" if name in self.stopped else "RUNNING"
                                    },
                                }
                            ]
                        }
                    ]
                },
            }
            for name in ("analytics", "ml", "hello")
        ]
        entries.append({"name": "broken", "locationOrLoadError": None})
        return {"workspaceOrError": {"locationEntries": entries}}

    def _start_sensor(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        self.stopped.discard(variables["sensor"]["repositoryLocationName"])
        return {"startSensor": {"__typename": "Sensor"}}

    def _delete_history(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        if self.keeps_history:
            return {"wipeAssets": {"__typename": "UnauthorizedError", "message": "read only"}}
        for selector in variables["assets"]:
            del self.materialized[selector["assetKey"]["path"][0]]
        return {"wipeAssets": {"__typename": "AssetWipeSuccess"}}

    def _events(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        (run,) = [run for run in self.runs if run.id == variables["run"]]
        events: list[dict[str, Any]] = [
            {"__typename": "EngineEvent", "message": self.events[name], "stepKey": name}
            for name in run.assets
            if name in self.events
        ]
        if run.status == "FAILURE":
            error = {"message": "Error in op", "causes": [{"message": "ValueError: no eggs\nnone"}]}
            events.append(
                {
                    "__typename": "ExecutionStepFailureEvent",
                    "message": "failed",
                    "stepKey": self.fails,
                    "error": error,
                }
            )
        page = {"__typename": "EventConnection", "cursor": "1", "hasMore": False}
        return {"log": {**page, "events": events}}

    def _figures(self, _: Mapping[str, Any]) -> dict[str, Any]:
        return {"assetNodes": [self._figures_of(name) for name in ASSETS]}

    def _figures_of(self, name: str) -> dict[str, Any]:
        checks: list[dict[str, Any]] = []
        if name == "offline_orders" and name in self.materialized:
            evaluation = {"description": self.rejected, "severity": "ERROR"}
            status = "FAILED" if self.rejected else "SUCCEEDED"
            execution = {"status": status, "evaluation": evaluation}
            checks.append(
                {"name": "every_row_is_readable", "executionForLatestMaterialization": execution}
            )
        if name == "daily_order_summary" and self.unusual:
            is_over = all(run.status in runs.ENDED for run in self.runs if name in run.assets)
            evaluation = {"description": self.unusual, "severity": "WARN"}
            execution = {"status": "FAILED", "evaluation": evaluation} if is_over else None
            checks.append(
                {"name": "daily_orders_look_usual", "executionForLatestMaterialization": execution}
            )
        if name == "stocks":
            checks.append({"name": "prices_are_there", "executionForLatestMaterialization": None})
        entries = [_entry(label, value) for label, value in METADATA.get(name, {}).items()]
        return {
            "assetKey": {"path": [name]},
            "repository": {"location": {"name": ASSETS[name][0]}},
            "partitionKeys": ["2017-11", "2017-12"] if ASSETS[name][0] == "ml" else [],
            "assetMaterializations": [{"metadataEntries": entries}]
            if name in self.materialized
            else [],
            "assetChecksOrError": {"checks": checks},
        }

    def _advance(self) -> None:
        for run in self.runs:
            if run.status == "QUEUED":
                run.status, run.started = "STARTED", time.time()
            elif run.status == "STARTED" and self.hangs not in run.assets:
                run.status = "FAILURE" if self.fails in run.assets else "SUCCESS"
                run.ended = time.time()
                for name in run.assets if run.status == "SUCCESS" else ():
                    self.materialized[name] = (self._tick(), run.id)
        if all(run.status in runs.ENDED for run in self.runs):
            self._automate()

    def _tick(self) -> float:
        """Return the time; two materializations are never in the same millisecond."""
        time.sleep(0.002)
        return time.time()

    def _automate(self) -> None:
        for location in ("analytics", "ml"):
            if location in self.stopped | self.inactive:
                continue
            late: list[str] = []
            for name, (where, upstream) in ASSETS.items():
                if where != location:
                    continue
                if not all(each in self.materialized or each in late for each in upstream):
                    continue
                mine = self.materialized.get(name, (0.0, ""))[0]
                newest = max(self.materialized.get(each, (0.0, ""))[0] for each in upstream)
                if newest > mine or set(upstream) & set(late):
                    late.append(name)
            if late:
                self.begin(location, "__ASSET_JOB", tuple(late))
                return


def _shown(run: FakeRun) -> dict[str, Any]:
    return {
        "runId": run.id,
        "jobName": run.job,
        "status": run.status,
        "creationTime": run.created,
        "startTime": run.started,
        "endTime": run.ended,
        "assetSelection": [{"path": [name]} for name in run.selected] or None,
        "tags": [],
        "repositoryOrigin": {"repositoryLocationName": run.location},
    }


def _entry(label: str, value: Any) -> dict[str, Any]:
    if isinstance(value, int):
        return {"label": label, "intRepr": str(value)}
    if isinstance(value, list):
        rows = cast("list[object]", value)
        return {"label": label, "table": {"records": [json.dumps(row) for row in rows]}}
    return {"label": label, "floatValue": value}
