"""The requests of a load check: create the pod, read its log, delete it."""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from bulkhead import names
from bulkhead.deploy.load_check import sentences
from bulkhead.deploy.load_check.errors import LoadCheckError
from bulkhead.deploy.load_check.progress import Clock, Stage
from bulkhead.kube.api import KubernetesApi, KubernetesApiError
from bulkhead.kube.objects import Object, labels, parts
from bulkhead.steps import refusals
from bulkhead.steps.verdicts import Cause

_logger = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 3.0

_RETRY_SECONDS: Final = 15.0
"""How long the log is read and the pod deleted again if the API server does not answer. A pod that
could not be deleted is ended by its own deadline, and deleted by the next check."""

_LOG_LINES: Final = 5000
"""More than the largest report has."""

_TEMPORARY: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
_RIGHTS: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


class _Rejection(NamedTuple):
    """Why the pod was not created, and whether the next request may succeed."""

    error: LoadCheckError
    may_pass: bool


class PodRequests:
    """The pod of one load check at the API server."""

    def __init__(
        self, api: KubernetesApi, namespace: str, manifest: Mapping[str, Any], clock: Clock
    ) -> None:
        """Prepare; nothing is requested yet."""
        self.name: Final = str(manifest["metadata"]["name"])
        self.location: Final = labels(manifest).get(names.CODE_LOCATION_LABEL, "")
        self.namespace: Final = namespace
        self._container = str(parts(manifest, "spec", "containers")[0]["name"])
        self._path = f"/api/v1/namespaces/{namespace}/pods"
        self._api = api
        self._manifest = manifest
        self._clock = clock
        self._may_exist = False

    def create(self) -> Object:
        """Create the pod; wait while the quota has no room or the API server does not answer.

        Raises:
            LoadCheckError: it is rejected, or cannot be created in time.
        """
        for pause in _pauses():
            self._may_exist = True
            try:
                return self._api.create(self._path, self._manifest)
            except KubernetesApiError as failure:
                if failure.reason == "AlreadyExists":
                    # An earlier request succeeded, and only its answer was lost.
                    return self._get()
                rejection = self._rejection(failure)
                if not rejection.may_pass:
                    self._may_exist = False
                if not rejection.may_pass or self._clock.is_over:
                    raise rejection.error from failure
                self._clock.enter(rejection.error.stage, failure.message)
            time.sleep(min(pause, self._clock.remaining))
        raise AssertionError  # the pauses never end

    def log(self, *, until_end: bool = False) -> str:
        """Return the end of the pod's log; empty where there is none.

        Args:
            until_end: wait until the container has ended.

        Raises:
            LoadCheckError: the account must not read logs.
        """
        query = {"container": self._container, "tailLines": str(_LOG_LINES)}
        if until_end:
            query["follow"] = "true"
        end = time.monotonic() + _RETRY_SECONDS
        for pause in _pauses():
            try:
                return self._api.text(f"{self._path}/{self.name}/log", query)
            except KubernetesApiError as failure:
                if failure.status in _RIGHTS:
                    raise self.missing_rights("read the logs of pods", failure) from failure
                if not is_temporary(failure) or time.monotonic() > end:
                    _logger.info("The log of pod %s cannot be read: %s", self.name, failure)
                    return ""
            time.sleep(pause)
        raise AssertionError  # the pauses never end

    def delete(self) -> None:
        """Delete the pod if there is one; log it if this fails."""
        if not self._may_exist:
            return
        end = time.monotonic() + _RETRY_SECONDS
        for pause in _pauses():
            try:
                self._api.delete(f"{self._path}/{self.name}")
            except KubernetesApiError as failure:
                if failure.status == HTTPStatus.NOT_FOUND:
                    return
                if not is_temporary(failure) or time.monotonic() > end:
                    _logger.warning("Pod %s cannot be deleted: %s", self.name, failure)
                    return
            else:
                return
            time.sleep(pause)

    def delete_abandoned(self, names: Iterable[str]) -> None:
        """Delete pods of earlier checks; the next check tries again where it fails."""
        for name in names:
            with suppress(KubernetesApiError):
                self._api.delete(f"{self._path}/{name}")

    def missing_rights(self, verb: str, failure: KubernetesApiError) -> LoadCheckError:
        """Return the error that the account must not do something, such as `create pods`."""
        cause = sentences.of_missing_rights(verb, self.namespace, self.location, failure.message)
        return LoadCheckError("Forbidden", self._clock.stage, cause)

    def _get(self) -> Object:
        try:
            return self._api.get(f"{self._path}/{self.name}")
        except KubernetesApiError as failure:
            cause = sentences.of_no_answer(failure.message, self._clock.elapsed)
            raise LoadCheckError(Cause.API.value, Stage.CREATING, cause) from failure

    def _rejection(self, failure: KubernetesApiError) -> _Rejection:
        if failure.status == HTTPStatus.NOT_FOUND:
            cause = sentences.of_missing_namespace(self.namespace, self.location)
            return _Rejection(
                LoadCheckError("NamespaceNotFound", Stage.CREATING, cause), may_pass=False
            )
        if failure.status == HTTPStatus.UNAUTHORIZED or "cannot create resource" in failure.message:
            return _Rejection(self.missing_rights("create pods", failure), may_pass=False)
        verdict, may_pass = refusals.of_message(failure.message, "")
        if verdict.cause is Cause.REJECTED and not is_temporary(failure):
            cause = sentences.of_verdict(verdict)
            return _Rejection(LoadCheckError(verdict.cause.value, Stage.CREATING, cause), False)
        if verdict.cause is Cause.QUOTA:
            if may_pass:
                verdict = replace(verdict, waited=self._clock.elapsed)
            cause = sentences.of_verdict(verdict)
            return _Rejection(LoadCheckError(verdict.cause.value, Stage.QUOTA, cause), may_pass)
        cause = sentences.of_no_answer(failure.message, self._clock.elapsed)
        return _Rejection(LoadCheckError(Cause.API.value, Stage.CREATING, cause), may_pass=True)


def is_temporary(failure: KubernetesApiError) -> bool:
    """Whether the same request may succeed later."""
    status = failure.status
    return (
        status is None
        or status in _TEMPORARY
        or status >= HTTPStatus.INTERNAL_SERVER_ERROR
        or failure.reason == "Conflict"  # two requests have changed the quota at the same time
    )


def _pauses() -> Iterator[float]:
    pause = _FIRST_PAUSE_SECONDS
    while True:
        yield pause
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
