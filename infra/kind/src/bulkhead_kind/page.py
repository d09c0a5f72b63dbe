"""GraphQL to a web server of Dagster: to the platform's, through the Kubernetes API.

`kubectl create --raw` posts to the API server's service proxy, so this works on any cluster that
kubectl reaches, without a port of this machine. It names no content type, so the query travels in
the URL, where the web server looks for it then.
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


class PageError(RuntimeError):
    """The web server did not do what was asked; the message says what it answered."""


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
    """A web server of Dagster, however it is reached."""

    @abstractmethod
    def query(self, document: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Answer `data` of a GraphQL document.

        Raises:
            PageError: the web server could not be reached, or refused the document.
        """

    def locations(self) -> dict[str, str]:
        """Each code location in the workspace: `loaded`, `loading`, or its load error."""
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
            location: the code location.
            job: of it.
            assets: names of those to materialize; all of the job's without.
            config: the run's configuration; the default without.
            tags: of the run.

        Raises:
            PageError: the job is unknown, or its configuration is not valid.
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
            said = answer.get("message", answer["__typename"])
            said = "; ".join(error["message"] for error in answer.get("errors", [])) or said
            raise PageError(f"job {job} of code location {location} was not launched: {said}")
        return answer["run"]["runId"]

    def finished(self, run_id: str, *, limit: float) -> RunResult:
        """Wait until the run has ended.

        Args:
            run_id: what `launch` returned.
            limit: seconds to wait at most.

        Raises:
            PageError: the run had not ended by then; the message says how far it was.
        """
        deadline = time.monotonic() + limit
        while True:
            run = self.query(RUN, {"id": run_id})["runOrError"]
            if run.get("status") in FINISHED:
                return _result(run_id, run)
            if time.monotonic() > deadline:
                raise PageError(
                    f"run {run_id} is {run.get('status')} after {limit:.0f} s; "
                    f"look at it in the page under /runs/{run_id}"
                )
            time.sleep(1)


@dataclass(frozen=True)
class Page(WebServer):
    """The web server of one release, reached with one kubectl."""

    kubectl: Sequence[str]
    namespace: str = "bulkhead"
    release: str = "bulkhead"

    def query(self, document: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Answer `data` of a GraphQL document.

        What reads is sent with GET: while it passes on a request that has a body, the API server's
        proxy may break the answer off (https://github.com/golang/go/issues/40747).

        Raises:
            PageError: the web server could not be reached, or refused the document.
        """
        path = (
            f"/api/v1/namespaces/{self.namespace}/services/"
            f"{self.release}-webserver:http/proxy/graphql"
        )
        words = urlencode({"query": document, "variables": json.dumps(variables or {})})
        changes = document.lstrip().startswith("mutation")
        how = ["create", "-f", "-"] if changes else ["get"]
        asked = subprocess.run(
            [*self.kubectl, *how, "--raw", f"{path}?{words}"],
            input="{}",
            capture_output=True,
            text=True,
            check=False,
        )
        if asked.returncode != 0:
            raise PageError(f"the web server did not answer at {path}: {asked.stderr.strip()}")
        return data(asked.stdout)


def data(text: str) -> dict[str, Any]:
    """The data of a web server's answer; raises PageError where it is a refusal."""
    answer = json.loads(text)
    if answer.get("errors"):
        raise PageError(f"the web server refused the query: {answer['errors'][0]['message']}")
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
