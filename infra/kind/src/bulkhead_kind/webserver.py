"""Requests to the platform's web server, which is reached with kubectl.

`kubectl --raw` uses the API server's service proxy. It works on any cluster that kubectl reaches,
and needs no port of this machine.
"""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

from bulkhead.kube.api import KubernetesApiError
from bulkhead.webserver_api import runs
from bulkhead.webserver_api.client import GraphQLClient
from bulkhead.webserver_api.transports import ProxyTransport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bulkhead.webserver_api.workspace import LoadStatus

RUN = """query Run($id: ID!) {
  run: runOrError(runId: $id) {
    __typename
    ... on Run {
      status
      startTime
      endTime
      stepStats { stepKey status startTime endTime }
    }
    ... on Error { message }
  }
}"""

_SHOWN_CHARACTERS = 200  # of output that is not JSON


class TimedOutError(Exception):
    """A run or a code location was not ready in time; `str()` has its state."""


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


@dataclass(frozen=True)
class Kubectl:
    """The API server, as `bulkhead.webserver_api.transports` uses it: with `kubectl --raw`.

    Attributes:
        command: kubectl with the options that select the cluster.
    """

    command: Sequence[str]

    def get(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        """Return the JSON at a path; raises KubernetesApiError with kubectl's message."""
        return self._run("get", "--raw", f"{path}?{urlencode(query)}")

    def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Post a GraphQL document, and return the JSON of the answer.

        `kubectl create --raw` sends no content type. Therefore the web server reads the document
        from the URL.

        Args:
            path: of the GraphQL endpoint.
            body: `query` and `variables`.

        Raises:
            KubernetesApiError: kubectl failed; it has kubectl's message.
        """
        parameters = {"query": body["query"], "variables": json.dumps(body["variables"])}
        return self._run("create", "-f", "-", "--raw", f"{path}?{urlencode(parameters)}")

    def _run(self, *arguments: str) -> dict[str, Any]:
        done = subprocess.run(
            [*self.command, *arguments], input="{}", capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise KubernetesApiError(done.stderr.strip())
        try:
            answer = json.loads(done.stdout)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            shown = done.stdout[:_SHOWN_CHARACTERS]
            raise KubernetesApiError(f"kubectl did not print a JSON object: {shown!r}")
        return cast("dict[str, Any]", answer)


def client(kubectl: Sequence[str], release: str, namespace: str) -> GraphQLClient:
    """Return the client of a release's web server.

    Args:
        kubectl: the command, with the options that select the cluster.
        release: name of the platform's release.
        namespace: of the release.
    """
    return GraphQLClient(ProxyTransport(Kubectl(kubectl), release, namespace))


def state(status: LoadStatus) -> str:
    """Return a code location's state: `loaded`, `loading`, or its load error."""
    if status.error is not None:
        return status.error
    return "loading" if status.is_loading else "loaded"


def finished(client: GraphQLClient, run_id: str, *, timeout: float) -> RunResult:
    """Wait until a run has ended.

    Args:
        client: sends queries to the web server.
        run_id: what `runs.launch` returned.
        timeout: in seconds.

    Raises:
        TimedOutError: the run did not end in time; the message has its status.
        WebServerError: the web server does not respond, or does not know the run.
    """
    deadline = time.monotonic() + timeout
    while True:
        run = client.member(client.execute(RUN, {"id": run_id}), "run", "Run")
        if run["status"] in runs.ENDED:
            return _result(run_id, run)
        if time.monotonic() > deadline:
            raise TimedOutError(
                f"Run {run_id} is {run['status']} after {timeout:.0f} s. "
                f"See /runs/{run_id} in the Dagster UI."
            )
        time.sleep(1)


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
