"""What the deploys of one call share."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from bulkhead.deploy.errors import StageError
from bulkhead.deploy.helm import Helm
from bulkhead.deploy.load_check.differences import Differences
from bulkhead.deploy.report import Report
from bulkhead.deploy.repository import Repository, Snapshot
from bulkhead.deploy.settings import Settings
from bulkhead.deploy.sources import CodeFolder
from bulkhead.kube.api import KubernetesApi


@dataclass(frozen=True, slots=True)
class Means:
    """The cluster, the repository, the settings, and who deploys."""

    api: KubernetesApi
    helm: Helm
    repository: Repository
    settings: Settings
    report: Report
    by: str
    snapshot: Callable[[], Snapshot]
    """Returns what to deploy. Called when the lock is held: a branch may have moved meanwhile."""
    environment: str | None = None
    """Whose settings these are, for the commands that messages name."""


@dataclass(frozen=True, slots=True)
class LocationReport:
    """Reports about one code location."""

    report: Report
    target: CodeFolder

    def stage(self, stage: str, text: str, began: float) -> None:
        """Say that a stage, which began at this monotonic time, succeeded."""
        self.report.stage(self.target.name, stage, text, time.monotonic() - began)

    def differences(self, found: Differences) -> None:
        """Say in full how the definitions differ from what is live."""
        self.report.differences(self.target.name, found)

    def progress(self, stage: str, text: str) -> None:
        """Say what a stage waits for."""
        self.report.progress(self.target.name, stage, text)

    def failure(self, error: StageError) -> None:
        """Say why a stage failed, once: a stage that has something to restore reports it itself."""
        if not error.is_reported:
            error.is_reported = True
            self.report.failure(self.target.name, error.stage, str(error), error.output)

    def image_progress(self, text: str) -> None:
        """Say what the stage `image` does or waits for."""
        self.progress("image", text)

    def warning(self, stage: str, text: str) -> None:
        """Say what may be a problem."""
        self.report.warning(self.target.name, stage, text)
