"""Launches runs; reads their statuses and events. Only the web server knows the database."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from bulkhead.webserver_api.client import GraphQLClient
from bulkhead.webserver_api.errors import ReportedError

ENDED: Final = frozenset({"SUCCESS", "FAILURE", "CANCELED"})
"""Statuses that a run keeps: a new attempt is a new run."""

# The limit is given although it equals the number of ids: without it Dagster applies its own, and
# a run that this leaves out would count as deleted.
STATUSES: Final = """query Statuses($ids: [String], $limit: Int) {
  runs: runsOrError(filter: { runIds: $ids }, limit: $limit) {
    __typename
    ... on Runs { results { runId status } }
    ... on Error { message }
  }
}"""

_LAUNCHED: Final = """{
  __typename
  ... on LaunchRunSuccess { run { runId } }
  ... on RunConfigValidationInvalid { errors { message } }
  ... on Error { message }
}"""

LAUNCH: Final = f"""mutation Launch($params: ExecutionParams!) {{
  launch: launchRun(executionParams: $params) {_LAUNCHED}
}}"""

REEXECUTE: Final = f"""mutation Reexecute($params: ReexecutionParams!) {{
  launch: launchRunReexecution(reexecutionParams: $params) {_LAUNCHED}
}}"""

RUN: Final = """query Run($id: ID!) {
  run: runOrError(runId: $id) {
    __typename
    ... on Run {
      jobName
      status
      tags { key value }
      repositoryOrigin { repositoryLocationName repositoryName }
    }
    ... on Error { message }
  }
}"""

JOB_TAGS: Final = """query JobTags($job: PipelineSelector!) {
  job: pipelineOrError(params: $job) {
    __typename
    ... on Pipeline { tags { key value } }
    ... on Error { message }
  }
}"""

_BATCH: Final = 200
_RUNS_PER_PAGE: Final = 100
_EVENTS_PER_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class Run:
    """A run, and the job that it is of."""

    run_id: str
    location: str
    repository: str
    job: str
    status: str
    tags: Mapping[str, str]
    """Also those that the platform sets, but not Dagster's hidden ones."""


def statuses(client: GraphQLClient, run_ids: Collection[str]) -> dict[str, str]:
    """Return the status of each of these runs that is in the database, as Dagster names it.

    Raises:
        WebServerError: No answer, or an error instead. No status is known then.
    """
    found: dict[str, str] = {}
    ids = sorted(run_ids)
    for start in range(0, len(ids), _BATCH):
        batch = ids[start : start + _BATCH]
        data = client.execute(STATUSES, {"ids": batch, "limit": len(batch)})
        results = _results(client, data)
        try:
            found |= {str(run["runId"]): str(run["status"]) for run in results}
        except (LookupError, TypeError) as error:
            raise client.unexpected(results) from error
    return found


def run(client: GraphQLClient, run_id: str) -> Run:
    """Return a run.

    Raises:
        ReportedError: `type_name` is `RunNotFoundError` where the run is not in the database.
        WebServerError: No answer.
    """
    found = client.member(client.execute(RUN, {"id": run_id}), "run", "Run")
    try:
        origin = found["repositoryOrigin"]
        return Run(
            run_id=run_id,
            location=str(origin["repositoryLocationName"]),
            repository=str(origin["repositoryName"]),
            job=str(found["jobName"]),
            status=str(found["status"]),
            tags=_tags(found),
        )
    except (LookupError, TypeError) as error:
        raise client.unexpected(found) from error


def job_tags(client: GraphQLClient, of: Run) -> dict[str, str]:
    """Return the tags of the job of a run, as the code that is live now defines it.

    Raises:
        ReportedError: The job is not there any more, or its code location has a load error.
        WebServerError: No answer.
    """
    selector = {
        "repositoryLocationName": of.location,
        "repositoryName": of.repository,
        "pipelineName": of.job,
    }
    found = client.member(client.execute(JOB_TAGS, {"job": selector}), "job", "Pipeline")
    try:
        return _tags(found)
    except (LookupError, TypeError) as error:
        raise client.unexpected(found) from error


