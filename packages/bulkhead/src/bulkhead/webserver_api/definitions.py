"""What a loaded code location defines: its assets, and the schedules and sensors that run.

Each request is about one location, so an answer has the size of one. The fields exist in Dagster
1.12 and 1.13.
"""

from dataclasses import dataclass
from typing import Any, Final, cast

from bulkhead.webserver_api.client import TIMEOUT_SECONDS, GraphQLClient

ASSETS: Final = """query Assets($location: String!) {
  location: workspaceLocationEntryOrError(name: $location) {
    __typename
    ... on WorkspaceLocationEntry {
      locationOrLoadError {
        __typename
        ... on RepositoryLocation {
          repositories { assetNodes { isExecutable assetKey { path } dependencyKeys { path } } }
        }
      }
    }
    ... on Error { message }
  }
}"""

RUNNING: Final = """query Running($location: String!) {
  location: workspaceLocationEntryOrError(name: $location) {
    __typename
    ... on WorkspaceLocationEntry {
      locationOrLoadError {
        __typename
        ... on RepositoryLocation {
          repositories {
            schedules { name scheduleState { status } }
            sensors { name sensorState { status } }
          }
        }
      }
    }
    ... on Error { message }
  }
}"""


@dataclass(frozen=True, slots=True)
class Asset:
    """An asset of a code location, or one of another location that it depends on."""

    key: str
    """The parts of the key with slashes between them, such as `shop/orders`."""
    dependencies: tuple[str, ...]
    """The keys of the assets that it depends on."""
    is_executable: bool
    """Whether the location materializes or observes it. One that it only mentions is not."""


@dataclass(frozen=True, slots=True)
class Running:
    """The schedules and sensors of a code location that run now, in the order of their names."""

    schedules: tuple[str, ...]
    sensors: tuple[str, ...]


def assets(
    client: GraphQLClient, location: str, timeout: float = TIMEOUT_SECONDS
) -> tuple[Asset, ...] | None:
    """Return the assets of a code location; None where it is not loaded.

    Args:
        client: The web server.
        location: The name of the code location.
        timeout: How many seconds the web server may take.

    Raises:
        WebServerError: No answer, or an error instead.
    """
    data = client.execute(ASSETS, {"location": location}, timeout)
    repositories = _repositories(client, data)
    if repositories is None:
        return None
    try:
        return tuple(
            Asset(
                key=_key(node["assetKey"]),
                dependencies=tuple(_key(each) for each in node["dependencyKeys"]),
                is_executable=bool(node["isExecutable"]),
            )
            for repository in repositories
            for node in repository["assetNodes"]
        )
    except (LookupError, TypeError) as error:
        raise client.unexpected(data) from error


def running(
    client: GraphQLClient, location: str, timeout: float = TIMEOUT_SECONDS
) -> Running | None:
    """Return the schedules and sensors of a location that run now; None where it is not loaded.

    Raises:
        WebServerError: No answer, or an error instead.
    """
    data = client.execute(RUNNING, {"location": location}, timeout)
    repositories = _repositories(client, data)
    if repositories is None:
        return None
    try:
        return Running(
            schedules=_running(repositories, "schedules", "scheduleState"),
            sensors=_running(repositories, "sensors", "sensorState"),
        )
    except (LookupError, TypeError) as error:
        raise client.unexpected(data) from error


def _repositories(client: GraphQLClient, data: dict[str, Any]) -> tuple[dict[str, Any], ...] | None:
    entry = client.member(data, "location", "WorkspaceLocationEntry")
    location = cast("dict[str, Any]", entry.get("locationOrLoadError") or {})
    if location.get("__typename") != "RepositoryLocation":
        return None
    return tuple(location.get("repositories") or ())


def _key(value: dict[str, Any]) -> str:
    return "/".join(value["path"])


def _running(repositories: tuple[dict[str, Any], ...], kind: str, state: str) -> tuple[str, ...]:
    return tuple(
        sorted(
            str(each["name"])
            for repository in repositories
            for each in repository[kind]
            if each[state]["status"] == "RUNNING"
        )
    )
