"""ConfigMaps that this package writes itself."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from bulkhead import names
from bulkhead.kube.api import KubernetesApi, KubernetesApiError
from bulkhead.kube.objects import Object


def read(api: KubernetesApi, namespace: str, name: str) -> Object | None:
    """Return a ConfigMap; None if there is none of this name.

    Raises:
        KubernetesApiError: The API server does not answer, or rejects the request.
    """
    try:
        return api.get(f"{_path(namespace)}/{name}")
    except KubernetesApiError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return None
        raise


def write(
    api: KubernetesApi,
    namespace: str,
    name: str,
    *,
    location: str,
    before: Object | None,
    content: Mapping[str, Any],
) -> None:
    """Create a ConfigMap of a code location, or replace the content of one.

    Args:
        api: The API server.
        namespace: Of the code location.
        name: Of the ConfigMap.
        location: The code location's name, for its label.
        before: What `read` returned.
        content: The new `data` and `binaryData`.

    Raises:
        KubernetesApiError: As for `read`; status 409 if somebody else has changed it meanwhile.
    """
    labels = {names.PART_OF_LABEL: names.PART_OF, names.CODE_LOCATION_LABEL: location}
    metadata = before["metadata"] if before else {"name": name, "labels": labels}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, **content}
    if before is None:
        api.create(_path(namespace), body)
    else:
        api.replace(f"{_path(namespace)}/{name}", body)


def _path(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"
