"""Requests to the Dagster UI and to code servers, all the time, while something else happens."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Self

from bulkhead.webserver_api.errors import WebServerError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from bulkhead.webserver_api.client import GraphQLClient

INTERVAL = 0.2
"""Seconds between two requests about the same code location."""

# The web server passes this on to the code server each time.
PLAN = """
query Plan($location: String!, $repository: String!, $job: String!) {
  executionPlanOrError(
    pipeline: {
      repositoryLocationName: $location, repositoryName: $repository, pipelineName: $job
    }
    mode: "default"
    runConfigData: {}
  ) {
    __typename
    ... on Error { message }
  }
}
"""


class Probe:
    """Asks each code location for the plan of a job, in a thread each, in a `with` block."""

    def __init__(self, client: GraphQLClient, jobs: Mapping[str, tuple[str, str]]) -> None:
        """Prepare.

        Args:
            client: Of the web server.
            jobs: Repository and job by code location.
        """
        self._client = client
        self._jobs = jobs
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(location,), daemon=True) for location in jobs
        ]
        self.answers = 0
        self.failures: list[str] = []

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, location: str) -> None:
        repository, job = self._jobs[location]
        variables = {"location": location, "repository": repository, "job": job}
        while not self._stopped.is_set():
            at = time.strftime("%H:%M:%S")
            try:
                answer: dict[str, Any] = self._client.execute(PLAN, variables)
                found = answer["executionPlanOrError"]
            except WebServerError as error:
                self.failures.append(f"{at} {location}: {error}")
            else:
                self.answers += 1
                if found["__typename"] != "ExecutionPlan":
                    self.failures.append(f"{at} {location}: {found}")
            self._stopped.wait(INTERVAL)
