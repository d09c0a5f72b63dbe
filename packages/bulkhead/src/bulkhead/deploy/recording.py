"""Writes how a deploy or a rollback ended into the history of a code location."""

import time
from dataclasses import dataclass, field
from datetime import datetime, timezone

from bulkhead.deploy import records
from bulkhead.deploy.errors import StageError
from bulkhead.deploy.means import LocationReport, Means
from bulkhead.deploy.records import Record
from bulkhead.deploy.release import Releases
from bulkhead.kube.api import KubernetesApiError


@dataclass(frozen=True, slots=True)
class Attempt:
    """One deploy or rollback, which begins when this object is made."""

    means: Means
    report: LocationReport
    releases: Releases
    action: str
    at: str = field(
        default_factory=lambda: datetime.now(tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    )
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """How long it has taken until now."""
        return time.monotonic() - self.began

    def record(self, commit: str | None, image: str | None, reason: str | None) -> None:
        """Write the record; a history that cannot be written is a warning.

        Args:
            commit: Of the image.
            image: By digest; None if there is none.
            reason: Why the image is not live; None if it is.
        """
        target = self.report.target
        try:
            history = [] if reason else self.releases.history()
            record = Record(
                at=self.at,
                by=self.means.by,
                action=self.action,
                commit=commit,
                image=image,
                result="failed" if reason else "live",
                reason=reason,
                seconds=round(self.seconds, 1),
                revision=history[-1].number if history else None,
            )
            records.add(self.means.api, target.namespace, target.name, record)
        except (KubernetesApiError, StageError) as error:
            self.report.warning("history", f"The history has no record of this: {error}")
