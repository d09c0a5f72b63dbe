"""The two ways to a web server: to its address, and through the Kubernetes API server."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

import urllib3

from bulkhead import names
from bulkhead.kube.api import KubernetesApiError
from bulkhead.webserver_api.errors import NoAnswerError, NotGraphQLError

_CONNECT_SECONDS: Final = 5.0
_SHOWN_CHARACTERS: Final = 200  # of an answer that is not GraphQL
_FIRST_HTTP_ERROR: Final = 300  # a redirect does not lead to the web server

# What `is_mutation` has to see of a document: strings and comments, to ignore what stands in them;
# brackets, to know what is at the top; and the word itself.
_SYMBOL: Final = re.compile(
    r'"""[\s\S]*?"""|"(?:\\.|[^"\\\n])*"|#[^\n]*|[{}()]|(?<![\w$])mutation\b'
)


class DirectTransport:
    """POST to an address over HTTP. The connection is kept between requests."""

    def __init__(self, url: str) -> None:
        """Prepare; nothing is connected yet.

        Args:
            url: The GraphQL endpoint, for example `http://127.0.0.1:3000/graphql`. No proxy of the
                environment is used.
        """
        self._url = url
        self._pool = urllib3.PoolManager(maxsize=1, retries=False)

    @property
    def address(self) -> str:
        """The URL."""
        return self._url

    def send(self, document: str, variables: Mapping[str, Any], timeout: float) -> object:
        """Send a document; return the JSON of the answer.

        Raises:
            NoAnswerError: There was no answer, or an HTTP error without GraphQL's `errors`.
            NotGraphQLError: The answer is not JSON.
        """
        try:
            response = self._pool.request(
                "POST",
                self._url,
                json={"query": document, "variables": dict(variables)},
                timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=timeout),
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise NoAnswerError(f"{self._url} does not answer: {type(error).__name__}") from error
        text = response.data.decode(errors="replace")
        try:
            answer: Any = json.loads(text)
        except ValueError as error:
            if response.status >= _FIRST_HTTP_ERROR:
                raise self._http_error(response.status, text) from error
            raise NotGraphQLError(
                f"{self._url} did not answer with JSON: {text[:_SHOWN_CHARACTERS]!r}"
            ) from error
        # Dagster reports GraphQL errors with status 400 or 500.
        is_graphql = isinstance(answer, dict) and ("errors" in answer or "data" in answer)
        if response.status >= _FIRST_HTTP_ERROR and not is_graphql:
            raise self._http_error(response.status, text)
        return cast("object", answer)

    def _http_error(self, status: int, text: str) -> NoAnswerError:
        shown = " ".join(text.split())[:_SHOWN_CHARACTERS]
        return NoAnswerError(f"{self._url} answered with HTTP status {status}: {shown}", status)


class ApiServer(Protocol):
    """What `ProxyTransport` needs of a Kubernetes client; `bulkhead.kube.api` has one."""

    def get(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        """Read JSON. Raises KubernetesApiError for no answer, and for an HTTP error."""
        ...

    def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Post JSON, and return JSON. Raises KubernetesApiError as `get` does."""
        ...


@dataclass(frozen=True, slots=True)
class ProxyTransport:
    """Through the API server's proxy of the web server's Service.

    No port has to be forwarded and no address has to be known. The right to `get` services/proxy is
    enough for documents that read; mutations need `create`.

    The timeout of a request is that of `api`.
    """

    api: ApiServer
    release: str = names.PLATFORM_NAMESPACE
    namespace: str = names.PLATFORM_NAMESPACE

    @property
    def address(self) -> str:
        """The Service and its namespace."""
        return f"web server {names.webserver(self.release)} in namespace {self.namespace}"

    @property
    def path(self) -> str:
        """The path of the GraphQL endpoint at the API server."""
        service = f"{names.webserver(self.release)}:{names.HTTP_PORT_NAME}"
        return f"/api/v1/namespaces/{self.namespace}/services/{service}/proxy/graphql"

    def send(self, document: str, variables: Mapping[str, Any], timeout: float) -> object:
        """Send a document; return the JSON of the answer.

        What reads is sent with GET: while it passes on a request that has a body, the API server's
        proxy may truncate an answer (https://github.com/golang/go/issues/40747). A mutation is sent
        with POST, because a client may send a GET twice.

        Raises:
            NoAnswerError: There was no answer, or the API server or the web server answered with
                an HTTP error.
        """
        del timeout
        try:
            if is_mutation(document):
                return self.api.create(self.path, {"query": document, "variables": dict(variables)})
            query = {"query": document, "variables": json.dumps(dict(variables))}
            return self.api.get(self.path, query)
        except KubernetesApiError as error:
            raise NoAnswerError(
                f"{self.address} does not answer through the API server: {error}", error.status
            ) from error


def is_mutation(document: str) -> bool:
    """Say whether a document changes something; fragments may stand before its operation."""
    depth = 0
    for symbol in _SYMBOL.findall(document):
        if symbol in "{(":
            depth += 1
        elif symbol in "})":
            depth -= 1
        elif symbol == "mutation" and not depth:
            return True
    return False
