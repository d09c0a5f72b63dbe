"""The parts put together: Jobs and runs in, deletions and Events out."""

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bulkhead import names
from bulkhead.discovery import workspace
from bulkhead.discovery.workspace import RegistryError
from bulkhead.kube.api import KubernetesApi, KubernetesApiError
from bulkhead.reconciler import leftovers
from bulkhead.reconciler.leftovers import Leftover, StepJob
from bulkhead.service.events import Notice, event
from bulkhead.service.health import HealthServer, Pulse
from bulkhead.webserver_api import runs
from bulkhead.webserver_api.client import WebServer, WebServerError

_log = logging.getLogger(__name__)

REMOVED: Final = "LeftoverRemoved"
_COMPONENT: Final = "bulkhead-reconciler"

# Jobs of steps that have not succeeded. A Job that has failed stays in the list until its time to
# live is over: the API has no field to select it by.
_SELECTOR: Final = {
    "labelSelector": f"{names.RUN_ID_LABEL},{names.STEP_KEY_LABEL}",
    "fieldSelector": "status.successful=0",
}
# A Job is some 10 kB of JSON, of which little is kept: small pages, little memory.
_PAGE: Final = 100
# A look is many requests, and each has a limit far below this.
_HANGS_SECONDS: Final = 300.0

_FORBIDDEN: Final = 403
_SERVER_ERROR: Final = 500
_NOT_THERE: Final = frozenset({404, 409})
"""Answers to a deletion: gone already, or another Job has the name now."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What `bulkhead reconcile` is told; times in seconds."""

    registry: str
    namespace: str
    graphql: str
    interval: float = 15.0
    grace: float = 30.0
    port: int = names.RECONCILER_PORT


