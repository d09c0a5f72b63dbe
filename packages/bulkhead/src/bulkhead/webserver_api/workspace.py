"""The code locations that the web server knows.

Dagster 1.13 reads `workspace.yaml` again only for the mutation `reloadWorkspace`. This mutation
contacts every code server, one after the other, also those that did not change. Their processes
keep running (`ReloadCode` of `dagster api grpc` only logs a warning), but a code server that does
not respond delays the others. There is no other way for a location that is new or gone. So compare
`locations` first, and reload only where they differ.
"""

from dataclasses import dataclass
from typing import Any, Final, cast

from bulkhead.webserver_api.client import GraphQLClient

# Dagster gives each code server up to 180 s to load (code_server_reload_timeout's default). This
# limits one attempt: the web server continues after it, and the next query shows the result.
RELOAD_SECONDS: Final = 240.0

_ENTRIES: Final = """{
  __typename
  ... on Workspace { locationEntries { name displayMetadata { key value } } }
  ... on Error { message }
}"""

LOCATIONS: Final = f"query Locations {{ workspace: workspaceOrError {_ENTRIES} }}"

RELOAD: Final = f"mutation ReloadWorkspace {{ workspace: reloadWorkspace {_ENTRIES} }}"

RELOAD_LOCATION: Final = """mutation ReloadLocation($name: String!) {
  location: reloadRepositoryLocation(repositoryLocationName: $name) {
    __typename
    ... on Error { message }
  }
}"""

# The name of Dagster's exception for a code server that does not respond.
_UNREACHABLE: Final = "DagsterUserCodeUnreachableError"

LOAD_STATUSES: Final = """query LoadStatuses {
  workspace: workspaceOrError {
    __typename
    ... on Workspace {
      locationEntries {
        name
        loadStatus
        updatedTimestamp
        displayMetadata { key value }
        locationOrLoadError {
          __typename
          ... on PythonError { className message causes { message } }
        }
      }
    }
    ... on Error { message }
  }
}"""


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """One entry of the workspace: a code server that Dagster may contact."""

    name: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class LoadStatus:
    """Whether the web server has loaded a code location."""

    error: str | None
    """Why it could not be loaded: Dagster's message, then those of the causes, one a line."""
    is_loading: bool
    updated: float
    """When this changed last, in seconds since the epoch."""
    image: str | None = None
    """The image that the code server reports; None where the location has a load error."""
    is_unreachable: bool = False
    """Whether the error is that the code server did not respond. Dagster retries this by itself."""

    @property
    def is_loaded(self) -> bool:
        """Whether it is loaded without an error."""
        return self.error is None and not self.is_loading


def locations(client: GraphQLClient) -> tuple[Location, ...]:
    """Return the locations that the web server knows, loaded or not, in the order of their names.

    Raises:
        WebServerError: No answer, or an error instead.
    """
    return _read_locations(client, client.execute(LOCATIONS))


def reload(client: GraphQLClient) -> tuple[Location, ...]:
    """Let the web server read its workspace file; return the locations that it knows then.

    Raises:
        WebServerError: No answer, or an error instead.
    """
    return _read_locations(client, client.execute(RELOAD, timeout=RELOAD_SECONDS))


def reload_location(client: GraphQLClient, name: str) -> None:
    """Let the web server load one location again.

    The location may have a load error afterwards: see `load_statuses`.

    Raises:
        ReportedError: The web server does not know the location, or failed.
        WebServerError: No answer.
    """
    data = client.execute(RELOAD_LOCATION, {"name": name}, RELOAD_SECONDS)
    client.member(data, "location", "WorkspaceLocationEntry")


def load_statuses(client: GraphQLClient) -> dict[str, LoadStatus]:
    """Return whether each location is loaded, by name.

    Raises:
        WebServerError: No answer, or an error instead.
    """
    workspace = client.member(client.execute(LOAD_STATUSES), "workspace", "Workspace")
    try:
        return {str(each["name"]): _load_status(each) for each in workspace["locationEntries"]}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise client.unexpected(workspace) from error


def _read_locations(client: GraphQLClient, data: dict[str, Any]) -> tuple[Location, ...]:
    workspace = client.member(data, "workspace", "Workspace")
    try:
        return tuple(sorted(_location(entry) for entry in workspace["locationEntries"]))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise client.unexpected(workspace) from error


def _metadata(entry: dict[str, Any]) -> dict[str, str]:
    return {each["key"]: each["value"] for each in entry["displayMetadata"]}


def _location(entry: dict[str, Any]) -> Location:
    metadata = _metadata(entry)
    return Location(str(entry["name"]), metadata.get("host", ""), int(metadata.get("port", 0)))


def _load_status(entry: dict[str, Any]) -> LoadStatus:
    result = cast("dict[str, Any]", entry["locationOrLoadError"] or {})
    failed = result.get("__typename") == "PythonError"
    causes = cast("list[dict[str, Any]]", result["causes"]) if failed else []
    messages = [result["message"], *(each["message"] for each in causes)] if failed else []
    return LoadStatus(
        error="\n".join(str(each).strip() for each in messages) if failed else None,
        is_loading=entry["loadStatus"] != "LOADED",
        updated=float(entry["updatedTimestamp"]),
        image=_metadata(entry).get("image"),
        is_unreachable=failed and result.get("className") == _UNREACHABLE,
    )
