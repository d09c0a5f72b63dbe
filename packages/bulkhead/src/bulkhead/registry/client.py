"""Reads, pushes and deletes images of one registry; waits for a registry that does not answer."""

import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import requests
from dxf.exceptions import DXFError

from bulkhead.registry.credentials import Credentials
from bulkhead.registry.errors import RegistryError, explain
from bulkhead.registry.manifests import (
    Descriptor,
    Image,
    StoredImage,
    choose,
    manifest_format,
)
from bulkhead.registry.reference import DOCKER_HUB
from bulkhead.registry.repository import Repository

_T = TypeVar("_T")

TIMEOUT_SECONDS: Final = 90.0
"""How long a request waits for a registry that does not answer, such as one that restarts."""

_FIRST_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 5.0

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

        def head(opened: Repository) -> str:
            digest, _ = opened.head_manifest_and_response(reference)
            return digest or _digest(opened.get_manifest_and_response(reference)[1].content)

        return self.request(repository, _or_none(head))

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
        size = self.request(repository, _or_none(lambda opened: opened.blob_size(digest)))
        return size is not None

    def push_blob(self, repository: str, file: Path) -> str:
        """Push a file as a blob, also if the repository has it; return its digest."""
        return self.request(
            repository, lambda opened: opened.push_blob(str(file), check_exists=False)
        )

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
        for tag in tags:
            self.request(
                repository, lambda opened, tag=tag: opened.set_manifest(tag, manifest.decode())
            )
        return _digest(manifest)

    def tags(self, repository: str) -> list[str]:
        """Return all tags of a repository, sorted; empty if it does not exist."""
        found = self.request(repository, _or_none(lambda opened: list(opened.list_aliases())))
        return sorted(found or ())

    def delete(self, repository: str, digest: str) -> None:
        """Delete a manifest and all of its tags; nothing happens if it does not exist.

        Raises:
            RegistryError: The registry does not answer, or does not allow deletion.
        """
        self.request(repository, _or_none(lambda opened: opened.delete_manifest(digest)))

    def request(self, repository: str, do: Callable[[Repository], _T]) -> _T:
        """Do a request to a repository; retry it after temporary errors until the timeout.

        Raises:
            RegistryError: The registry does not answer, or refuses.
        """
        opened = self._repository(repository)
        deadline = time.monotonic() + self._timeout
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                return do(opened)
            # The library raises ValueError and KeyError for answers that it cannot read.
            except (requests.RequestException, DXFError, ValueError, KeyError) as failure:
                user = self._credentials.username if self._credentials else None
                error = explain(failure, self.host, repository, user)
                if not error.is_temporary:
                    raise error from failure
                left = deadline - time.monotonic()
                if left <= pause:
                    raise RegistryError(
                        f"{error} Timed out after {self._timeout:.0f} s. Check that the registry "
                        "runs and that this machine reaches it.",
                        is_temporary=True,
                    ) from failure
            self._report(f"{error} Retrying for up to {left:.0f} s.")
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    def _manifest(self, repository: str, reference: str) -> tuple[str, Mapping[str, Any] | None]:
        """Return digest and content of a manifest; content None if there is none."""
        answer = self.request(
            repository, _or_none(lambda opened: opened.get_manifest_and_response(reference)[1])
        )
        if answer is None:
            return "", None
        return _digest(answer.content), cast("Mapping[str, Any]", answer.json())

    def _blob(self, repository: str, digest: str) -> bytes:
        def pull(opened: Repository) -> bytes:
            return b"".join(cast("list[bytes]", opened.pull_blob(digest)))

        return self.request(repository, pull)

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


def _or_none(do: Callable[[Repository], _T]) -> Callable[[Repository], _T | None]:
    """Return a request that returns None if the registry answers that it does not exist."""

    def request(opened: Repository) -> _T | None:
        try:
            return do(opened)
        except requests.HTTPError as error:
            if error.response is not None and error.response.status_code == HTTPStatus.NOT_FOUND:
                return None
            raise

    return request


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
