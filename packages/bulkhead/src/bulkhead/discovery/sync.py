"""The parts put together: registry and Services in, `workspace.yaml` and a reload out."""

import logging
import os
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bulkhead import names
from bulkhead.discovery import code_servers, workspace
from bulkhead.discovery.code_servers import CodeServers
from bulkhead.discovery.collection import Collection
from bulkhead.discovery.reloader import Reloader
from bulkhead.discovery.workspace import Claim, Plan, Refusal, Registration
from bulkhead.kube.api import KubernetesApi
from bulkhead.service.events import Notice, Reporter
from bulkhead.service.health import HealthServer, Pulse
from bulkhead.webserver_api.client import WebServer
from bulkhead.webserver_api.location import Location

_log = logging.getLogger(__name__)

REFUSED: Final = "CodeLocationRefused"
REGISTRY_UNREADABLE: Final = "CodeLocationRegistryUnreadable"
REGISTRY_MISSING: Final = "CodeLocationRegistryMissing"

# Changes come in bursts (helm upgrades several objects): wait until they pause, but not for long.
_QUIET_SECONDS: Final = 0.2
_LONGEST_BURST_SECONDS: Final = 1.0
# At the start every namespace is heard before the first file is written, so that the web server
# starts with all of its locations; one that does not answer holds nobody up for longer.
_FIRST_ANSWERS_SECONDS: Final = 5.0
_IDLE_SECONDS: Final = 15.0
_RETRY_WRITE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What `bulkhead workspace-sync` is told."""

    registry: str
    namespace: str
    output: Path
    reload_url: str | None = None
    port: int = names.WORKSPACE_SYNC_PORT


@dataclass(frozen=True, slots=True)
class _Registry:
    """The registry's ConfigMap as far as it matters."""

    uid: str
    resource_version: str
    text: str


