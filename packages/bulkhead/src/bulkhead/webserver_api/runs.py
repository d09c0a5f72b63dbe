"""What the web server says of runs: it alone knows the database."""

from collections.abc import Collection
from typing import Final

from bulkhead.webserver_api.client import WebServer, WebServerError

# The limit is said although so many are asked for: Dagster has one of its own for those who don't,
# and a run that is left out for it would count as deleted.
_QUERY: Final = """query Statuses($ids: [String], $limit: Int) {
  answer: runsOrError(filter: {runIds: $ids}, limit: $limit) {
    __typename
    ... on Runs { results { runId status } }
    ... on Error { message }
  }
}"""
_BATCH: Final = 200
_SECONDS: Final = 15.0


def statuses(web_server: WebServer, run_ids: Collection[str]) -> dict[str, str]:
    """Return the status of each of these runs that is in the database, in Dagster's words.

    Raises:
        WebServerError: No answer, or an error in place of one; nothing is known then.
    """
    found: dict[str, str] = {}
    ids = sorted(run_ids)
    for start in range(0, len(ids), _BATCH):
        found |= _ask(web_server, ids[start : start + _BATCH])
    return found


def _ask(web_server: WebServer, ids: list[str]) -> dict[str, str]:
    answer = web_server.answer(_QUERY, _SECONDS, {"ids": ids, "limit": len(ids)})
    if answer.get("__typename") != "Runs":
        raise WebServerError(f"{answer.get('__typename')}: {answer.get('message')}")
    try:
        return {str(run["runId"]): str(run["status"]) for run in answer["results"]}
    except (KeyError, TypeError) as error:
        raise WebServerError(f"its answer is no list of runs: {error!r}") from error
