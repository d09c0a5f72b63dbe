"""The former name of `Heartbeat`, for callers that still use it."""

from bulkhead.service.heartbeat import Heartbeat as Pulse

__all__ = ["Pulse"]
