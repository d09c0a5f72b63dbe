"""`NamespacedRunLauncher`, the run launcher of the platform.

Every process that opens the instance makes the launcher, step pods and code servers too: with run
monitoring on, Dagster asks it at once whether it can resume runs. Those two have no Kubernetes
token, and a `K8sRunLauncher` fails without one while it is made. So they get a launcher that
launches nothing, which also spares every step pod the import of the Kubernetes client (0.55 s of
CPU on top of a step's 1.0).
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bulkhead.dagster_compat import ConfigurableClass, ConfigurableClassData, RunLauncher

if TYPE_CHECKING:
    from bulkhead.runs.kubernetes_launcher import KubernetesRunLauncher
    from bulkhead.runs.tokenless_launcher import TokenlessRunLauncher

# https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/
_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
_POD_ENV = "KUBERNETES_SERVICE_HOST"


class NamespacedRunLauncher(RunLauncher, ConfigurableClass):
    """Chooses the launcher that fits the process; it has no instances of its own.

    A pod without a Kubernetes token gets a `TokenlessRunLauncher`. The web server, the daemon, run
    pods and processes outside of Kubernetes get a `KubernetesRunLauncher`.
    """

    @classmethod
    def config_type(cls) -> Any:  # noqa: ANN401 - Dagster's interface
        """Return the config schema of the launcher that fits the process."""
        return _launcher_class().config_type()

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "KubernetesRunLauncher | TokenlessRunLauncher":
        """Make the launcher that fits the process from its part of `dagster.yaml`."""
        return _launcher_class().from_config_value(inst_data, config_value)


def _launcher_class() -> "type[KubernetesRunLauncher | TokenlessRunLauncher]":
    if _POD_ENV in os.environ and not _TOKEN.exists():
        from bulkhead.runs.tokenless_launcher import TokenlessRunLauncher

        return TokenlessRunLauncher
    from bulkhead.runs.kubernetes_launcher import KubernetesRunLauncher

    return KubernetesRunLauncher
