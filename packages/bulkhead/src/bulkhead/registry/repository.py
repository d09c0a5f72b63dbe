"""One repository over python-dxf, with what that library leaves out."""

import base64

import requests
from dxf import DXF, DXFBase

from bulkhead.registry.credentials import Credentials

ANSWER_SECONDS = 20.0
"""Timeout for a connection, and for each wait for the next bytes of an answer."""


class Repository(DXF):
    """A repository that logs in when the registry requests it.

    python-dxf refuses to send a password over plain HTTP, but the registry of a local cluster has
    users and no TLS. It also deletes only by a tag, and pushes only some manifests.
    """

    def __init__(
        self, host: str, name: str, *, plain_http: bool, credentials: Credentials | None
    ) -> None:
        """Prepare; nothing is connected yet."""
        super().__init__(host, name, auth=_log_in, insecure=plain_http, timeout=ANSWER_SECONDS)
        self.credentials = credentials

    def log_in(self, response: requests.Response) -> None:
        """Get a token, or set the header with user and password, as the answer 401 requests."""
        user = self.credentials
        scheme = response.headers.get("www-authenticate", "").partition(" ")[0].lower()
        if scheme == "bearer":
            pair = (user.username, user.password) if user else (None, None)
            self.authenticate(*pair, response=response)
        elif user is not None:
            encoded = base64.b64encode(f"{user.username}:{user.password}".encode()).decode()
            self._headers = {"Authorization": f"Basic {encoded}"}

    def push_manifest(self, reference: str, content: bytes, media_type: str) -> None:
        """Push a manifest as it is; the library reads the media type from it, which may lack it."""
        headers = {"Content-Type": media_type}
        self._request("put", f"manifests/{reference}", data=content, headers=headers)  # pyright: ignore[reportUnknownMemberType]

    def delete_manifest(self, digest: str) -> None:
        """Delete a manifest, and with it all of its tags."""
        # The library's method carries no types.
        self._request("delete", f"manifests/{digest}")  # pyright: ignore[reportUnknownMemberType]


def _log_in(repository: DXFBase, response: requests.Response) -> None:
    if isinstance(repository, Repository):
        repository.log_in(response)