class WorkspaceSync:
    """Follows the registry and the Services of its namespaces; one instance per process."""

    def __init__(self, api: KubernetesApi, settings: Settings) -> None:
        """Prepare; `run` begins.

        Raises:
            OSError: The port is taken.
        """
        self._api = api
        self._settings = settings
        self._changed = threading.Condition()
        self._dirty = False
        self._stopped = False

        self._registry: _Registry | None = None
        self._registry_answered = False
        self._registrations: dict[str, Registration] | None = None
        self._registry_notice: Notice | None = None
        self._registrations_since = 0.0
        self._watchers: dict[str, Collection[Claim]] = {}
        self._slice_watchers: dict[str, Collection[CodeServers]] = {}
        self._pods: dict[tuple[str, str], frozenset[str]] = {}  # namespace, location → pods' uids
        self._claims: dict[str, tuple[Claim, ...]] = {}
        self._heard: set[str] = set()

        self._locations, self._written = _last_known(settings.output)
        self._planned = False
        self._write_failed = False
        self._refused: frozenset[tuple[str, str]] = frozenset()

        self._pulse = Pulse("workspace", seconds=8 * _IDLE_SECONDS)
        self._reporter = Reporter(api)
        self._reloader = Reloader(WebServer(settings.reload_url)) if settings.reload_url else None
        self._registry_watcher = Collection(
            api,
            what=f"ConfigMap {settings.registry} in namespace {settings.namespace}",
            path=f"/api/v1/namespaces/{settings.namespace}/configmaps",
            selector={"fieldSelector": f"metadata.name={settings.registry}"},
            parse=_read_config_map,
            on_change=self._take_registry,
            on_failure=lambda: None,
            advice_when_forbidden=(
                f"the platform's chart lets this pod read ConfigMap {settings.registry}; "
                "look at its Role and RoleBinding"
            ),
        )
        self._health = HealthServer(settings.port, readiness=self.readiness, health=self.health)

    @property
    def port(self) -> int:
        """The port of `/readyz` and `/healthz`."""
        return self._health.port

    @property
    def watched(self) -> frozenset[str]:
        """The namespaces that are watched now."""
        with self._changed:
            return frozenset(self._watchers)

    def run(self) -> None:
        """Work until `stop` is called.

        An error of the API, the disk or the web server is logged and tried again; anything else
        is a mistake in this program and ends it.
        """
        self._health.start()
        self._reporter.start()
        self._registry_watcher.start()
        if self._reloader is not None:
            self._reloader.start()
            if self._written is not None:
                self._reloader.want(self._locations)
        try:
            while self._wait_for_change():
                self._pulse.beat()
                self._reconcile()
        finally:
            self._reporter.stop()
            if self._reloader is not None:
                self._reloader.stop()
            self._registry_watcher.stop()
            for watcher in [*self._watchers.values(), *self._slice_watchers.values()]:
                watcher.stop()
            self._health.stop()

    def stop(self) -> None:
        """Let `run` return."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def readiness(self) -> tuple[bool, dict[str, Any]]:
        """Answer `/readyz`: is there a workspace that the web server can start with.

        One that this container's predecessor left in the pod counts: while the API is away it is
        the best there is, and a pod that is not ready would take the page away as well.
        """
        ready = self._written is not None
        return ready, {"ready": ready, "locations": [each.name for each in self._locations]}

    def health(self) -> tuple[bool, dict[str, Any]]:
        """Answer `/healthz`: does every thread move. `trouble` is for people, and harmless."""
        with self._changed:
            watchers = [
                self._registry_watcher,
                *self._watchers.values(),
                *self._slice_watchers.values(),
            ]
        pulses = [self._pulse, self._reporter.pulse, *(watcher.pulse for watcher in watchers)]
        trouble = [f"{each.pulse.name}: {each.trouble}" for each in watchers if each.trouble]
        if self._reloader is not None:
            pulses.append(self._reloader.pulse)
            if self._reloader.trouble:
                trouble.append(f"web server: {self._reloader.trouble}")
        ill = [pulse.illness for pulse in pulses if pulse.illness]
        return not ill, {"healthy": not ill, "ill": ill, "trouble": trouble}

    # --- Called by the watchers' threads ---

    def _take_registry(self, found: tuple[_Registry, ...]) -> None:
        with self._changed:
            self._registry = found[0] if found else None
            self._registry_answered = True
            self._notify()

    def _take_claims(self, namespace: str, claims: tuple[Claim, ...]) -> None:
        with self._changed:
            if namespace in self._watchers:
                self._claims[namespace] = claims
                self._heard.add(namespace)
                self._notify()

    def _take_slices(self, namespace: str, slices: tuple[CodeServers, ...]) -> None:
        """Let the web server look again at the locations whose pods are others than before."""
        with self._changed:
            registrations = self._registrations or {}
            found = code_servers.pods_by_location(slices)
            for location, pods in found.items():
                before = self._pods.get((namespace, location))
                self._pods[namespace, location] = pods
                registration = registrations.get(location)
                owns = registration is not None and registration.namespace == namespace
                if owns and pods and before is not None and pods != before and self._reloader:
                    self._reloader.refresh(location)

    def _take_failure(self, namespace: str) -> None:
        with self._changed:
            if namespace not in self._heard:
                self._heard.add(namespace)
                self._notify()

    def _notify(self) -> None:
        self._dirty = True
        self._changed.notify_all()

    # --- The main thread ---

    def _wait_for_change(self) -> bool:
        """Wait until something changed and paused; False when it is time to end.

        It also returns when nothing changed for a while: what could not be done is tried again.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._dirty or self._stopped, timeout=self._patience())
            end = time.monotonic() + _LONGEST_BURST_SECONDS
            while self._dirty and not self._stopped and time.monotonic() < end:
                self._dirty = False
                self._changed.wait(_QUIET_SECONDS)
            self._dirty = False
            return not self._stopped

    def _patience(self) -> float:
        if self._registrations is None:
            return _IDLE_SECONDS
        if not self._first_answers_are_in():
            return max(0.0, self._registrations_since + _FIRST_ANSWERS_SECONDS - time.monotonic())
        return _RETRY_WRITE_SECONDS if self._write_failed else _IDLE_SECONDS

    def _reconcile(self) -> None:
        self._read_registry()
        notices = [self._registry_notice] if self._registry_notice is not None else []
        if self._registrations is not None:
            self._watch(sorted({each.namespace for each in self._registrations.values()}))
            if self._first_answers_are_in():
                with self._changed:
                    claims = dict(self._claims)
                plan = workspace.plan(self._registrations, claims, self._locations)
                self._log_refusals(plan)
                self._take_over(plan)
                notices += [_refusal_notice(each) for each in plan.refusals]
        self._reporter.show(notices)

    def _read_registry(self) -> None:
        """Read the registry; keep the last one that could be read."""
        with self._changed:
            registry, answered = self._registry, self._registry_answered
        if not answered:
            return
        notice = None
        if registry is None:
            notice = self._registry_gone()
        else:
            try:
                registrations = workspace.read_registry(registry.text)
            except workspace.RegistryError as error:
                notice = self._registry_unreadable(registry, error)
            else:
                if self._registrations is None:
                    self._registrations_since = time.monotonic()
                if registrations != self._registrations:
                    _log.info("registry read: %s", ", ".join(registrations) or "no code location")
                self._registrations = registrations
        if notice is not None and notice != self._registry_notice:
            _log.error("%s", notice.message)
        self._registry_notice = notice

    def _registry_gone(self) -> Notice:
        return self._notice_on_registry(
            REGISTRY_MISSING,
            f"ConfigMap {self._settings.registry} in namespace {self._settings.namespace} is "
            "missing. The workspace stays as it was; "
            "`helm upgrade` of the platform makes it again.",
        )

    def _registry_unreadable(self, registry: _Registry, error: Exception) -> Notice:
        return self._notice_on_registry(
            REGISTRY_UNREADABLE,
            f"Key {names.REGISTRY_CONFIG_KEY} of ConfigMap {self._settings.registry} in namespace "
            f"{self._settings.namespace} cannot be read: {error}. The workspace stays as it was; "
            "correct codeLocations in the platform's values.",
            registry,
        )

    def _notice_on_registry(
        self, reason: str, message: str, registry: _Registry | None = None
    ) -> Notice:
        return Notice(
            kind="ConfigMap",
            namespace=self._settings.namespace,
            name=self._settings.registry,
            uid=registry.uid if registry else "",
            resource_version=registry.resource_version if registry else "",
            reason=reason,
            message=message,
        )

    def _watch(self, namespaces: Sequence[str]) -> None:
        """Watch these namespaces and no others."""
        for namespace in sorted(self._watchers.keys() - set(namespaces)):
            with self._changed:
                watcher = self._watchers.pop(namespace)
                slice_watcher = self._slice_watchers.pop(namespace, None)
                self._claims.pop(namespace, None)
                self._heard.discard(namespace)
            watcher.stop()
            if slice_watcher is not None:
                slice_watcher.stop()
            _log.info("namespace left: %s", namespace)
        for namespace in namespaces:
            if namespace in self._watchers:
                continue
            watcher = self._watcher(namespace)
            with self._changed:
                self._watchers[namespace] = watcher
            watcher.start()
            if self._reloader is not None:
                slices = self._slice_watcher(namespace)
                with self._changed:
                    self._slice_watchers[namespace] = slices
                slices.start()
            _log.info("namespace watched: %s", namespace)

    def _watcher(self, namespace: str) -> Collection[Claim]:
        return Collection(
            self._api,
            what=f"Services in namespace {namespace}",
            path=f"/api/v1/namespaces/{namespace}/services",
            selector={"labelSelector": names.CODE_LOCATION_LABEL},
            parse=workspace.read_claim,
            on_change=lambda claims: self._take_claims(namespace, claims),
            on_failure=lambda: self._take_failure(namespace),
            advice_when_forbidden=_advice_on_role(namespace),
        )

    def _slice_watcher(self, namespace: str) -> Collection[CodeServers]:
        return Collection(
            self._api,
            what=f"EndpointSlices in namespace {namespace}",
            path=f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices",
            selector={"labelSelector": names.CODE_LOCATION_LABEL},
            parse=code_servers.read_slice,
            on_change=lambda slices: self._take_slices(namespace, slices),
            on_failure=lambda: None,
            advice_when_forbidden=_advice_on_role(namespace),
        )

    def _first_answers_are_in(self) -> bool:
        """Whether the workspace may be written: every namespace was heard, or waited for."""
        waited = time.monotonic() - self._registrations_since
        with self._changed:
            return (
                self._planned
                or self._watchers.keys() <= self._heard
                or waited >= _FIRST_ANSWERS_SECONDS
            )

    def _take_over(self, plan: Plan) -> None:
        """Write the workspace where it differs, then tell the web server."""
        self._planned = True
        text = workspace.render(plan.locations)
        if text != self._written:
            try:
                _write_atomically(self._settings.output, text)
            except OSError as error:
                if not self._write_failed:
                    _log.warning("cannot write %s: %s; trying again", self._settings.output, error)
                self._write_failed = True
                return
            self._write_failed = False
            _log_changes(self._locations, plan.locations)
        self._locations, self._written = plan.locations, text
        if self._reloader is not None:
            self._reloader.want(plan.locations)

    def _log_refusals(self, plan: Plan) -> None:
        refused = {(each.claim.uid, each.message) for each in plan.refusals}
        for each in plan.refusals:
            if (each.claim.uid, each.message) not in self._refused:
                _log.warning("refused: %s", each.message)
        self._refused = frozenset(refused)


