"""Waits until a released image is live: its pods are ready, and the Dagster UI has loaded it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from bulkhead.deploy import live
from bulkhead.deploy.live import CodeServer
from bulkhead.kube.api import KubernetesApi, KubernetesApiError
from bulkhead.kube.objects import Object, condition, part, parts
from bulkhead.load_report import LoadReport

_POLL_SECONDS: Final = 0.5
_PROGRESS_SECONDS: Final = 10.0

# A web server may fail to reach the new code server once, while the old one ends.
_ERROR_SECONDS: Final = 10.0

# Reasons for which a container of a new pod waits, and that no waiting ends.
_HOPELESS: Final = frozenset(
    {
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ImageInspectError",
        "InvalidImageName",
        "RunContainerError",
    }
)
# These may pass: a registry that is away answers again.
_PULL_ERRORS: Final = frozenset({"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable"})
_PULL_SECONDS: Final = 60.0
_LOG_LINES: Final = 20


class RolloutError(Exception):
    """The image did not become live; `output` has the last output of its process, if any."""

    def __init__(self, message: str, output: str = "") -> None:
        """Keep the reason and the output apart."""
        super().__init__(message)
        self.output = output


@dataclass(frozen=True, slots=True)
class Times:
    """When the new code server became ready, and when the old one was last seen ready.

    In seconds since the epoch, by the clock of this process; `old_until` is None for the first
    deploy of a code location.
    """

    new_from: float
    old_until: float | None


class Rollout:
    """Follows one release."""

    def __init__(
        self,
        api: KubernetesApi,
        namespace: str,
        location: str,
        image: str,
        on_progress: Callable[[str], None],
    ) -> None:
        """Note what the web servers report now; `wait` begins.

        Make it before the release: an error that was reported before is not one of the new image.

        Args:
            api: The API server.
            namespace: Of the code location.
            location: Its name.
            image: The image that is to become live, by digest.
            on_progress: Is called every 10 s with what is waited for.

        Raises:
            KubernetesApiError: The API server does not answer, or rejects the request.
        """
        self._api = api
        self._namespace = namespace
        self._location = location
        self._image = image
        self._on_progress = on_progress
        reports = live.load_reports(api, namespace)
        self._loaded_before = max((each.updated or 0.0 for each in reports), default=0.0)
        self._new_from: float | None = None
        self._old_until: float | None = None
        self._error_since: float | None = None
        self._pull_error_since: float | None = None

    def wait(self, timeout: float) -> Times:
        """Wait until every web server reports the image without an error.

        Raises:
            RolloutError: A pod cannot start, the web server reports a load error, or the timeout.
        """
        began = time.monotonic()
        told = began
        waits_for = "the API server"
        while (now := time.monotonic()) < began + timeout:
            try:
                server = live.code_server(self._api, self._namespace, self._location)
                reports = live.load_reports(self._api, self._namespace)
            except KubernetesApiError as error:
                if error.status is not None and error.status < 500:  # noqa: PLR2004 - HTTP
                    raise RolloutError(f"The API server rejects a request: {error}") from error
                waits_for = f"the API server: {error.message}"
            else:
                found = self._look(server, reports)
                if found is None:
                    return Times(self._new_from or time.time(), self._old_until)
                waits_for = found
            if now - told >= _PROGRESS_SECONDS:
                told = now
                self._on_progress(f"waits for {waits_for} ({now - began:.0f} s)")
            time.sleep(_POLL_SECONDS)
        raise RolloutError(f"Not live after {timeout:.0f} s; it waited for {waits_for}.")

    def _look(self, server: CodeServer | None, reports: Sequence[LoadReport]) -> str | None:
        """Return what is waited for; None if the image is live."""
        if server is None:
            return "the Deployment"
        pods = server.pods_of(self._image)
        self._note_times(server, pods)
        for pod in pods:
            self._raise_if_hopeless(pod)
        if not server.is_rolled_out:
            return _state(pods)
        return self._web_servers(reports)

    def _web_servers(self, reports: Sequence[LoadReport]) -> str | None:
        if not reports:
            return (
                "the first report of the web server (ConfigMap bulkhead-status; workspace-sync "
                "beside the web server writes it)"
            )
        errors = [
            each.error
            for each in reports
            if each.error and not each.unreachable and (each.updated or 0.0) > self._loaded_before
        ]
        if errors:
            self._error_since = self._error_since or time.monotonic()
            if time.monotonic() - self._error_since >= _ERROR_SECONDS:
                raise RolloutError("The Dagster UI cannot load it.", str(errors[0]))
            return "the web server, which reports an error"
        self._error_since = None
        if any(each.image != self._image or not each.is_loaded for each in reports):
            return "the web server to load it"
        return None

    def _note_times(self, server: CodeServer, pods: Sequence[Object]) -> None:
        if self._new_from is None and any(_is_ready(pod) for pod in pods):
            self._new_from = time.time()
        names = {part(pod, "metadata").get("name") for pod in pods}
        others = [pod for pod in server.pods if part(pod, "metadata").get("name") not in names]
        if any(_is_ready(pod) for pod in others):
            self._old_until = time.time()

    def _raise_if_hopeless(self, pod: Object) -> None:
        scheduled = condition(pod, "PodScheduled")
        for status in parts(pod, "status", "containerStatuses"):
            waiting = part(status, "state", "waiting")
            reason = str(waiting.get("reason") or "")
            if reason in _PULL_ERRORS:
                self._pull_error_since = self._pull_error_since or time.monotonic()
                if time.monotonic() - self._pull_error_since < _PULL_SECONDS:
                    return
                raise RolloutError(f"The image cannot be pulled: {waiting.get('message')}")
            if reason in _HOPELESS:
                ended = part(status, "lastState", "terminated")
                how = f" It ended with {_ending(ended)}." if ended else ""
                message = str(waiting.get("message") or "")
                raise RolloutError(
                    f"The code server does not start ({reason}): {message}.{how}", self._log(pod)
                )
        if scheduled and scheduled.get("status") == "False":
            self._pull_error_since = None

    def _log(self, pod: Object) -> str:
        """Return the last output of a code server that crashed; empty if there is none."""
        path = f"/api/v1/namespaces/{self._namespace}/pods/{part(pod, 'metadata').get('name')}/log"
        query = {"tailLines": str(_LOG_LINES), "previous": "true"}
        try:
            return self._api.text(path, query).strip()
        except KubernetesApiError:
            return ""


def _state(pods: Sequence[Object]) -> str:
    """Return what the new pods wait for, in the kubelet's and the scheduler's words."""
    for pod in pods:
        scheduled = condition(pod, "PodScheduled")
        if scheduled and scheduled.get("status") == "False":
            return f"a node: {scheduled.get('message')}"
        for status in parts(pod, "status", "containerStatuses"):
            waiting = part(status, "state", "waiting")
            if waiting:
                return f"the new code server to start ({waiting.get('reason')})"
    return "the new code server to be ready" if pods else "a new pod"


def _is_ready(pod: Object) -> bool:
    ready = condition(pod, "Ready")
    return ready is not None and ready.get("status") == "True"


def _ending(ended: Object) -> str:
    if ended.get("reason") == "OOMKilled":
        return "too much memory (OOM-killed)"
    return f"exit code {ended.get('exitCode')}"
