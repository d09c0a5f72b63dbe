"""Makes an earlier image of a code location live again."""

from bulkhead.deploy import live, records
from bulkhead.deploy.errors import StageError
from bulkhead.deploy.live import CodeServer, short
from bulkhead.deploy.lock import locked
from bulkhead.deploy.means import LocationReport, Means
from bulkhead.deploy.recording import Attempt
from bulkhead.deploy.records import Record
from bulkhead.deploy.release import Releases
from bulkhead.deploy.sources import CodeFolder
from bulkhead.kube.api import KubernetesApiError


def run(means: Means, target: CodeFolder, revision: int | None) -> bool:
    """Release an earlier revision of a code location again, and wait until it is live.

    A failure is reported, and recorded in the history if a release was made.

    Args:
        means: The cluster and the settings.
        target: The code location.
        revision: Helm's revision, as `bulkhead history` shows it. None takes the newest one that
            had another image than what is live.

    Returns:
        Whether it is live.
    """
    report = LocationReport(means.report, target)
    try:
        with locked(means, report, target):
            server, chosen = _choose(means, target, revision)
            releases = Releases(means, report, target)
            attempt = Attempt(means, report, releases, "rollback")
            try:
                releases.back_to(chosen.revision or 0, chosen.image or "", server=server)
            except StageError as error:
                attempt.record(chosen.commit, chosen.image, f"{error.stage}: {error}")
                raise
            attempt.record(chosen.commit, chosen.image, None)
    except StageError as error:
        report.failure(error)
        means.report.state(target.name, live.sentence(means.api, target.namespace, target.name))
        return False
    means.report.end(f"{target.name}: {short(chosen.image or '')} is live again")
    return True


def _choose(
    means: Means, target: CodeFolder, revision: int | None
) -> tuple[CodeServer | None, Record]:
    """Return what is live, and the record to go back to; raises StageError if there is none."""
    try:
        server = live.code_server(means.api, target.namespace, target.name)
        found = records.read(means.api, target.namespace, target.name)
    except KubernetesApiError as error:
        raise StageError("rollback", str(error)) from error
    image = server.image if server else None
    candidates = [each for each in found if each.result == "live" and each.revision and each.image]
    if revision is not None:
        candidates = [each for each in candidates if each.revision == revision]
    else:
        candidates = [each for each in candidates if each.image != image]
    if not candidates:
        wanted = f"revision {revision}" if revision else "earlier image"
        raise StageError(
            "rollback",
            f"The history has no {wanted} that was live. `bulkhead history` lists the revisions.",
        )
    return server, candidates[-1]
