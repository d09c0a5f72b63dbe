"""workspace-sync: registry and Services in, `workspace.yaml` and a reload of the web server out."""

import logging
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bulkhead import names
from bulkhead.discovery import workspace
from bulkhead.discovery.changes import Changes
from bulkhead.discovery.load_reporter import LoadReporter
from bulkhead.discovery.namespaces import Namespaces
from bulkhead.discovery.registry_follower import RegistryFollower
from bulkhead.discovery.reloader import Reloader
from bulkhead.discovery.rollouts import Rollouts
from bulkhead.discovery.workspace import Plan, Refusal
from bulkhead.discovery.workspace_file import WorkspaceFile
from bulkhead.kube.api import KubernetesApi
from bulkhead.service.events import EventWriter, KubernetesEvent
from bulkhead.service.health_server import HealthServer
from bulkhead.service.heartbeat import Heartbeat, health
from bulkhead.webserver_api.client import GraphQLClient
from bulkhead.webserver_api.transports import DirectTransport

_log = logging.getLogger(__name__)

REFUSED: Final = "CodeLocationRefused"
_COMPONENT: Final = "bulkhead-workspace-sync"

# At the start every namespace is listed before the first file is written, so that the web server
# starts with all of its locations. A namespace that does not respond delays this no longer.
_FIRST_ANSWERS_SECONDS: Final = 5.0
_IDLE_SECONDS: Final = 15.0
_RETRY_WRITE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of `bulkhead workspace-sync`."""

    registry: str
    namespace: str
    output: Path
    reload_url: str | None = None
    port: int = names.WORKSPACE_SYNC_PORT
    pod: str = field(default_factory=socket.gethostname)


class WorkspaceSync:
    """Keeps `workspace.yaml` and the web server up to date; one instance per process."""

    def __init__(self, api: KubernetesApi, settings: Settings) -> None:
        """Prepare; `run` begins.

        Raises:
            OSError: The port is in use.
        """
        self._changes = Changes()
        self._registry = RegistryFollower(api, settings.registry, settings.namespace, self._changes)
        self._reloader: Reloader | None = None
        self._reporter: LoadReporter | None = None
        self._rollouts: Rollouts | None = None
        if settings.reload_url:
            # A client for each of the two threads: its transport keeps one connection.
            reloader = Reloader(GraphQLClient(DirectTransport(settings.reload_url)))
            client = GraphQLClient(DirectTransport(settings.reload_url))
            reporter = LoadReporter(api, client, settings.pod)

            def on_rollout(location: str) -> None:
                reloader.reload_location(location)
                reporter.hurry()

            self._rollouts = Rollouts(lambda: self._registry.registrations, on_rollout)
            self._reloader, self._reporter = reloader, reporter
        self._namespaces = Namespaces(api, self._changes, self._rollouts)
        self._file = WorkspaceFile(settings.output)
        self._planned = False
        self._refused: frozenset[tuple[str, str]] = frozenset()
        self._heartbeat = Heartbeat("workspace", seconds=8 * _IDLE_SECONDS)
        self._events = EventWriter(api, _COMPONENT)
        self._health = HealthServer(settings.port, readiness=self.readiness, health=self.health)

    @property
    def port(self) -> int:
        """The port of `/readyz` and `/healthz`."""
        return self._health.port

    @property
    def watched(self) -> frozenset[str]:
        """The namespaces that are watched now."""
        return self._namespaces.watched

    def run(self) -> None:
        """Work until `stop` is called.

        An error of the API, the disk or the web server is logged and retried. Any other error is a
        mistake in this program and ends it.
        """
        self._health.start()
        self._events.start()
        self._registry.watcher.start()
        if self._reloader is not None:
            self._reloader.start()
            if self._file.exists:
                self._reloader.want(self._file.locations)
        if self._reporter is not None:
            self._reporter.start()
        try:
            while self._changes.wait(self._timeout()):
                self._heartbeat.beat()
                self._reconcile()
        finally:
            self._events.stop()
            if self._reloader is not None:
                self._reloader.stop()
            if self._reporter is not None:
                self._reporter.stop()
            self._registry.watcher.stop()
            self._namespaces.stop()
            self._health.stop()

    def stop(self) -> None:
        """Let `run` return."""
        self._changes.stop()

    def readiness(self) -> tuple[bool, dict[str, Any]]:
        """Answer `/readyz`: is there a workspace that the web server can start with.

        A file that an earlier container of this pod left counts. While the API does not answer, it
        is the best one, and without readiness the Dagster UI would not answer either.
        """
        locations = [each.name for each in self._file.locations]
        return self._file.exists, {"ready": self._file.exists, "locations": locations}

    def health(self) -> tuple[bool, Any]:
        """Answer `/healthz`: does every thread work."""
        watchers = [self._registry.watcher, *self._namespaces.watchers]
        heartbeats = [
            self._heartbeat,
            self._events.heartbeat,
            *(each.heartbeat for each in watchers),
        ]
        retrying = [f"{each.heartbeat.name}: {each.failure}" for each in watchers if each.failure]
        if self._reloader is not None:
            heartbeats.append(self._reloader.heartbeat)
            if self._reloader.failure:
                retrying.append(f"web server: {self._reloader.failure}")
        if self._reporter is not None:
            heartbeats += self._reporter.heartbeats
            retrying += self._reporter.retrying
        return health(heartbeats, retrying)

    def _timeout(self) -> float:
        """Return after how many seconds to try again what could not be done."""
        if self._registry.registrations is None:
            return _IDLE_SECONDS
        if not self._may_plan():
            return max(0.0, self._registry.since + _FIRST_ANSWERS_SECONDS - time.monotonic())
        return _RETRY_WRITE_SECONDS if self._file.failure else _IDLE_SECONDS

    def _may_plan(self) -> bool:
        """Return whether every namespace answered, or was waited for."""
        waited = time.monotonic() - self._registry.since
        return self._planned or self._namespaces.have_answered() or waited >= _FIRST_ANSWERS_SECONDS

    def _reconcile(self) -> None:
        self._registry.update()
        events = [self._registry.event] if self._registry.event is not None else []
        registrations = self._registry.registrations
        if registrations is not None:
            self._namespaces.watch({each.namespace for each in registrations.values()})
            if self._reporter is not None:
                self._reporter.report_to({n: each.namespace for n, each in registrations.items()})
            if self._may_plan():
                self._planned = True
                plan = workspace.plan(
                    registrations, self._namespaces.services, self._file.locations
                )
                self._log_refusals(plan)
                if self._file.write(plan.locations) and self._reloader is not None:
                    self._reloader.want(plan.locations)
                events += [_event(each) for each in plan.refusals]
        self._events.replace(events)

    def _log_refusals(self, plan: Plan) -> None:
        for each in plan.refusals:
            if (each.service.uid, each.message) not in self._refused:
                _log.warning("refused: %s", each.message)
        self._refused = frozenset((each.service.uid, each.message) for each in plan.refusals)


def _event(refusal: Refusal) -> KubernetesEvent:
    service = refusal.service
    return KubernetesEvent(
        kind="Service",
        namespace=service.namespace,
        name=service.name,
        uid=service.uid,
        resource_version=service.resource_version,
        reason=REFUSED,
        message=refusal.message,
    )
