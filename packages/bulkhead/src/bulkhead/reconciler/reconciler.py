"""The parts put together: Jobs and runs in, deletions and Events out."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bulkhead import names
from bulkhead.kube.api import KubernetesApi
from bulkhead.reconciler import leftovers
from bulkhead.reconciler.leftovers import Leftover
from bulkhead.reconciler.step_jobs import Failures, StepJobs
from bulkhead.service import events
from bulkhead.service.events import KubernetesEvent
from bulkhead.service.health_server import HealthServer
from bulkhead.service.heartbeat import Heartbeat, health
from bulkhead.service.retried import RetriedFailures
from bulkhead.webserver_api import runs
from bulkhead.webserver_api.client import GraphQLClient
from bulkhead.webserver_api.errors import WebServerError
from bulkhead.webserver_api.transports import DirectTransport

REMOVED: Final = "LeftoverRemoved"
_COMPONENT: Final = "bulkhead-reconciler"

# A check sends many requests, and the timeout of each is far below this.
_HANGS_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of `bulkhead reconcile`; times in seconds."""

    registry: str
    namespace: str
    graphql: str
    interval: float = 15.0
    grace: float = 30.0
    port: int = names.RECONCILER_PORT


class Reconciler:
    """Checks regularly for steps that outlived their run; one instance per process."""

    def __init__(self, api: KubernetesApi, settings: Settings) -> None:
        """Prepare; `run` begins.

        Raises:
            OSError: The port is in use.
        """
        self._api = api
        self._settings = settings
        self._client = GraphQLClient(DirectTransport(settings.graphql))
        self._heartbeat = Heartbeat("check", seconds=settings.interval + _HANGS_SECONDS)
        self._jobs = StepJobs(api, settings.registry, settings.namespace, self._heartbeat.beat)
        self._since: Mapping[str, float] = {}
        self._failures = RetriedFailures()
        self._checked = False
        self._unwritten: list[KubernetesEvent] = []
        self._stopped = threading.Event()
        self._health = HealthServer(settings.port, readiness=self.readiness, health=self.health)

    @property
    def port(self) -> int:
        """The port of `/readyz` and `/healthz`."""
        return self._health.port

    def run(self) -> None:
        """Work until `stop` is called.

        An error of the API or the web server is logged and retried. Any other error is a mistake in
        this program and ends it.
        """
        self._health.start()
        try:
            while not self._stopped.is_set():
                self._check()
                self._checked = True
                self._stopped.wait(self._settings.interval)
        finally:
            self._health.stop()

    def stop(self) -> None:
        """Let `run` return after the current check."""
        self._stopped.set()

    def readiness(self) -> tuple[bool, dict[str, Any]]:
        """Answer `/readyz`: did everything answer in the last check."""
        ready = self._checked and not self._failures
        return ready, {
            "ready": ready,
            "retrying": self._failures.lines,
            "suspected": len(self._since),
        }

    def health(self) -> tuple[bool, Mapping[str, Any]]:
        """Answer `/healthz`: does it still check."""
        return health([self._heartbeat], self._failures.lines)

    def _check(self) -> None:
        """Check every Job once, and remove those that are due.

        The grace period of a Job that could not be checked starts again.
        """
        now = time.monotonic()
        failures: Failures = {}
        judgement = leftovers.judge(self._find(failures), self._since, now, self._settings.grace)
        self._since = judgement.since
        for each in judgement.due:
            if self._stopped.is_set():
                break
            if self._jobs.remove(each, failures):
                self._unwritten.append(_event(each))
        self._unwritten = [each for each in self._unwritten if not self._write(each)]
        self._failures.update(failures)

    def _find(self, failures: Failures) -> tuple[Leftover, ...]:
        """Return the leftovers of all namespaces that answer; none if the runs are unknown."""
        # The Jobs are listed before the runs are queried: see `leftovers`.
        jobs = self._jobs.at_work(failures)
        if not jobs:
            return ()
        self._heartbeat.beat()
        try:
            statuses = runs.statuses(self._client, {job.run_id for job in jobs})
        except WebServerError as error:
            failures["web server"] = str(error)
            return ()
        return leftovers.find(jobs, statuses)

    def _write(self, event: KubernetesEvent) -> bool:
        self._heartbeat.beat()
        return events.write(self._api, event, _COMPONENT)


def _event(leftover: Leftover) -> KubernetesEvent:
    job = leftover.job
    return KubernetesEvent(
        api_version="batch/v1",
        kind="Job",
        namespace=job.namespace,
        name=job.name,
        uid=job.uid,
        resource_version=job.resource_version,
        reason=REMOVED,
        message=leftover.message,
    )
