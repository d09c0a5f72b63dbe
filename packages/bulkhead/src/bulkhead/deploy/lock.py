"""Holds the lock of a code location for one deploy, and says why it cannot be held."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

from bulkhead.deploy.errors import NotRegisteredError, StageError
from bulkhead.deploy.lease import DeployLease, LeaseError
from bulkhead.deploy.means import LocationReport, Means
from bulkhead.deploy.sources import CodeFolder
from bulkhead.kube.api import KubernetesApiError

_TIMEOUT_SECONDS: Final = 900.0


@contextmanager
def locked(means: Means, report: LocationReport, target: CodeFolder) -> Generator[DeployLease]:
    """Hold the lock in a `with` block; wait up to 15 minutes for another deploy.

    Raises:
        NotRegisteredError: The namespace of the code location does not exist.
        StageError: The account has no right to deploy there, or the other deploy is not done.
    """
    lease = DeployLease(
        means.api,
        target.namespace,
        f"{means.by}, since {time.strftime('%H:%M:%S')}",
        timeout=_TIMEOUT_SECONDS,
        on_wait=lambda other: report.progress("lock", f"waits for the deploy of {other}"),
    )
    try:
        with lease:
            yield lease
    except LeaseError as error:
        raise StageError("lock", str(error)) from error
    except KubernetesApiError as error:
        raise _refusal(error, target) from error


def _refusal(error: KubernetesApiError, target: CodeFolder) -> StageError:
    """Return why the Lease, the first object of a deploy, could not be created."""
    if error.status == HTTPStatus.FORBIDDEN:
        return StageError(
            "lock",
            f"This account may not deploy {target.name}: {error.message}. Ask the platform admin "
            f"to add it to codeLocations.{target.name}.deployers.",
        )
    if error.status == HTTPStatus.NOT_FOUND:
        return NotRegisteredError(
            "lock",
            f"There is no namespace {target.namespace}. Ask the platform admin to register "
            f"codeLocations.{target.name}, or set `namespace` in bulkhead.toml.",
        )
    return StageError("lock", str(error))
