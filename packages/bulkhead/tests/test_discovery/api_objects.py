"""Paths and objects of the API server that several tests of discovery use."""

from typing import Any


def services(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/services"


def slices(namespace: str) -> str:
    return f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"


def endpoint_slice(location: str, *pods: str, ready: bool = True) -> dict[str, Any]:
    labels = {"bulkhead.dev/code-location": location}
    return {
        "metadata": {"name": f"{location}-abc", "labels": labels, "resourceVersion": "1"},
        "endpoints": [
            {"conditions": {"ready": ready}, "targetRef": {"kind": "Pod", "uid": pod}}
            for pod in pods
        ],
    }
