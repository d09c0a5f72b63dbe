"""The former name of `GraphQLClient` with a `ProxyTransport`, for callers that still use it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from bulkhead.kube.kubeconfig import Cluster, ClusterError
from bulkhead.webserver_api.client import GraphQLClient
from bulkhead.webserver_api.errors import ReportedError, WebServerError
from bulkhead.webserver_api.transports import ProxyTransport


@dataclass(frozen=True, slots=True)
class WebServer:
    """The web server of a release."""

    cluster: Cluster
    release: str
    namespace: str

    def ask(self, query: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the `data` of the answer to a GraphQL query.

        Raises:
            ClusterError: The API server or the web server did not answer, or not with data.
        """
        transport = ProxyTransport(cast("Any", self.cluster), self.release, self.namespace)
        try:
            return GraphQLClient(transport).execute(query, variables)
        except ReportedError as error:
            raise ClusterError(f"the web server says: {error.reported}") from error
        except WebServerError as error:
            raise ClusterError(str(error), error.status) from error
