"""A small client of the Kubernetes API over urllib3: the requests that this package needs.

The `kubernetes` package is not imported here: that takes 95 MiB of memory and 1.1 s of CPU. This
module and all that it imports take 25 MiB and 0.1 s (resident set after `import`, CPython 3.11 on
x86-64), and workspace-sync and the reconciler run beside every web server and daemon. Where the
`kubernetes` package is loaded anyway, `KubernetesApi.of_configuration` uses its connection.
"""

import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import urllib3
from urllib3.exceptions import HTTPError, ProtocolError

from bulkhead.kube.objects import part

if TYPE_CHECKING:
    from kubernetes.client import Configuration

_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")

_CONNECT_SECONDS: Final = 5.0
_READ_SECONDS: Final = 15.0
# More than there are threads: urllib3 warns of each connection that it cannot keep.
_CONNECTIONS: Final = 100

# Requests that have the same effect when they are sent twice.
_IDEMPOTENT: Final = frozenset({"GET", "PATCH", "DELETE"})

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
    """A request failed.

    `status` is the HTTP status, None where there was no answer. `message` is the API server's own,
    where it sent one; `str()` begins with the status. `reason` is the API server's word for it,
    such as `AlreadyExists`.
    """

    def __init__(self, message: str, status: int | None = None, reason: str | None = None) -> None:
        """Keep the message for people, status and reason for code."""
        super().__init__(message if status is None else f"{status}: {message}")
        self.message = message
        self.status = status
        self.reason = reason


