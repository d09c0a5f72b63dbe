"""The few calls of the Kubernetes API that workspace-sync and the reconciler need, over urllib3.

The official client is not used here: importing it takes 95 MiB of memory and 1.1 s of CPU, this
module and all it imports 25 MiB and 0.1 s (resident set at the end of `import`, CPython 3.11 on
x86-64), and these two run beside every web server and daemon.
"""

import json
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import urllib3
from urllib3.exceptions import HTTPError

_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")

_CONNECT_SECONDS: Final = 5.0
_READ_SECONDS: Final = 15.0
# How long the server may stay silent after the end that a watch asked for.
_WATCH_GRACE_SECONDS: Final = 15.0

# A peer that vanished without a word (a node gone, a dropped NAT entry) is noticed after
# 15 and three times 5 seconds of silence; without this a watch would wait for its read timeout.
_SOCKET_OPTIONS: Final = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),  # urllib3's own default
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
]


class KubernetesApiError(Exception):
    """The API did not do what it was asked; `status` is its HTTP status, None without answer."""

    def __init__(self, message: str, status: int | None = None) -> None:
        """Keep the message for people and the status for code."""
        super().__init__(message)
        self.status = status


class OutsideClusterError(RuntimeError):
    """This process does not run in a pod with a service account."""


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One line of a watch: ADDED, MODIFIED, DELETED, BOOKMARK or ERROR, and its object."""

    type: str
    object: Mapping[str, Any]


class KubernetesApi:
    """A connection pool to one API server, safe for use by several threads."""

    def __init__(
        self, url: str, ca_file: Path | None = None, token_file: Path | None = None
    ) -> None:
        """Prepare the pool; nothing is connected yet.

        Args:
            url: For example `https://10.96.0.1:443`.
            ca_file: The authority that signed the server's certificate; read again with each
                connection, so it may change.
            token_file: A bearer token; read again with each request, because the kubelet
                replaces it before it expires.
        """
        self._url = url
        self._token_file = token_file
        self._pool = urllib3.PoolManager(
            maxsize=4,
            retries=False,
            ca_certs=str(ca_file) if ca_file else None,
            socket_options=_SOCKET_OPTIONS,
        )

    @classmethod
    def in_cluster(cls) -> "KubernetesApi":
        """Connect as this pod's service account.

        Raises:
            OutsideClusterError: This is no pod, or its token is not mounted.
        """
        host = os.environ.get("KUBERNETES_SERVICE_HOST")
        port = os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        if not host or not (_ACCOUNT / "token").exists():
            raise OutsideClusterError(
                "This command uses the Kubernetes API as its pod's service account, but "
                f"{_ACCOUNT}/token or KUBERNETES_SERVICE_HOST is missing. Run it in a pod with "
                "automountServiceAccountToken: true."
            )
        host = f"[{host}]" if ":" in host else host
        return cls(f"https://{host}:{port}", _ACCOUNT / "ca.crt", _ACCOUNT / "token")

    @staticmethod
    def own_namespace() -> str:
        """Return the namespace of this pod.

        Raises:
            OutsideClusterError: This is no pod, or its token is not mounted.
        """
        try:
            return (_ACCOUNT / "namespace").read_text().strip()
        except OSError as error:
            raise OutsideClusterError(
                f"{_ACCOUNT}/namespace cannot be read ({error.strerror}). "
                "Outside a pod say which with --namespace."
            ) from error

    def get(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        """Read an object or a list.

        Raises:
            KubernetesApiError: No answer, a refusal, or an answer that is not a JSON object.
        """
        response = self._request("GET", path, query=query, read_seconds=_READ_SECONDS)
        return _json_object(response.data)

    def pages(
        self, path: str, query: Mapping[str, str], *, size: int
    ) -> Iterator[Mapping[str, Any]]:
        """Read a collection, `size` objects at a time.

        Yields:
            Lists as the API gives them: `items` and `metadata`. All of them are of one moment.

        Raises:
            KubernetesApiError: As for `get`, or an answer that is no list. What was read until
                then is no whole collection.
        """
        token = ""
        while True:
            page = self.get(
                path, {**query, "limit": str(size), **({"continue": token} if token else {})}
            )
            # A proxy before the API may answer 200 with something else. Not a list: not empty.
            if not str(page.get("kind", "")).endswith("List") or not isinstance(
                page.get("items"), list | None
            ):
                raise KubernetesApiError(f"the answer is not a list: {str(page)[:80]}")
            yield page
            token = (page.get("metadata") or {}).get("continue") or ""
            if not token:
                return

    def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object.

        Raises:
            KubernetesApiError: As for `get`; status 409 where it exists.
        """
        response = self._request("POST", path, body=body, read_seconds=_READ_SECONDS)
        return _json_object(response.data)

    def delete(self, path: str, *, uid: str) -> None:
        """Delete an object, and let the cluster remove what it owns.

        Args:
            path: Of the object.
            uid: Which object is meant: not another that has been given its name since.

        Raises:
            KubernetesApiError: As for `get`; status 404 where it is gone, 409 where another has
                its name.
        """
        options = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        self._request("DELETE", path, body=options, read_seconds=_READ_SECONDS)

    def watch(self, path: str, query: Mapping[str, str], seconds: int) -> Iterator[WatchEvent]:
        """Follow the changes of a collection for at most `seconds`.

        Raises:
            KubernetesApiError: The connection broke, or a line was not an event. A last line
                without its end is passed over: the list that follows a watch makes up for it.
        """
        response = self._request(
            "GET",
            path,
            query={**query, "watch": "true", "timeoutSeconds": str(seconds)},
            read_seconds=seconds + _WATCH_GRACE_SECONDS,
            stream=True,
        )
        try:
            rest = b""
            for chunk in response.stream(2**16):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (_watch_event(line) for line in lines if line.strip())
        except (HTTPError, OSError) as error:
            raise KubernetesApiError(f"the watch broke off: {_cause(error)}") from error
        finally:
            # Not release_conn: the rest of an unfinished answer would be the next one's beginning.
            response.close()

    def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        read_seconds: float,
        stream: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        headers = {"Accept": "application/json", "User-Agent": "bulkhead"}
        try:
            if self._token_file is not None:
                headers["Authorization"] = f"Bearer {self._token_file.read_text().strip()}"
            response = self._pool.request(
                method,
                self._url + path,
                fields=dict(query) if query is not None else None,
                json=body,
                headers=headers,
                timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=read_seconds),
                preload_content=not stream,
                redirect=False,
            )
            if response.status >= 300:  # noqa: PLR2004 - the end of HTTP's successes
                raise KubernetesApiError(_refused(response), response.status)
        except (HTTPError, OSError) as error:
            raise KubernetesApiError(f"{self._url} does not answer: {_cause(error)}") from error
        return response


def _json_object(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError as error:
        raise KubernetesApiError(f"the answer is not JSON: {data[:80]!r}") from error
    if not isinstance(value, dict):
        raise KubernetesApiError(f"the answer is not an object: {data[:80]!r}")
    return cast("dict[str, Any]", value)


def _watch_event(line: bytes) -> WatchEvent:
    event = _json_object(line)
    if not isinstance(event.get("type"), str) or not isinstance(event.get("object"), dict):
        raise KubernetesApiError(f"a line of the watch is not an event: {line[:80]!r}")
    return WatchEvent(event["type"], event["object"])


def _refused(response: urllib3.BaseHTTPResponse) -> str:
    """Return the API's own words (a Status object), else the beginning of what came."""
    data = response.data
    try:
        return f"{response.status}: {_json_object(data)['message']}"
    except (KubernetesApiError, KeyError):
        return f"{response.status}: {data[:200].decode(errors='replace')}"


def _cause(error: BaseException) -> str:
    """Return the innermost reason: urllib3 wraps one error in another."""
    while isinstance(inner := getattr(error, "reason", None) or error.__cause__, BaseException):
        error = inner
    return str(error) or type(error).__name__
