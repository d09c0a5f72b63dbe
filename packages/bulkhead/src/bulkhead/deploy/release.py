"""The stages `release` and `live`, and the way back."""

import time
from collections.abc import Sequence
from typing import Final

from bulkhead.deploy.build import Exported
from bulkhead.deploy.errors import StageError
from bulkhead.deploy.helm import HelmError, Release, Revision
from bulkhead.deploy.live import CodeServer, short
from bulkhead.deploy.means import LocationReport, Means
from bulkhead.deploy.rollout import Rollout, RolloutError, Times
from bulkhead.deploy.sources import CodeFolder
from bulkhead.kube.api import KubernetesApiError
from bulkhead.service import events
from bulkhead.service.events import KubernetesEvent

_COMPONENT: Final = "bulkhead-deploy"


def release_of(means: Means, target: CodeFolder, exported: Exported, image: str) -> Release:
    """Return the release of a code location with an image."""
    source, settings = exported.source, means.settings
    files = [source.folder / each for each in settings.values]
    return Release(
        name=target.name,
        namespace=target.namespace,
        chart=exported.chart,
        chart_version=settings.chart_version,
        values=[path for path in files if path.exists()],
        further_values={
            "image": image_values(image),
            "release": {"commit": source.commit, "tree": source.tree, "deployedBy": means.by},
        },
    )


def image_values(reference: str) -> dict[str, str]:
    """Return the chart's `image` value for `registry/repository@sha256:…`."""
    name, _, digest = reference.partition("@")
    registry, _, repository = name.partition("/")
    return {"registry": registry, "repository": repository, "digest": digest}


class Releases:
    """The Helm release of one code location."""

    def __init__(self, means: Means, report: LocationReport, target: CodeFolder) -> None:
        """Prepare; nothing is called yet."""
        self._means = means
        self._report = report
        self._target = target

    def history(self) -> list[Revision]:
        """Return the revisions, after repairing one that a killed deploy left unfinished.

        Raises:
            StageError: Helm failed.
        """
        helm, target = self._means.helm, self._target
        try:
            history = helm.history(target.name, target.namespace)
            if not history or not history[-1].is_unfinished:
                return history
            newest = history[-1].number
            self._report.progress("release", f"repairs revision {newest}, which was interrupted")
            deployed = last_deployed(history)
            if deployed is None:
                helm.uninstall(target.name, target.namespace)
            else:
                helm.rollback(target.name, target.namespace, deployed)
            return helm.history(target.name, target.namespace)
        except HelmError as error:
            raise StageError("release", str(error)) from error

    def make_live(
        self,
        release: Release,
        image: str,
        description: str,
        *,
        server: CodeServer | None,
        history: Sequence[Revision],
    ) -> None:
        """Upgrade the release and wait until the image is live; otherwise restore what was live.

        Args:
            release: What to release.
            image: Its image.
            description: For Helm's history.
            server: What was live before; None for a first deploy.
            history: The revisions before.

        Raises:
            StageError: The image is not live. What was live before is live, or a warning says why
                it is not.
        """
        began = time.monotonic()
        stage = "release"
        rollout = self._rollout(image)
        try:
            self._means.helm.upgrade(release, description)
            stage = "live"
            times = rollout.wait(self._means.settings.live_seconds)
        except (HelmError, RolloutError) as error:
            raise self._failed(stage, error, server, history) from error
        self._report.stage("live", _times_text(times), began)

    def back_to(self, revision: int, image: str, *, server: CodeServer | None) -> None:
        """Release an earlier revision and wait until its image is live; else restore the newest.

        Raises:
            StageError: It is not live. What was live before is, or a warning says why it is not.
        """
        history = self.history()
        began = time.monotonic()
        rollout = self._rollout(image)
        try:
            self._means.helm.rollback(self._target.name, self._target.namespace, revision)
            times = rollout.wait(self._means.settings.live_seconds)
        except (HelmError, RolloutError) as error:
            raise self._failed("live", error, server, history) from error
        self._report.stage("live", _times_text(times), began)

    def _rollout(self, image: str) -> Rollout:
        """Return what waits for an image; raises StageError if the API server does not answer."""
        target = self._target
        try:
            return Rollout(
                self._means.api,
                target.namespace,
                target.name,
                image,
                lambda text: self._report.progress("live", text),
            )
        except KubernetesApiError as error:
            raise StageError("release", str(error)) from error

    def _failed(
        self,
        stage: str,
        error: HelmError | RolloutError,
        server: CodeServer | None,
        history: Sequence[Revision],
    ) -> StageError:
        """Report why the image is not live, and restore what was."""
        output = error.output if isinstance(error, RolloutError) else ""
        failure = StageError(stage, str(error), output)
        self._report.failure(failure)
        self._restore(server, history)
        return failure

    def _restore(self, server: CodeServer | None, history: Sequence[Revision]) -> None:
        helm, name, namespace = self._means.helm, self._target.name, self._target.namespace
        deployed = last_deployed(history)
        began = time.monotonic()
        try:
            if deployed is not None:
                rollout = self._rollout(server.image if server and server.image else "")
                helm.rollback(name, namespace, deployed)
                if server is not None and server.image:
                    rollout.wait(self._means.settings.live_seconds)
                    self._report.stage("back", f"{short(server.image)} is live again", began)
            elif server is None:
                helm.uninstall(name, namespace)
        except (HelmError, RolloutError, StageError) as error:
            self._report.warning(
                "back",
                f"What was live could not be restored: {error} Run `bulkhead rollback {name}`.",
            )
        if server is not None:
            self._write_event(server)

    def _write_event(self, server: CodeServer) -> None:
        metadata = server.deployment["metadata"]
        event = KubernetesEvent(
            kind="Deployment",
            api_version="apps/v1",
            namespace=self._target.namespace,
            name=self._target.name,
            uid=str(metadata["uid"]),
            resource_version=str(metadata["resourceVersion"]),
            reason="DeployRolledBack",
            message=f"A deploy by {self._means.by} was rolled back. See `bulkhead history "
            f"{self._target.name}`.",
        )
        events.write(self._means.api, event, _COMPONENT)


def is_live(server: CodeServer | None, image: str | None, history: Sequence[Revision]) -> bool:
    """Say whether an image is live, and its release is complete."""
    is_deployed = bool(history) and history[-1].is_deployed
    return server is not None and server.image == image and is_deployed


def last_deployed(history: Sequence[Revision]) -> int | None:
    """Return the newest revision that was live; Helm calls older ones superseded."""
    numbers = [each.number for each in history if each.status in {"deployed", "superseded"}]
    return max(numbers, default=None)


def _times_text(times: Times) -> str:
    new = f"new from {_clock(times.new_from)}"
    if times.old_until is None:
        return new
    return f"old server answered until {_clock(times.old_until)}, {new}"


def _clock(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(seconds))