class OutsideClusterError(RuntimeError):
    """This process does not run in a pod with a service account."""


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One line of a watch: ADDED, MODIFIED, DELETED, BOOKMARK or ERROR, and its object."""

    type: str
    object: Mapping[str, Any]


class KubernetesApi:
    """A connection pool to one API server, safe for use by several threads.

    It is long because it has a method for each verb and way to connect, and nothing else.
    """

    def __init__(
        self,
        url: str,
        pool: urllib3.PoolManager | None = None,
        credentials: Callable[[], Mapping[str, str]] = dict[str, str],
    ) -> None:
        """Prepare; nothing is connected yet.

        Args:
            url: For example `https://10.96.0.1:443`.
            pool: The connections.
            credentials: Returns the headers that authenticate a request. Called for each request.
        """
        self._url = url.rstrip("/")
        self._pool = pool or urllib3.PoolManager(
            maxsize=_CONNECTIONS, socket_options=_SOCKET_OPTIONS
        )
        self._credentials = credentials

    @classmethod
    def in_cluster(cls) -> "KubernetesApi":
        """Connect as this pod's service account.

        Raises:
            OutsideClusterError: This process is not in a pod, or its token is not mounted.
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
        pool = urllib3.PoolManager(
            maxsize=_CONNECTIONS,
            # Read with each new connection, so the file may change.
            ca_certs=str(_ACCOUNT / "ca.crt"),
            socket_options=_SOCKET_OPTIONS,
        )
        return cls(f"https://{host}:{port}", pool, _account_token)

    @classmethod
    def of_configuration(cls, configuration: "Configuration") -> "KubernetesApi":
        """Connect as the `kubernetes` package is configured to: server, certificates, proxy, token.

        A token that the configuration renews (a service account's, an exec plugin's) is renewed
        here too.
        """
        settings: Any = configuration  # the package carries no types
        tls: dict[str, Any] = {
            "cert_reqs": "CERT_REQUIRED" if settings.verify_ssl else "CERT_NONE",
            "ca_certs": settings.ssl_ca_cert or _public_authorities(),
            "cert_file": settings.cert_file,
            "key_file": settings.key_file,
            "assert_hostname": settings.assert_hostname,
            "server_hostname": settings.tls_server_name,
        }
        options: dict[str, Any] = {
            **{name: value for name, value in tls.items() if value is not None},
            "maxsize": _CONNECTIONS,
            "socket_options": _SOCKET_OPTIONS,
        }
        if settings.proxy and not _bypasses_proxy(settings.host, settings.no_proxy):
            pool = urllib3.ProxyManager(
                settings.proxy, proxy_headers=settings.proxy_headers, **options
            )
        else:
            pool = urllib3.PoolManager(**options)

        def credentials() -> Mapping[str, str]:
            try:
                headers = settings.auth_settings().values()
            except Exception as error:  # a hook of any authentication plugin
                raise KubernetesApiError(f"the credentials cannot be read: {error}") from error
            return {each["key"]: each["value"].strip() for each in headers if each["value"]}

        return cls(settings.host, pool, credentials)

    @property
    def address(self) -> str:
        """The API server's URL."""
        return self._url

    @staticmethod
    def own_namespace() -> str:
        """Return the namespace of this pod.

        Raises:
            OutsideClusterError: This process is not in a pod, or its token is not mounted.
        """
        try:
            return (_ACCOUNT / "namespace").read_text().strip()
        except OSError as error:
            raise OutsideClusterError(
                f"{_ACCOUNT}/namespace cannot be read ({error.strerror}). "
                "Outside a pod say which with --namespace."
            ) from error

    def get(
        self, path: str, query: Mapping[str, str] | None = None, accept: str = "application/json"
    ) -> dict[str, Any]:
        """Read an object or a list.

        Args:
            path: For example `/api/v1/namespaces/shop/pods`.
            query: Parameters of the URL.
            accept: The media type, which must be a kind of JSON.

        Raises:
            KubernetesApiError: No answer, a refusal, or an answer that is not a JSON object.
        """
        response = self._request("GET", path, query=query, headers={"Accept": accept})
        return self._object(path, response)

    def text(self, path: str, query: Mapping[str, str]) -> str:
        """Read plain text, such as the log of a container.

        Raises:
            KubernetesApiError: No answer, or a refusal.
        """
        response = self._request("GET", path, query=query, headers={"Accept": "*/*"})
        return response.data.decode(errors="replace")

    def pages(
        self, path: str, query: Mapping[str, str], *, size: int
    ) -> Iterator[Mapping[str, Any]]:
        """Read a collection, `size` objects at a time.

        Yields:
            Lists as the API gives them: `items` and `metadata`. All of them are of one moment.

        Raises:
            KubernetesApiError: As for `get`, or the answer is not a list. The pages before are
                then not the whole collection.
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
                raise KubernetesApiError(
                    f"{self._url}{path} answered, but not with a list: {str(page)[:80]}"
                )
            yield page
            token = str(part(page, "metadata").get("continue") or "")
            if not token:
                return

    def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object.

        Raises:
            KubernetesApiError: As for `get`; status 409 where it exists.
        """
        response = self._request("POST", path, body=body)
        return self._object(path, response)

    def replace(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Replace an object with a newer version of it, and return it.

        Raises:
            KubernetesApiError: As for `get`; status 409 if the object has another
                `metadata.resourceVersion` by now than `body`, 404 where there is no such object.
        """
        response = self._request("PUT", path, body=body)
        return self._object(path, response)

    def patch(self, path: str, changes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Change an object, and return it.

        Args:
            path: Of the object, or of a subresource of it.
            changes: Operations of a JSON Patch (RFC 6902).

        Raises:
            KubernetesApiError: As for `get`; status 404 where there is no such object.
        """
        headers = {"Content-Type": "application/json-patch+json"}
        response = self._request("PATCH", path, body=changes, headers=headers)
        return self._object(path, response)

    def merge(self, path: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Change some fields of an object, also where a parent of them is absent, and return it.

        Args:
            path: Of the object.
            changes: A JSON Merge Patch (RFC 7386): the fields to set; None removes a field.

        Raises:
            KubernetesApiError: As for `patch`.
        """
        headers = {"Content-Type": "application/merge-patch+json"}
        response = self._request("PATCH", path, body=changes, headers=headers)
        return self._object(path, response)

    def delete(self, path: str, *, uid: str | None = None) -> None:
        """Delete an object, and let the cluster remove what it owns.

        Args:
            path: Of the object.
            uid: Delete the object only if it has this uid, and no other has its name by now.

        Raises:
            KubernetesApiError: As for `get`; status 404 where it is gone, 409 where another has
                its name.
        """
        options: dict[str, Any] = {"propagationPolicy": "Background"}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        self._request("DELETE", path, body=options)

    def watch(
        self, path: str, query: Mapping[str, str], *, seconds: int, silence: float
    ) -> Iterator[WatchEvent]:
        """Follow the changes of a collection until the server ends the watch.

        Args:
            path: Of the collection.
            query: `resourceVersion`, and what narrows the collection.
            seconds: When the server shall end the watch.
            silence: Seconds without a byte after which the connection counts as broken.

        Raises:
            KubernetesApiError: A refusal, the connection broke, or a line was not an event. A last
                line without its end is ignored: the server sends it again to who resumes from the
                event before.
        """
        response = self._request(
            "GET",
            path,
            query={**query, "watch": "true", "timeoutSeconds": str(seconds)},
            read_seconds=silence,
            stream=True,
        )
        try:
            rest = b""
            for chunk in response.stream(2**16):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (_watch_event(line) for line in lines if line.strip())
        except (HTTPError, OSError) as error:
            raise KubernetesApiError(f"the connection broke: {_cause(error)}") from error
        finally:
            # Not release_conn: the rest of an unfinished answer would be the next one's beginning.
            response.close()

    def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        read_seconds: float = _READ_SECONDS,
        stream: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        def send() -> urllib3.BaseHTTPResponse:
            return self._pool.request(
                method,
                self._url + path,
                fields=dict(query) if query is not None else None,
                json=body,
                headers={
                    "Accept": "application/json",
                    "User-Agent": "bulkhead",
                    **self._credentials(),
                    **(headers or {}),
                },
                timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=read_seconds),
                preload_content=not stream,
                redirect=False,
                retries=False,
            )

        try:
            try:
                response = send()
            except ProtocolError:
                # The server may close an idle connection just when it is used again.
                if method not in _IDEMPOTENT:
                    raise
                response = send()
            if response.status >= 300:  # noqa: PLR2004 - the end of HTTP's successes
                raise _refusal(response)
        except (HTTPError, OSError) as error:
            raise KubernetesApiError(f"{self._url} does not answer: {_cause(error)}") from error
        return response

    def _object(self, path: str, response: urllib3.BaseHTTPResponse) -> dict[str, Any]:
        try:
            return _json_object(response.data)
        except ValueError as error:
            raise KubernetesApiError(f"{self._url}{path} answered, but {error}") from error


def _account_token() -> Mapping[str, str]:
    """Read the token with each request: the kubelet replaces it before it expires."""
    return {"Authorization": f"Bearer {(_ACCOUNT / 'token').read_text().strip()}"}


def _public_authorities() -> str:
    """Return the file of authorities that the `kubernetes` package uses where none is named."""
    import certifi

    return certifi.where()


def _bypasses_proxy(url: str, no_proxy: str | None) -> bool:
    """Say whether NO_PROXY, or the setting for it, excludes a URL; networks (CIDR) count too."""
    from requests.utils import should_bypass_proxies  # the kubernetes package needs it, too

    return should_bypass_proxies(url, no_proxy)


def _json_object(data: bytes) -> dict[str, Any]:
    """Return a JSON object; raises ValueError with what it is instead."""
    try:
        value = json.loads(data)
    except ValueError as error:
        raise ValueError(f"not with JSON: {data[:80]!r}") from error
    if not isinstance(value, dict):
        raise ValueError(f"not with a JSON object: {data[:80]!r}")  # noqa: TRY004 - it is data
    return cast("dict[str, Any]", value)


def _watch_event(line: bytes) -> WatchEvent:
    try:
        event = _json_object(line)
    except ValueError:
        event = {}
    if not isinstance(event.get("type"), str) or not isinstance(event.get("object"), dict):
        raise KubernetesApiError(f"a line of the watch is not an event: {line[:80]!r}")
    return WatchEvent(event["type"], event["object"])


def _refusal(response: urllib3.BaseHTTPResponse) -> KubernetesApiError:
    """Return the API server's own words (a Status object), else the beginning of the answer."""
    data = response.data
    try:
        status = _json_object(data)
    except ValueError:
        status = {}
    start = data[:200].decode(errors="replace").strip()
    message = status.get("message") or f"{response.reason or 'no reason'}: {start}"
    return KubernetesApiError(str(message), response.status, status.get("reason"))


def _cause(error: BaseException) -> str:
    """Return the innermost reason: urllib3 wraps one error in another."""
    while isinstance(inner := getattr(error, "reason", None) or error.__cause__, BaseException):
        error = inner
    return str(error) or type(error).__name__
