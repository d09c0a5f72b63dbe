"""The stage `loads`: a pod of the new image loads the definitions before anything changes."""

import time
from collections.abc import Sequence
from typing import Final

from bulkhead.code_location.summary import Summary
from bulkhead.deploy import definitions, live
from bulkhead.deploy.errors import StageError
from bulkhead.deploy.helm import HelmError, Release
from bulkhead.deploy.live import CodeServer
from bulkhead.deploy.load_check import check, differences, pod
from bulkhead.deploy.load_check.deploy_warnings import Severity
from bulkhead.deploy.load_check.differences import Differences
from bulkhead.deploy.load_check.errors import LoadCheckError
from bulkhead.deploy.load_check.pod import ManifestError
from bulkhead.deploy.load_check.progress import Progress
from bulkhead.deploy.means import LocationReport, Means
from bulkhead.kube.api import KubernetesApiError
from bulkhead.load_report import LoadReport

# A stage that takes less is not worth a line.
_REPORTED_SECONDS: Final = 5.0


def check_definitions(
    means: Means, report: LocationReport, release: Release, image: str, server: CodeServer | None
) -> Summary:
    """Load the definitions of a release in a pod; report how they differ from what is live.

    Raises:
        StageError: The values are invalid, the pod cannot start, the definitions do not load, or
            there are warnings and `strict` is set.
    """
    began = time.monotonic()
    api, name, namespace = means.api, release.name, release.namespace
    seconds = means.settings.load_seconds

    def on_progress(progress: Progress) -> None:
        if progress.seconds >= _REPORTED_SECONDS:
            detail = f": {progress.detail}" if progress.detail else ""
            report.progress("loads", f"{progress.stage.value}, {progress.seconds:.0f} s{detail}")

    try:
        checked = pod.manifest(
            means.helm.render(release),
            name=pod.unique_name(name, image),
            deadline_seconds=int(seconds) + 60,
        )
        found = check.run(api, namespace, checked, timeout=seconds, report=on_progress)
        before = definitions.read(api, namespace, name, server.image if server else None)
        reports = live.load_reports(api, namespace)
    except (HelmError, ManifestError) as error:
        raise StageError("values", str(error)) from error
    except LoadCheckError as error:
        raise StageError("loads", str(error), error.last_output) from error
    except KubernetesApiError as error:
        raise StageError("loads", str(error)) from error
    changes = _compare(before, found, reports)
    report.stage("loads", changes.line, began)
    report.differences(changes)
    _warn(report, changes, strict=means.settings.strict)
    return found


def _compare(before: Summary | None, after: Summary, reports: Sequence[LoadReport]) -> Differences:
    """Compare with what is live, and with what the newest report says of other locations."""
    newest = max(reports, key=lambda each: each.checked, default=None)
    if newest is None:
        return differences.compare(before, after)
    schedules, sensors = newest.running_schedules, newest.running_sensors
    is_known = schedules is not None and sensors is not None
    return differences.compare(
        before,
        after,
        dependents=newest.dependents,
        taken=newest.taken,
        running=[*(schedules or ()), *(sensors or ())] if is_known else None,
    )


def _warn(report: LocationReport, changes: Differences, *, strict: bool) -> None:
    for each in changes.warnings:
        say = report.warning if each.severity is Severity.WARNING else report.progress
        say("loads", each.text)
    if strict and changes.strict_failures:
        raise StageError(
            "loads",
            f"There are {len(changes.strict_failures)} warnings, and the setting `strict` makes "
            "them errors. Fix them, or deploy without `strict`.",
        )
