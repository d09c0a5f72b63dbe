"""A client of Dagster's web server; the platform's is reached through the Kubernetes API.

`kubectl --raw` uses the API server's service proxy. It works on any cluster that kubectl reaches,
and needs no port of this machine. `kubectl create --raw` sends no content type, so the web server
reads the query from the URL.
"""

from __future__ import annotations

import json
import subprocess
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on Error { message }
  }
}"""

LOCATIONS = """
{ workspaceOrError { ... on Workspace { locationEntries {
  name
  locationOrLoadError { __typename ... on PythonError { message } }
} } } }"""

RUN = """
query Run($id: ID!) {
  runOrError(runId: $id) {
    ... on Run {
      status
      startTime
      endTime
      stepStats { stepKey status startTime endTime }
    }
  }
}"""

FINISHED = frozenset({"SUCCESS", "FAILURE", "CANCELED"})


class WebServerError(RuntimeError):
    """A request to the web server failed; the message has its answer."""


@dataclass(frozen=True)
class StepResult:
    """One step of a finished run; `seconds` from its start to its end."""

    key: str
    status: str
    seconds: float


@dataclass(frozen=True)
class RunResult:
    """A finished run; `seconds` from the run's start to its end."""

    run_id: str
    status: str
    seconds: float
    steps: tuple[StepResult, ...]


class WebServer(ABC):
    """Dagster's web server, which serves the Dagster UI and GraphQL."""

    @abstractmethod
    def query(self, document: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the `data` of the answer to a GraphQL document.

        Raises:
            WebServerError: the web server cannot be reached, or rejects the document.
        """

    def locations(self) -> dict[str, str]:
        """Return each code location's state: `loaded`, `loading`, or its load error."""
        entries = self.query(LOCATIONS)["workspaceOrError"]["locationEntries"]
        return {entry["name"]: _state(entry["locationOrLoadError"]) for entry in entries}

    def launch(
        self,
        location: str,
        job: str,
        *,
        assets: Sequence[str] = (),
        config: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Launch a job, or some assets of it; returns the run's id.

        Args:
            location: name of the code location.
            job: name of a job in it.
            assets: names of the assets to materialize; empty: all assets of the job.
            config: configuration of the run; None: the default.
            tags: tags of the run.

        Raises:
            WebServerError: the job is unknown, or its configuration is not valid.
        """
        selector = {
            "repositoryLocationName": location,
            "repositoryName": "__repository__",
            "jobName": job,
            **({"assetSelection": [{"path": [name]} for name in assets]} if assets else {}),
        }
        run_tags = [{"key": key, "value": value} for key, value in (tags or {}).items()]
        params = {
            "selector": selector,
            "runConfigData": config or {},
            "executionMetadata": {"tags": run_tags},
        }
        answer = self.query(LAUNCH, {"params": params})["launchRun"]
        if answer["__typename"] != "LaunchRunSuccess":
            reason = answer.get("message", answer["__typename"])
            reason = "; ".join(error["message"] for error in answer.get("errors", [])) or reason
            raise WebServerError(
                f"Job {job} of code location {location} was not launched: {reason}"
            )
        return answer["run"]["runId"]

    def finished(self, run_id: str, *, timeout: float) -> RunResult:
        """Wait until the run has ended.

        Args:
            run_id: what `launch` returned.
            timeout: in seconds.

        Raises:
            WebServerError: the run did not end in time; the message has its status.
        """
        deadline = time.monotonic() + timeout
        while True:
            run = self.query(RUN, {"id": run_id})["runOrError"]
            if run.get("status") in FINISHED:
                return _result(run_id, run)
            if time.monotonic() > deadline:
                raise WebServerError(
                    f"Run {run_id} is {run.get('status')} after {timeout:.0f} s. "
                    f"See /runs/{run_id} in the Dagster UI."
                )
            time.sleep(1)


@dataclass(frozen=True)
class ClusterWebServer(WebServer):
    """The web server of a release on a cluster, reached through kubectl."""

    kubectl: Sequence[str]
    namespace: str = "bulkhead"
    release: str = "bulkhead"

    def query(self, document: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the `data` of the answer to a GraphQL document.

        Queries are sent with GET. For a request with a body, the API server's proxy can cut the
        answer off (https://github.com/golang/go/issues/40747).

        Raises:
            WebServerError: the web server cannot be reached, or rejects the document.
        """
        path = (
            f"/api/v1/namespaces/{self.namespace}/services/"
            f"{self.release}-webserver:http/proxy/graphql"
        )
        parameters = urlencode({"query": document, "variables": json.dumps(variables or {})})
        changes = document.lstrip().startswith("mutation")
        how = ["create", "-f", "-"] if changes else ["get"]
        done = subprocess.run(
            [*self.kubectl, *how, "--raw", f"{path}?{parameters}"],
            input="{}",
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise WebServerError(f"The web server did not answer at {path}: {done.stderr.strip()}")
        return data(done.stdout)


def data(text: str) -> dict[str, Any]:
    """Return the data of a web server's answer; raises WebServerError when it holds errors."""
    answer = json.loads(text)
    if answer.get("errors"):
        raise WebServerError(f"The web server rejected the query: {answer['errors'][0]['message']}")
    return answer["data"]


def _state(entry: dict[str, Any] | None) -> str:
    if entry is None:
        return "loading"
    if entry["__typename"] == "PythonError":
        return str(entry["message"])
    return "loaded"


def _result(run_id: str, run: dict[str, Any]) -> RunResult:
    steps = tuple(
        StepResult(
            step["stepKey"],
            step["status"] or "NOT RUN",
            (step["endTime"] or 0) - (step["startTime"] or step["endTime"] or 0),
        )
        for step in sorted(run["stepStats"], key=lambda step: step["startTime"] or float("inf"))
    )
    return RunResult(run_id, run["status"], (run["endTime"] or 0) - (run["startTime"] or 0), steps)
