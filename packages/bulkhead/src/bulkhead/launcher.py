"""The run launcher under the name that `dagster.yaml` gives."""

from bulkhead.runs.launcher import NamespacedRunLauncher

__all__ = ["NamespacedRunLauncher"]
