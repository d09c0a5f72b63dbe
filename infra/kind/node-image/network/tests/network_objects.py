"""Objects of the Kubernetes API as the API server sends them, as short as tests want them."""

from typing import Any

from bulkhead_network.addresses import address
from bulkhead_network.model import Namespace, Pod, Policy, namespace_from, pod_from, policy_from

Json = dict[str, Any]


def raw_pod(
    name: str,
    ip: str | None,
    *,
    labels: dict[str, str] | None = None,
    ports: list[Json] | None = None,
    **changes: Any,
) -> Json:
    """A running pod `namespace/name`; `changes` are node, phase, uid, created or host_network."""
    namespace, _, short = name.rpartition("/")
    return {
        "metadata": {
            "namespace": namespace or "team-a",
            "name": short,
            "uid": changes.get("uid", f"uid-{short}"),
            "labels": labels or {},
            "creationTimestamp": changes.get("created", "2026-01-01T00:00:00Z"),
        },
        "spec": {
            "nodeName": changes.get("node", "here"),
            "hostNetwork": changes.get("host_network", False),
            "containers": [{"name": "main", "ports": ports or []}],
        },
        "status": {
            "phase": changes.get("phase", "Running"),
            **({"podIP": ip, "podIPs": [{"ip": ip}]} if ip else {}),
        },
    }


def raw_namespace(name: str, **labels: str) -> Json:
    """A namespace with the label that the API server adds."""
    return {"metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name, **labels}}}


def raw_policy(name: str, spec: Json) -> Json:
    """A policy `namespace/name`."""
    namespace, _, short = name.rpartition("/")
    return {"metadata": {"namespace": namespace or "team-a", "name": short}, "spec": spec}


def pods(*raw: Json) -> dict[int, Pod]:
    """Pods by address, as a snapshot has them."""
    read = [pod for pod in map(pod_from, raw) if pod is not None]
    return {pod.address: pod for pod in read if pod.address is not None}


def namespaces(*raw: Json) -> dict[str, Namespace]:
    """Namespaces by name."""
    return {namespace.name: namespace for namespace in map(namespace_from, raw)}


def policies(**specs: Json) -> list[Policy]:
    """Policies of namespace team-a by name."""
    return [policy_from(raw_policy(name, spec)) for name, spec in specs.items()]


def number(ip: str) -> int:
    """The number of an IPv4 address."""
    found = address(ip)
    assert found is not None
    return found
