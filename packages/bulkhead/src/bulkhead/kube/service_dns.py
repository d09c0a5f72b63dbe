"""The DNS name of a code server's Service: discovery writes it, launchers and executors read it.

https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/
"""

import re
from typing import Final

# With or without the domain of the cluster.
_SERVICE_HOST: Final = re.compile(r"[^.]+\.(?P<namespace>[^.]+)\.svc(\..+)?")


def service_host(service: str, namespace: str) -> str:
    """Return the DNS name of a Service as a pod of the cluster resolves it.

    It leaves out the cluster's domain, which differs between clusters; the search list of every
    pod completes it.
    """
    return f"{service}.{namespace}.svc"


def namespace_of_host(host: str) -> str | None:
    """Return the namespace in the DNS name of a Service; None if it is not such a name."""
    match = _SERVICE_HOST.fullmatch(host)
    return match["namespace"] if match else None
