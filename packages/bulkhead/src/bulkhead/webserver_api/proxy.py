"""The platform's web server, asked from an admin's machine: GraphQL through the API server."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bulkhead import names
from bulkhead.kube.kubeconfig import Cluster, ClusterError


@dataclass(frozen=True, slots=True)
class WebServer:
    """The web server of a release; nobody needs to forward a port or to know an address."""

    cluster: Cluster
    release: str
    namespace: str

    def ask(self, query: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the `data` of the answer to a GraphQL query.

        Sent with GET: while it passes on a request that has a body, the API server's proxy may
        break the answer off (https://github.com/golang/go/issues/40747).

        Raises:
            ClusterError: The API server or the web server did not answer, or not with data.
        """
        service = f"{names.webserver(self.release)}:{names.HTTP_PORT_NAME}"
        path = f"/api/v1/namespaces/{self.namespace}/services/{service}/proxy/graphql"
        asked = {"query": query, "variables": json.dumps(variables or {})}
        answer = self.cluster.get(path, asked)
        data = answer.get("data")
        if data is None:
            errors = answer.get("errors") or [{"message": "there is no data in its answer"}]
            raise ClusterError(f"the web server says: {errors[0]['message']}")
        return data
