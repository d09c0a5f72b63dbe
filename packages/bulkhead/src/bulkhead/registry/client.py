"""Reads, pushes and deletes images of one registry; waits for a registry that does not answer."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import requests

from bulkhead.registry.credentials import Credentials
from bulkhead.registry.errors import explain
from bulkhead.registry.manifests import (
    Descriptor,
    Image,
    StoredImage,
    choose,
    manifest_format,
)
from bulkhead.registry.reference import DOCKER_HUB
from bulkhead.registry.repository import Repository
from bulkhead.registry.retry import retried

_T = TypeVar("_T")

TIMEOUT_SECONDS: Final = 90.0
"""How long a request waits for a registry that does not answer, such as one that restarts."""

# The host of Docker Hub's API is not the one in the names of its images.
_API_HOSTS: Final = {DOCKER_HUB: "registry-1.docker.io"}


class Registry:
    """One registry. Several threads may use it.

    A request that fails with a temporary error is retried until the timeout.
    """

    def __init__(
        self,
        host: str,
        *,
        plain_http: bool,
        credentials: Credentials | None,
        timeout: float = TIMEOUT_SECONDS,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Prepare; nothing is connected yet.

        Args:
            host: With its port, if it is not the default one.
            plain_http: HTTP without TLS.
            credentials: Used if the registry requests them.
            timeout: Seconds for which each request is retried after a temporary error.
            report: Called with a line before each retry.
        """
        self.host = host
        self._plain_http = plain_http
        self._credentials = credentials
        self._timeout = timeout
        self._report = report
        self._repositories: dict[str, Repository] = {}

    def digest(self, repository: str, reference: str) -> str | None:
        """Return the digest of the manifest with a tag or digest; None if there is none.

        Raises:
            RegistryError: As every method does: the registry does not answer, or refuses.
        """
        opened = self._repository(repository)

        def head() -> str | None:
            digest, _ = opened.head_manifest_and_response(reference)
            return digest or _digest(opened.get_manifest_and_response(reference)[1].content)

        return self._retried(repository, lambda: _none_if_missing(head))

    def image(
        self, repository: str, reference: str, architecture: str | None = None
    ) -> StoredImage | None:
        """Return an image; None if there is none.

        Args:
            repository: Without the host.
            reference: Tag or digest. Of a list of manifests, the one for Linux is chosen.
            architecture: As `manifests.choose` takes it.

        Raises:
            RegistryError: The registry does not answer, or the image has an unknown format.
        """
        digest, manifest = self._manifest(repository, reference)
        # The media type may be missing in OCI's lists.
        if manifest is not None and "manifests" in manifest:
            chosen = choose(manifest["manifests"], architecture)
            digest, manifest = self._manifest(repository, chosen)
        if manifest is None:
            return None
        config = Descriptor.of_json(manifest["config"])
        return StoredImage(
            format=manifest_format(manifest),
            config=json.loads(self._blob(repository, config.digest)),
            layers=tuple(Descriptor.of_json(each) for each in manifest["layers"]),
            digest=digest,
        )

    def has_blob(self, repository: str, digest: str) -> bool:
        """Return whether the repository has a blob, such as a layer."""
        opened = self._repository(repository)
        size = self._retried(repository, lambda: _none_if_missing(lambda: opened.blob_size(digest)))
        return size is not None

    def push_blob(self, repository: str, file: Path) -> str:
        """Push a file as a blob, also if the repository has it; return its digest."""
        opened = self._repository(repository)
        return self._retried(repository, lambda: opened.push_blob(str(file), check_exists=False))

    def push_image(self, repository: str, image: Image, *tags: str) -> str:
        """Push configuration and manifest under tags; return the digest of the manifest.

        The repository must already have the layers.
        """
        content = image.config_bytes()
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            digest = self.push_blob(repository, Path(file.name))
        config = Descriptor(image.format.config, digest, len(content))
        manifest = image.manifest_bytes(config)
        opened = self._repository(repository)
        for tag in tags:
            self._retried(repository, lambda tag=tag: opened.set_manifest(tag, manifest.decode()))
        return _digest(manifest)

    def tags(self, repository: str) -> list[str]:
        """Return all tags of a repository, sorted; empty if it does not exist."""
        opened = self._repository(repository)
        found = self._retried(
            repository, lambda: _none_if_missing(lambda: list(opened.list_aliases()))
        )
        return sorted(found or ())

    def delete(self, repository: str, digest: str) -> None:
        """Delete a manifest and all of its tags; nothing happens if it does not exist.

        Raises:
            RegistryError: The registry does not answer, or does not allow deletion.
        """
        opened = self._repository(repository)
        self._retried(repository, lambda: _none_if_missing(lambda: opened.delete_manifest(digest)))

    def _manifest(self, repository: str, reference: str) -> tuple[str, Mapping[str, Any] | None]:
        """Return digest and content of a manifest; content None if there is none."""
        opened = self._repository(repository)
        answer = self._retried(
            repository,
            lambda: _none_if_missing(lambda: opened.get_manifest_and_response(reference)[1]),
        )
        if answer is None:
            return "", None
        return _digest(answer.content), cast("Mapping[str, Any]", answer.json())

    def _blob(self, repository: str, digest: str) -> bytes:
        opened = self._repository(repository)

        def pull() -> bytes:
            return b"".join(cast("list[bytes]", opened.pull_blob(digest)))

        return self._retried(repository, pull)

    def _repository(self, name: str) -> Repository:
        """Return a repository with its own connections, which later requests use again."""
        if name not in self._repositories:
            opened = Repository(
                _API_HOSTS.get(self.host, self.host),
                name,
                plain_http=self._plain_http,
                credentials=self._credentials,
            )
            # Keeps its connections until this object is gone.
            self._repositories[name] = opened.__enter__()
        return self._repositories[name]

    def _retried(self, repository: str, request: Callable[[], _T]) -> _T:
        user = self._credentials.username if self._credentials else None
        return retried(
            request,
            lambda error: explain(error, self.host, repository, user),
            timeout=self._timeout,
            report=self._report,
        )


def _none_if_missing(request: Callable[[], _T]) -> _T | None:
    """Return what a request returns; None if the registry answers that it does not exist."""
    try:
        return request()
    except requests.HTTPError as error:
        if error.response is not None and error.response.status_code == HTTPStatus.NOT_FOUND:
            return None
        raise


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