def newest(
    client: GraphQLClient,
    *,
    most: int,
    fields: str = "status",
    filters: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Return the newest runs, the newest first.

    Args:
        client: The web server.
        most: The largest number of runs.
        fields: Fields of `Run` in the schema that each run has beside its `runId`.
        filters: A `RunsFilter` of the schema; all runs without one.

    Raises:
        WebServerError: No answer, or an error instead.
    """
    document = newest_document(fields)
    found: list[dict[str, Any]] = []
    while len(found) < most:
        variables = {
            "filter": dict(filters or {}),
            "cursor": found[-1]["runId"] if found else None,
            "limit": min(_RUNS_PER_PAGE, most - len(found)),
        }
        page = _results(client, client.execute(document, variables))
        if not page:
            break
        found += page
    return found


def newest_document(fields: str) -> str:
    """Return the query of `newest`."""
    return f"""query NewestRuns($filter: RunsFilter, $cursor: String, $limit: Int) {{
  runs: runsOrError(filter: $filter, cursor: $cursor, limit: $limit) {{
    __typename
    ... on Runs {{ results {{ runId {fields} }} }}
    ... on Error {{ message }}
  }}
}}"""


def events(
    client: GraphQLClient, run_id: str, fields: str, fragments: str = ""
) -> Iterator[dict[str, Any]]:
    """Return the events of a run, in the order of its log.

    Args:
        client: The web server.
        run_id: The run.
        fields: Selections on `DagsterRunEvent` of the schema, for example
            `... on MessageEvent { message timestamp stepKey }`.
        fragments: Definitions of the fragments that `fields` names.

    Raises:
        ReportedError: `type_name` is `RunNotFoundError` where the run is not in the database.
        WebServerError: No answer, or another error.
    """
    document = events_document(fields, fragments)
    cursor: str | None = None
    while True:
        variables = {"run": run_id, "cursor": cursor, "limit": _EVENTS_PER_PAGE}
        page = client.member(client.execute(document, variables), "log", "EventConnection")
        try:
            yield from page["events"]
            cursor, has_more = page["cursor"], page["hasMore"]
        except (LookupError, TypeError) as error:
            raise client.unexpected(page) from error
        if not has_more:
            return


def events_document(fields: str, fragments: str = "") -> str:
    """Return the query of `events`."""
    return f"""query Events($run: ID!, $cursor: String, $limit: Int) {{
  log: logsForRun(runId: $run, afterCursor: $cursor, limit: $limit) {{
    __typename
    ... on EventConnection {{ cursor hasMore events {{ __typename {fields} }} }}
    ... on Error {{ message }}
  }}
}}
{fragments}"""


def launch(
    client: GraphQLClient,
    location: str,
    job: str,
    *,
    repository: str = "__repository__",
    assets: Sequence[str] = (),
    config: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
) -> str:
    """Launch a job, or some assets of it; return the id of the run.

    Args:
        client: The web server.
        location: The code location.
        job: A job of it.
        repository: The repository with the job. Dagster gives this default name to `Definitions`.
        assets: The assets to materialize; without them, all of the job.
        config: The configuration of the run.
        tags: The tags of the run.

    Raises:
        ReportedError: The job is unknown, or its configuration is not valid.
        WebServerError: No answer.
    """
    selector = {
        "repositoryLocationName": location,
        "repositoryName": repository,
        "jobName": job,
        **({"assetSelection": [{"path": [name]} for name in assets]} if assets else {}),
    }
    run_tags = [{"key": key, "value": value} for key, value in (tags or {}).items()]
    params = {
        "selector": selector,
        "runConfigData": dict(config or {}),
        "executionMetadata": {"tags": run_tags},
    }
    data = client.execute(LAUNCH, {"params": params})
    return _launched(client, data, f"job {job} of code location {location}")


def reexecute(
    client: GraphQLClient,
    of: Run,
    *,
    from_failure: bool = False,
    tags: Mapping[str, str] | None = None,
) -> str:
    """Launch the job of a run again, with the run's configuration; return the id of the new run.

    Args:
        client: The web server.
        of: The run. It is the parent of the new one, which gets its tags.
        from_failure: Only the steps that failed, and those after them.
        tags: More tags; they take precedence.

    Raises:
        ReportedError: The job is unknown, or its configuration is not valid any more, or no step
            failed.
        WebServerError: No answer.
    """
    params = {
        "parentRunId": of.run_id,
        "strategy": "FROM_FAILURE" if from_failure else "ALL_STEPS",
        "extraTags": [{"key": key, "value": value} for key, value in (tags or {}).items()],
        "useParentRunTags": True,
    }
    data = client.execute(REEXECUTE, {"params": params})
    return _launched(client, data, f"run {of.run_id} of job {of.job}")


def _tags(found: Mapping[str, Any]) -> dict[str, str]:
    return {str(each["key"]): str(each["value"]) for each in found["tags"]}


def _launched(client: GraphQLClient, data: dict[str, Any], what: str) -> str:
    try:
        run = client.member(data, "launch", "LaunchRunSuccess")
    except ReportedError as error:
        errors = cast("list[dict[str, Any]]", data["launch"].get("errors") or [])
        reported = "; ".join(str(each["message"]) for each in errors) or error.reported
        raise ReportedError(
            f"{what} was not launched: {reported}", reported, error.type_name
        ) from error
    try:
        return str(run["run"]["runId"])
    except (LookupError, TypeError) as error:
        raise client.unexpected(run) from error


def _results(client: GraphQLClient, data: dict[str, Any]) -> list[dict[str, Any]]:
    runs = client.member(data, "runs", "Runs")
    results = runs.get("results")
    if not isinstance(results, list):
        raise client.unexpected(runs)
    return cast("list[dict[str, Any]]", results)
