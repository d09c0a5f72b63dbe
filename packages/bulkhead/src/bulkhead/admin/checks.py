"""Checks an installation: takes a snapshot, returns findings; no I/O.

Every check yields at least one finding, so that a person also sees what was checked and is good.
"""

from bulkhead.admin.findings import PLATFORM, Finding, problem
from bulkhead.admin.location_checks import check_location, check_refusals
from bulkhead.admin.platform_checks import check_platform
from bulkhead.admin.snapshot import Snapshot


def check(snapshot: Snapshot) -> list[Finding]:
    """Return all findings about an installation, the platform's first."""
    findings = [*check_platform(snapshot)]
    for name in sorted(snapshot.registrations):
        findings += check_location(snapshot, snapshot.registrations[name])
    return [*findings, *check_refusals(snapshot)]


def unreachable(reason: str) -> Finding:
    """Return the only finding if the API does not answer."""
    return problem(
        PLATFORM,
        f"The Kubernetes API does not answer: {reason}",
        "Check the cluster, KUBECONFIG and --context with `kubectl version`.",
    )
