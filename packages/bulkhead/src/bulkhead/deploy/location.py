"""The deploy of one code location: lock, image, load check, release, live, record."""

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from bulkhead.code_location.summary import Summary
from bulkhead.deploy import build, definitions, live
from bulkhead.deploy.check import check_definitions
from bulkhead.deploy.errors import NotRegisteredError, StageError
from bulkhead.deploy.image_stage import ImageStage, build_image
from bulkhead.deploy.lease import DeployLease
from bulkhead.deploy.live import CodeServer, short
from bulkhead.deploy.lock import locked
from bulkhead.deploy.means import LocationReport, Means
from bulkhead.deploy.recording import Attempt
from bulkhead.deploy.release import Releases, is_live, release_of
from bulkhead.deploy.sources import CodeFolder
from bulkhead.kube.api import KubernetesApiError

Result = Literal["unchanged", "checked", "live", "failed", "not registered", "written", "planned"]
"""How a deploy ends; `failed` leaves live what was live before."""

Action = Literal["deploy", "promote"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the deploy of one code location ended.

    Attributes:
        location: Its name.
        result: How it ended.
        image: By digest; None if there is none.
        seconds: How long it took.
        reason: The stage that failed, and why.
    """

    location: str
    result: Result
    image: str | None
    seconds: float
    reason: str | None = None


class LocationDeploy:
    """Runs the stages for one code location."""

    def __init__(
        self,
        means: Means,
        target: CodeFolder,
        *,
        check_only: bool,
        again: bool,
        action: Action = "deploy",
        image: ImageStage = build_image,
    ) -> None:
        """Prepare; `run` begins.

        Args:
            means: What is shared with other deploys.
            target: The code location.
            check_only: End after the load check.
            again: Run the stages also if the image is live already.
            action: For the history.
            image: The stage that gets the image.
        """
        self._means = means
        self._target = target
        self._check_only = check_only
        self._again = again
        self._action = action
        self._image_stage = image
        self._report = LocationReport(means.report, target)
        self._releases = Releases(means, self._report, target)
        self._image: str | None = None
        self._commit: str | None = None

    def run(self) -> Outcome:
        """Deploy. A failure is reported, recorded, and part of the outcome."""
        attempt = Attempt(self._means, self._report, self._releases, self._action)
        result: Result = "failed"
        reason: str | None = None
        try:
            with locked(self._means, self._report, self._target) as lease:
                result = self._stages(lease)
        except NotRegisteredError as error:
            result, reason = "not registered", str(error)
        except StageError as error:
            reason = f"{error.stage}: {error}"
            self._report.failure(error)
            where = (self._target.namespace, self._target.name)
            self._means.report.state(self._target.name, live.sentence(self._means.api, *where))
        seconds = attempt.seconds
        if result == "live" or (result == "failed" and not self._check_only):
            attempt.record(self._commit, self._image, reason)
        return Outcome(self._target.name, result, self._image, seconds, reason)

    def _stages(self, lease: DeployLease) -> Result:
        means, target = self._means, self._target
        snapshot = means.snapshot()
        with tempfile.TemporaryDirectory(prefix="bulkhead-deploy-") as scratch:
            exported = build.export(
                means.repository, means.settings, target, snapshot, Path(scratch)
            )
            self._commit = exported.commit
            server = live.code_server(means.api, target.namespace, target.name)
            history = self._releases.history()
            self._announce(exported.source.tree, server)
            began = time.monotonic()
            ready = self._image_stage(means.settings, exported, self._report.image_progress)
            self._image, self._commit = ready.reference, ready.commit
            if ready.done:
                self._report.stage("image", f"{short(ready.reference)}  {ready.done}", began)
            if is_live(server, ready.reference, history) and not self._again:
                means.report.location(target.name, "unchanged")
                return "unchanged"
            release = release_of(
                means, target, replace(exported, source=ready.source), ready.reference
            )
            found = check_definitions(means, self._report, release, ready.reference, server)
            if self._check_only:
                return "checked"
            lease.check()
            description = f"{snapshot.name} by {means.by}"
            self._releases.make_live(
                release, ready.reference, description, server=server, history=history
            )
        self._remember(found)
        return "live"

    def _announce(self, tree: str, server: CodeServer | None) -> None:
        """Report what changed in the folder, if the live release says which tree it has."""
        before = server.tree if server else None
        if server is None:
            text = "new"
        elif before == tree:
            return
        else:
            files = self._means.repository.changed_files(before, tree) if before else None
            text = f"changed: {files} {'file' if files == 1 else 'files'}" if files else "changed"
        self._means.report.location(self._target.name, text)

    def _remember(self, found: Summary) -> None:
        """Keep what the image defines, for the comparison of the next deploy."""
        api, target = self._means.api, self._target
        try:
            definitions.write(api, target.namespace, target.name, self._image or "", found)
        except KubernetesApiError as error:
            self._report.warning("live", f"The next deploy cannot show what changed: {error}")