class Reconciler:
    """Looks again and again for steps that have outlived their run; one instance per process."""

    def __init__(self, api: KubernetesApi, settings: Settings) -> None:
        """Prepare; `run` begins.

        Raises:
            OSError: The port is taken.
        """
        self._api = api
        self._settings = settings
        self._web_server = WebServer(settings.graphql)
        self._since: Mapping[str, float] = {}
        self._trouble: Mapping[str, str] = {}
        self._looked = False
        self._untold: list[Notice] = []
        self._stopped = threading.Event()
        self._pulse = Pulse("looks", seconds=settings.interval + _HANGS_SECONDS)
        self._health = HealthServer(settings.port, readiness=self.readiness, health=self.health)

    @property
    def port(self) -> int:
        """The port of `/readyz` and `/healthz`."""
        return self._health.port

    def run(self) -> None:
        """Work until `stop` is called.

        An error of the API or the web server is logged and tried again; anything else is a mistake
        in this program and ends it.
        """
        self._health.start()
        try:
            while not self._stopped.is_set():
                self._look()
                self._looked = True
                self._stopped.wait(self._settings.interval)
        finally:
            self._health.stop()

    def stop(self) -> None:
        """Let `run` return after the look that it is at."""
        self._stopped.set()

    def readiness(self) -> tuple[bool, dict[str, Any]]:
        """Answer `/readyz`: did the last look see everything."""
        trouble = self._trouble
        ready = self._looked and not trouble
        return ready, {"ready": ready, "trouble": _lines(trouble), "suspected": len(self._since)}

    def health(self) -> tuple[bool, dict[str, Any]]:
        """Answer `/healthz`: does it still look. `trouble` is for people, and harmless."""
        ill = [self._pulse.illness] if self._pulse.illness else []
        return not ill, {"healthy": not ill, "ill": ill, "trouble": _lines(self._trouble)}

    def _look(self) -> None:
        """Look at every Job once, and remove what is due.

        What can't be seen is not judged, and begins anew when it is seen again.
        """
        now = time.monotonic()
        trouble: dict[str, str] = {}
        found = self._find(trouble)
        judgement = leftovers.judge(found, self._since, now, self._settings.grace)
        self._since = judgement.since
        for each in judgement.due:
            if self._stopped.is_set():
                break
            self._remove(each, trouble)
        self._untold = [each for each in self._untold if not self._tell(each)]
        self._note(trouble)

    def _find(self, trouble: dict[str, str]) -> tuple[Leftover, ...]:
        """Return the leftovers of all namespaces that answer; none where the runs are unknown."""
        jobs: list[StepJob] = []
        for namespace in self._namespaces(trouble):
            jobs.extend(self._step_jobs(namespace, trouble))
        if not jobs:
            return ()
        self._pulse.beat()
        try:
            statuses = runs.statuses(self._web_server, {job.run_id for job in jobs})
        except WebServerError as error:
            trouble["web server"] = str(error)
            return ()
        return leftovers.find(jobs, statuses)

    def _namespaces(self, trouble: dict[str, str]) -> list[str]:
        """Return the namespaces of the registered code locations."""
        registry, namespace = self._settings.registry, self._settings.namespace
        self._pulse.beat()
        try:
            config_map = self._api.get(f"/api/v1/namespaces/{namespace}/configmaps/{registry}", {})
            text = (config_map.get("data") or {}).get(names.REGISTRY_CONFIG_KEY, "")
            registered = workspace.read_registry(text).values()
        except (KubernetesApiError, RegistryError) as error:
            trouble[f"ConfigMap {registry} in namespace {namespace}"] = str(error)
            return []
        return sorted({each.namespace for each in registered})

    def _step_jobs(self, namespace: str, trouble: dict[str, str]) -> list[StepJob]:
        """Return the Jobs of a namespace that may have a pod at work, if it answers."""
        try:
            return list(self._read_jobs(namespace))
        except KubernetesApiError as error:
            advice = f" ({_advice_on_role(namespace)})" if error.status == _FORBIDDEN else ""
            trouble[f"Jobs in namespace {namespace}"] = f"{error}{advice}"
            return []

    def _read_jobs(self, namespace: str) -> Iterator[StepJob]:
        self._pulse.beat()
        path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        for page in self._api.pages(path, _SELECTOR, size=_PAGE):
            self._pulse.beat()
            jobs = (_read_job(item) for item in page.get("items") or [])
            yield from (job for job in jobs if job is not None)

    def _remove(self, leftover: Leftover, trouble: dict[str, str]) -> None:
        """Delete a Job with its pod; people are told of it next."""
        job = leftover.job
        self._pulse.beat()
        try:
            self._api.delete(
                f"/apis/batch/v1/namespaces/{job.namespace}/jobs/{job.name}", uid=job.uid
            )
        except KubernetesApiError as error:
            if error.status not in _NOT_THERE:
                trouble[f"Job {job.name} in namespace {job.namespace}"] = str(error)
            return
        _log.info("%s (Job %s in namespace %s)", leftover.message, job.name, job.namespace)
        self._untold.append(
            Notice(
                api_version="batch/v1",
                kind="Job",
                namespace=job.namespace,
                name=job.name,
                uid=job.uid,
                resource_version=job.resource_version,
                reason=REMOVED,
                message=leftover.message,
            )
        )

    def _tell(self, notice: Notice) -> bool:
        """Write an Event; return False where another attempt may succeed."""
        self._pulse.beat()
        try:
            self._api.create(
                f"/api/v1/namespaces/{notice.namespace}/events", event(notice, _COMPONENT)
            )
        except KubernetesApiError as error:
            if error.status is None or error.status >= _SERVER_ERROR:
                return False
            _log.warning("event refused: Job %s/%s: %s", notice.namespace, notice.name, error)
        return True

    def _note(self, trouble: Mapping[str, str]) -> None:
        """Log what is newly wrong and what is right again, not all of it with each look."""
        for what, reason in trouble.items():
            if what not in self._trouble:
                _log.warning("%s: %s; trying again", what, reason)
        for what in self._trouble.keys() - trouble.keys():
            _log.info("answers again: %s", what)
        self._trouble = trouble


def _read_job(item: Mapping[str, Any]) -> StepJob | None:
    try:
        return leftovers.read_job(item)
    except (KeyError, TypeError, AttributeError) as error:
        raise KubernetesApiError(f"an item of the answer is not a Job: {str(item)[:80]}") from error


def _advice_on_role(namespace: str) -> str:
    return (
        f"Role {names.LAUNCHER_ROLE} in namespace {namespace} is not there yet, or not bound to "
        "this pod's service account; `helm upgrade` of the platform makes both"
    )


def _lines(trouble: Mapping[str, str]) -> list[str]:
    return [f"{what}: {reason}" for what, reason in trouble.items()]