def _advice_on_role(namespace: str) -> str:
    return (
        f"Role {names.DISCOVERY_ROLE} in namespace {namespace} is not there yet, or not bound to "
        "this pod's service account; `helm upgrade` of the platform makes both"
    )


def _read_config_map(config_map: Mapping[str, Any]) -> _Registry:
    metadata = config_map["metadata"]
    text = (config_map.get("data") or {}).get(names.REGISTRY_CONFIG_KEY, "")
    return _Registry(metadata["uid"], metadata["resourceVersion"], text)


def _refusal_notice(refusal: Refusal) -> Notice:
    claim = refusal.claim
    return Notice(
        kind="Service",
        namespace=claim.namespace,
        name=claim.service,
        uid=claim.uid,
        resource_version=claim.resource_version,
        reason=REFUSED,
        message=refusal.message,
    )


def _last_known(path: Path) -> tuple[tuple[Location, ...], str | None]:
    """Return the workspace that this container's predecessor left, and its text."""
    try:
        text = path.read_text()
        locations = workspace.parse(text)
    except FileNotFoundError:
        return (), None
    except (OSError, workspace.WorkspaceFileError) as error:
        _log.warning("%s is passed over: %s", path, error)
        return (), None
    _log.info("found %s with %d locations", path, len(locations))
    return locations, text


def _write_atomically(path: Path, text: str) -> None:
    """Replace a file so that a reader finds the old text or the new, never a part."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".workspace-")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp's 0600 would hide it from a web server that runs as another user.
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _log_changes(before: Sequence[Location], after: Sequence[Location]) -> None:
    old = {each.name: each for each in before}
    new = {each.name: each for each in after}
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            _log.info("location added: %s at %s:%d", name, new[name].host, new[name].port)
        elif name not in new:
            _log.info("location removed: %s", name)
        elif old[name] != new[name]:
            _log.info("location moved: %s to %s:%d", name, new[name].host, new[name].port)
    if not after:
        _log.info("the workspace has no locations")
