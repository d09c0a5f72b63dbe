"""Brings the web server's workspace up to date after `workspace.yaml` or a code server changed.

Dagster 1.13 rereads the file on the mutation `reloadWorkspace` and on nothing else. The mutation
asks every code server again, the unchanged ones too, one after the other: their processes are left
alone (`ReloadCode` of `dagster api grpc` only logs a warning) but a location that hangs holds the
others up. There is no gentler way for a location that is new or gone, so the web server is first
asked what it has, and told to reload only where that differs.
"""

import json
from collections.abc import Mapping
from typing import Any, Final, cast

import urllib3

from bulkhead.webserver_api.location import Location

_FIELDS: Final = """{
  __typename
  ... on Workspace { locationEntries { name displayMetadata { key value } } }
  ... on Error { message }
}"""
_QUERY: Final = f"query {{ answer: workspaceOrError {_FIELDS} }}"
_RELOAD: Final = f"mutation {{ answer: reloadWorkspace {_FIELDS} }}"

_RELOAD_LOCATION: Final = """mutation Reload($name: String!) {
  answer: reloadRepositoryLocation(repositoryLocationName: $name) {
    __typename
    ... on Error { message }
  }
}"""

QUERY_SECONDS: Final = 15.0
# Dagster gives each code server up to 180 s to load (code_server_reload_timeout's default); this
# bounds one attempt only: the web server goes on after it, and the next question sees what it did.
RELOAD_SECONDS: Final = 240.0


class WebServerError(Exception):
    """The web server did not answer, or not with a workspace."""


class WebServer:
    """Dagster's web server: whatever it is asked, and its workspace."""

    def __init__(self, url: str) -> None:
        """`url` is that of its GraphQL endpoint."""
        self._url = url
        self._pool = urllib3.PoolManager(maxsize=1, retries=False)

    def workspace(self) -> tuple[Location, ...]:
        """Return the locations that the web server knows, loaded or not, by name.

        Raises:
            WebServerError: No answer, or an error in place of one.
        """
        return self._ask(_QUERY, QUERY_SECONDS)

    def reload(self) -> tuple[Location, ...]:
        """Let the web server read its workspace file; return the locations it then knows.

        Raises:
            WebServerError: No answer, or an error in place of one.
        """
        return self._ask(_RELOAD, RELOAD_SECONDS)

    def reload_location(self, name: str) -> str:
        """Let the web server load one location anew; return what it says of that.

        Raises:
            WebServerError: No answer, or an error in place of one.
        """
        answer = self.answer(_RELOAD_LOCATION, RELOAD_SECONDS, {"name": name})
        said = str(answer.get("message") or answer.get("__typename"))
        if answer.get("__typename") == "PythonError":
            raise WebServerError(said)
        return said

    def answer(self, query: str, seconds: float, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Return the field of an answer that the query calls `answer`.

        Args:
            query: A query or mutation in which one field, an object, has that name.
            seconds: How long the web server may take.
            variables: Of the query.

        Raises:
            WebServerError: No answer, or not one of GraphQL with that object. An error in place of
                what was asked for is an object, too.
        """
        try:
            response = self._pool.request(
                "POST",
                self._url,
                json={"query": query, "variables": variables},
                timeout=urllib3.Timeout(connect=5, read=seconds),
            )
            body = json.loads(response.data)
            if body.get("errors") and not body.get("data"):
                raise WebServerError(f"{self._url} says: {body['errors'][0]['message']}")
            answer = body["data"]["answer"]
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise WebServerError(f"no answer from {self._url}: {type(error).__name__}") from error
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise self._no_graphql(error) from error
        if not isinstance(answer, dict):
            raise self._no_graphql(TypeError(f"answer is {answer!r}"))
        return cast("dict[str, Any]", answer)

    def _ask(self, query: str, seconds: float) -> tuple[Location, ...]:
        answer = self.answer(query, seconds, {})
        entries = answer.get("locationEntries")
        if entries is None:
            raise WebServerError(f"{answer.get('__typename')}: {answer.get('message')}")
        try:
            return tuple(sorted(_location(entry) for entry in entries))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._no_graphql(error) from error

    def _no_graphql(self, error: Exception) -> WebServerError:
        return WebServerError(f"{self._url} is not Dagster's GraphQL: {error!r}")


def _location(entry: dict[str, Any]) -> Location:
    metadata = {each["key"]: each["value"] for each in entry["displayMetadata"]}
    return Location(
        cast("str", entry["name"]), metadata.get("host", ""), int(metadata.get("port", 0))
    )
