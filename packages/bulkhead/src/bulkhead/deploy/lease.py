"""The lock of a code location: a Kubernetes Lease, so that two deploys never run at once."""

import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final

from bulkhead import names
from bulkhead.kube.api import KubernetesApi, KubernetesApiError
from bulkhead.kube.objects import Object, part

DURATION_SECONDS: Final = 15
"""How long a Lease stays with a deploy that was killed."""

_RENEWAL_SECONDS: Final = 4.0
_POLL_SECONDS: Final = 1.0


class LeaseError(Exception):
    """The lock was not acquired in time, or was lost; `str()` names the holder."""


class DeployLease:
    """Holds the lock in a `with` block; waits for another deploy that holds it.

    A Lease that has not changed for DURATION_SECONDS, by the clock of this process, belonged to a
    deploy that was killed, and is taken over.
    """

    def __init__(
        self,
        api: KubernetesApi,
        namespace: str,
        holder: str,
        *,
        timeout: float,
        on_wait: Callable[[str], None],
    ) -> None:
        """Prepare; nothing is requested yet.

        Args:
            api: The API server.
            namespace: Of the code location.
            holder: Who deploys, for the messages of others.
            timeout: How many seconds to wait for another deploy.
            on_wait: Is called once with the holder that is waited for.
        """
        self._api = api
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._holder = holder
        self._timeout = timeout
        self._on_wait = on_wait
        self._lease: Object = {}
        self._released = threading.Event()
        self._lost: str | None = None
        self._renewal = threading.Thread(target=self._renew, name="lease", daemon=True)

    def __enter__(self) -> "DeployLease":  # noqa: PYI034 - Self came with Python 3.11
        """Acquire the lock.

        Raises:
            LeaseError: Another deploy held it until the timeout.
            KubernetesApiError: The API server rejects the request.
        """
        self._acquire()
        self._renewal.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Release the lock. If that fails, it expires."""
        del kind, error, traceback
        self._released.set()
        self._renewal.join()
        if self._lost is None:
            try:
                uid = str(part(self._lease, "metadata").get("uid"))
                self._api.delete(f"{self._path}/{names.DEPLOY_LEASE}", uid=uid)
            except KubernetesApiError:
                return

    def check(self) -> None:
        """Raise LeaseError if another deploy has taken the lock over."""
        if self._lost is not None:
            raise LeaseError(
                f"Another deploy took over the lock, because this one did not renew it for "
                f"{DURATION_SECONDS} s: {self._lost}. Run the same command again."
            )

    def _acquire(self) -> None:
        deadline = time.monotonic() + self._timeout
        version, unchanged_since = "", time.monotonic()
        told = False
        while True:
            found = self._create_or_get()
            if found is None:
                return
            now = time.monotonic()
            current = str(part(found, "metadata").get("resourceVersion"))
            if current != version:
                version, unchanged_since = current, now
            elif now - unchanged_since >= DURATION_SECONDS and self._take_over(found):
                return
            other = str(part(found, "spec").get("holderIdentity") or "an unknown deploy")
            if now >= deadline:
                raise LeaseError(
                    f"Another deploy of this code location is not done after {self._timeout:.0f} "
                    f"s: {other}. Wait for it, or stop it, then run the same command again."
                )
            if not told:
                told = True
                self._on_wait(other)
            time.sleep(_POLL_SECONDS)

    def _create_or_get(self) -> Object | None:
        """Acquire a free lock, and return None; return the Lease if another deploy has it."""
        try:
            self._lease = self._api.create(self._path, self._body())
        except KubernetesApiError as error:
            if error.status != HTTPStatus.CONFLICT:
                raise
        else:
            return None
        try:
            return self._api.get(f"{self._path}/{names.DEPLOY_LEASE}")
        except KubernetesApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return self._create_or_get()

    def _take_over(self, found: Object) -> bool:
        return self._replace(found) is None

    def _replace(self, found: Object) -> KubernetesApiError | None:
        """Write the Lease over the given version of it; return the error if that fails."""
        metadata = part(found, "metadata")
        version = {key: metadata.get(key) for key in ("resourceVersion", "uid")}
        try:
            self._lease = self._api.replace(
                f"{self._path}/{names.DEPLOY_LEASE}", self._body(version)
            )
        except KubernetesApiError as error:
            return error
        return None

    def _renew(self) -> None:
        while not self._released.wait(_RENEWAL_SECONDS):
            error = self._replace(self._lease)
            if error and error.status in {HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND}:
                self._lost = error.message
                return

    def _body(self, metadata: dict[str, Any] | None = None) -> dict[str, Any]:
        now = datetime.now(tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": names.DEPLOY_LEASE, **(metadata or {})},
            "spec": {
                "holderIdentity": self._holder,
                "leaseDurationSeconds": DURATION_SECONDS,
                "renewTime": now,
            },
        }
