"""Where `dagster.yaml` finds the platform's run launcher, `NamespacedRunLauncher`.

Every process that opens the instance gets to this name, step pods and code servers too: with run
monitoring on, Dagster asks the launcher at once whether it can resume runs. Those two have no
Kubernetes token, and a `K8sRunLauncher` fails without one while it is made. So there the name means
a launcher that launches nothing, which also spares every step pod the import of the Kubernetes
client (0.55 s of CPU on top of a step's 1.0).
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulkhead.kubernetes_launcher import NamespacedRunLauncher

__all__ = ["NamespacedRunLauncher"]

# https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/
_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
_POD_ENV = "KUBERNETES_SERVICE_HOST"


def __getattr__(name: str) -> object:
    """Return the launcher that fits this process."""
    if name != "NamespacedRunLauncher":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if _POD_ENV in os.environ and not _TOKEN.exists():
        from bulkhead.tokenless_launcher import TokenlessRunLauncher

        return TokenlessRunLauncher
    from bulkhead.kubernetes_launcher import NamespacedRunLauncher

    return NamespacedRunLauncher
