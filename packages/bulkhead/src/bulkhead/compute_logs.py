"""The compute log manager under the name that `dagster.yaml` gives."""

from bulkhead.code_location.compute_logs import LazyS3ComputeLogManager

__all__ = ["LazyS3ComputeLogManager"]
