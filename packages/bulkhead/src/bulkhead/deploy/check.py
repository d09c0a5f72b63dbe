"""The stage `loads`: a pod of the new image loads the definitions before anything changes."""

import time

from bulkhead.deploy import definitions, live, load_check
from bulkhead.deploy.errors import StageError
from bulkhead.deploy.helm import HelmError, Release
from bulkhead.deploy.live import CodeServer
from bulkhead.deploy.load_check.differences import Differences
from bulkhead.deploy.means import LocationReport, Means
from bulkhead.kube.api import KubernetesApiError


def check_definitions(
    means: Means, report: LocationReport, release: Release, image: str, server: CodeServer | None
) -> load_check.Summary:
    """Load the definitions of a release in a pod; report how they differ from what is live.

    Raises:
        StageError: The values are invalid, the pod cannot start, the definitions do not load, or
            there are warnings and `strict` is set.
    """
    began = time.monotonic()
    settings, api = means.settings, means.api
    name, namespace = release.name, release.namespace
    try:
        rendered = means.helm.render(release)
        deployment = next(each for each in rendered if each.get("kind") == "Deployment")
        pod = load_check.manifest(
            deployment,
            name=load_check.pod_name(name, image),
            deadline_seconds=int(settings.load_seconds),
        )
        found = load_check.run(
            api,
            namespace,
            pod,
            timeout=settings.load_seconds,
            report=lambda text: report.progress("loads", text),
        )
        before = definitions.read(api, namespace, name, server.image if server else None)
        reports = live.load_reports(api, namespace)
    except HelmError as error:
        raise StageError("values", str(error)) from error
    except load_check.LoadCheckError as error:
        raise StageError("loads", str(error), error.output) from error
    except KubernetesApiError as error:
        raise StageError("loads", str(error)) from error
    differences = load_check.compare(before, found, reports)
    report.stage("loads", differences.line, began)
    _warn(report, differences, strict=settings.strict)
    return found


def _warn(report: LocationReport, differences: Differences, *, strict: bool) -> None:
    for warning in differences.warnings:
        report.warning("loads", warning.text)
    if differences.warnings and strict:
        raise StageError(
            "loads",
            f"There are {len(differences.warnings)} warnings, and the setting `strict` makes them "
            "errors. Fix them, or deploy without `strict`.",
        )
