"""The Kubernetes API as an admin's kubeconfig gives it.

Objects are read as plain JSON: the checks look at a handful of fields, and the client's typed
models would have to follow every version of the cluster.
"""

import json
import os
from collections.abc import Mapping
from typing import Any, Final, Protocol

from kubernetes import config
from kubernetes.client import ApiClient, ApiException, Configuration
from kubernetes.config import ConfigException
from urllib3.exceptions import HTTPError

_SECONDS: Final = 20

# Names and labels without content: nobody needs to read a Secret to see that it is there.
METADATA_ONLY: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


class ClusterError(Exception):
    """The API did not answer as asked; `status` is its HTTP status, None without an answer."""

    def __init__(self, message: str, status: int | None = None) -> None:
        """Keep the message for people and the status for code."""
        super().__init__(message)
        self.status = status


class Cluster(Protocol):
    """What the rest of this package asks of a cluster."""

    @property
    def address(self) -> str:
        """The API server's address, for people."""
        ...

    def get(
        self, path: str, query: Mapping[str, str] | None = None, accept: str = "application/json"
    ) -> dict[str, Any]:
        """Read one object or a list.

        Raises:
            ClusterError: See there.
        """
        ...


class KubeconfigCluster:
    """The cluster of a kubeconfig context."""

    def __init__(self, context: str | None = None) -> None:
        """Read the kubeconfig; nothing is connected yet.

        Args:
            context: A context's name; None takes the current one.

        Raises:
            ClusterError: There is no such context, or no kubeconfig.
        """
        try:
            configuration: Any = Configuration()
            # The client reads KUBECONFIG when it is imported; what counts is what it is now.
            config.load_kube_config(
                config_file=os.environ.get("KUBECONFIG") or None,
                context=context,
                client_configuration=configuration,
            )
        except ConfigException as error:
            raise ClusterError(
                f"kubeconfig: {str(error).rstrip('.')}. "
                "Set KUBECONFIG, or name a context with --context."
            ) from error
        # One attempt: a person waits for the answer, and a cluster that is away stays so for now.
        configuration.retries = False
        self._client = ApiClient(configuration)

    @property
    def address(self) -> str:
        """The API server's address, for people."""
        return str(self._client.configuration.host)

    def get(
        self, path: str, query: Mapping[str, str] | None = None, accept: str = "application/json"
    ) -> dict[str, Any]:
        """Read one object or a list.

        Raises:
            ClusterError: See there.
        """
        try:
            response: Any = self._client.call_api(
                path,
                "GET",
                query_params=list((query or {}).items()),
                header_params={"Accept": accept},
                auth_settings=["BearerToken"],
                _return_http_data_only=True,
                _preload_content=False,
                _request_timeout=_SECONDS,
            )
            return json.loads(response.data)
        except ApiException as error:
            raise ClusterError(_own_words(error), error.status) from error
        except (HTTPError, OSError) as error:
            raise ClusterError(f"{self.address} does not answer: {error}") from error
        except ValueError as error:
            raise ClusterError(f"{self.address}{path} did not answer with JSON") from error


def _own_words(error: ApiException) -> str:
    """Return what the API said, else its status line."""
    try:
        return str(json.loads(error.body or "")["message"])
    except (ValueError, KeyError, TypeError):
        return f"{error.status} {error.reason}"
