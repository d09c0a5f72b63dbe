"""The collections of the Kubernetes API that workspace-sync follows."""

from collections.abc import Callable

from bulkhead import names
from bulkhead.discovery import code_servers, registry, workspace
from bulkhead.discovery.code_servers import CodeServers
from bulkhead.discovery.collection import Collection
from bulkhead.discovery.registry import RegistryConfigMap
from bulkhead.discovery.workspace import CodeLocationService
from bulkhead.kube.api import KubernetesApi


def registry_config_map(
    api: KubernetesApi,
    name: str,
    namespace: str,
    on_change: Callable[[tuple[RegistryConfigMap, ...]], None],
) -> Collection[RegistryConfigMap]:
    """Follow the registry's ConfigMap: a collection with one object, or none where it is gone."""
    return Collection(
        api,
        what=f"ConfigMap {name} in namespace {namespace}",
        path=f"/api/v1/namespaces/{namespace}/configmaps",
        selector={"fieldSelector": f"metadata.name={name}"},
        parse=registry.read_config_map,
        on_change=on_change,
        on_failure=lambda: None,
        advice_when_forbidden=(
            f"the platform's chart gives this pod the right to read ConfigMap {name}; "
            "check its Role and RoleBinding"
        ),
    )


def services(
    api: KubernetesApi,
    namespace: str,
    on_change: Callable[[tuple[CodeLocationService, ...]], None],
    on_failure: Callable[[], None],
) -> Collection[CodeLocationService]:
    """Follow the Services of a namespace that have the code-location label."""
    return Collection(
        api,
        what=f"Services in namespace {namespace}",
        path=f"/api/v1/namespaces/{namespace}/services",
        selector={"labelSelector": names.CODE_LOCATION_LABEL},
        parse=workspace.read_service,
        on_change=on_change,
        on_failure=on_failure,
        advice_when_forbidden=registry.role_advice(names.DISCOVERY_ROLE, namespace),
    )


def endpoint_slices(
    api: KubernetesApi,
    namespace: str,
    on_change: Callable[[tuple[CodeServers, ...]], None],
) -> Collection[CodeServers]:
    """Follow the EndpointSlices of the Services that have the code-location label."""
    return Collection(
        api,
        what=f"EndpointSlices in namespace {namespace}",
        path=f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices",
        selector={"labelSelector": names.CODE_LOCATION_LABEL},
        parse=code_servers.read_slice,
        on_change=on_change,
        on_failure=lambda: None,
        advice_when_forbidden=registry.role_advice(names.DISCOVERY_ROLE, namespace),
    )
