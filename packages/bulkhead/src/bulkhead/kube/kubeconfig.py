"""The Kubernetes API as an admin's kubeconfig gives it."""

import os
from typing import Any, Final, cast

from kubernetes import config
from kubernetes.client import Configuration
from kubernetes.config import ConfigException

from bulkhead.kube.api import KubernetesApi, KubernetesApiError

# Names and labels without content: nobody needs to read a Secret to see that it is there.
METADATA_ONLY: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


def from_kubeconfig(context: str | None = None) -> KubernetesApi:
    """Return the API server of a kubeconfig context; nothing is connected yet.

    The `kubernetes` package reads the kubeconfig, with all that one may have: certificates,
    tokens, plugins that are executed.

    Args:
        context: A context's name; None takes the current one.

    Raises:
        KubernetesApiError: There is no such context, or no kubeconfig.
    """
    configuration: Any = Configuration()
    try:
        cast("Any", config).load_kube_config(
            # The package reads KUBECONFIG when it is imported; what counts is what it is now.
            config_file=os.environ.get("KUBECONFIG") or None,
            context=context,
            client_configuration=configuration,
        )
    except ConfigException as error:
        raise KubernetesApiError(
            f"kubeconfig: {str(error).rstrip('.')}. "
            "Set KUBECONFIG, or name a context with --context."
        ) from error
    return KubernetesApi.of_configuration(configuration)
