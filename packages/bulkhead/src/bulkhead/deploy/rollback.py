"""Makes an earlier image of a code location live again."""

import time
from datetime import datetime, timezone

from bulkhead.deploy import live, records
from bulkhead.deploy.errors import StageError
from bulkhead.deploy.lock import locked
from bulkhead.deploy.means import LocationReport, Means, short
from bulkhead.deploy.records import Record
from bulkhead.deploy.release import Releases
from bulkhead.deploy.sources import CodeFolder
from bulkhead.kube.api import KubernetesApiError


def run(means: Means, target: CodeFolder, revision: int | None) -> None:
    """Release an earlier revision of a code location again, and wait until it is live.

    Args:
        means: The cluster and the settings.
        target: The code location.
        revision: Helm's revision, as `bulkhead history` shows it. None takes the newest one that
            had another image than what is live.

    Raises:
        StageError: There is no such revision, or it did not become live.
    """
    report = LocationReport(means.report, target)
    releases = Releases(means, report, target)
    began = time.monotonic()
    at = datetime.now(tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    with locked(means, report, target):
        try:
            server = live.code_server(means.api, target.namespace, target.name)
            found = records.read(means.api, target.namespace, target.name)
            chosen = _choose(found, revision, server.image if server else None)
            releases.back_to(chosen.revision or 0, chosen.image or "", server=server)
            record = Record(
                at=at,
                by=means.by,
                action="rollback",
                commit=chosen.commit,
                image=chosen.image,
                result="live",
                reason=None,
                seconds=round(time.monotonic() - began, 1),
                revision=releases.history()[-1].number,
            )
            records.add(means.api, target.namespace, target.name, record)
        except KubernetesApiError as error:
            raise StageError("rollback", str(error)) from error
    means.report.end(f"{target.name}: {short(chosen.image or '')} is live again")


def _choose(found: list[Record], revision: int | None, image: str | None) -> Record:
    """Return the record of the revision to go back to."""
    candidates = [each for each in found if each.result == "live" and each.revision and each.image]
    if revision is not None:
        candidates = [each for each in candidates if each.revision == revision]
    else:
        candidates = [each for each in candidates if each.image != image]
    if not candidates:
        wanted = f"revision {revision}" if revision else "an earlier image"
        raise StageError(
            "rollback",
            f"The history has no {wanted} that was live. `bulkhead history` lists the revisions.",
        )
    return candidates[-1]
