"""Whether Dagster's daemons are alive."""

from dataclasses import dataclass
from typing import Final

from bulkhead.webserver_api.client import GraphQLClient

DAEMONS: Final = """query Daemons {
  instance {
    daemonHealth {
      allDaemonStatuses {
        daemonType required healthy lastHeartbeatTime lastHeartbeatErrors { message }
      }
    }
  }
}"""


@dataclass(frozen=True, slots=True)
class Daemon:
    """One loop of `dagster-daemon`."""

    kind: str
    """Dagster's name for it, such as `SCHEDULER`."""
    required: bool
    """Whether this installation needs it."""
    healthy: bool
    last_heartbeat: float | None
    """In seconds since the epoch; None where there was none yet."""
    errors: tuple[str, ...] = ()


def daemons(client: GraphQLClient) -> tuple[Daemon, ...]:
    """Return the state of every daemon.

    Raises:
        WebServerError: No answer, or an error instead.
    """
    data = client.execute(DAEMONS)
    try:
        return tuple(
            Daemon(
                kind=str(each["daemonType"]),
                required=bool(each["required"]),
                healthy=bool(each["healthy"]),
                last_heartbeat=each["lastHeartbeatTime"],
                errors=tuple(str(error["message"]) for error in each["lastHeartbeatErrors"] or ()),
            )
            for each in data["instance"]["daemonHealth"]["allDaemonStatuses"]
        )
    except (LookupError, TypeError) as error:
        raise client.unexpected(data) from error
