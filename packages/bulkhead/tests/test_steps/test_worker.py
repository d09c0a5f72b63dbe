"""Which events of a step that receives SIGTERM are left to its run."""

import pytest

from bulkhead.dagster_compat import (
    ErrorSource,
    SerializableErrorInfo,
    StepFailureData,
    StepRetryData,
)
from bulkhead.steps.worker import _is_of_interrupt


def error(cause: str | None) -> SerializableErrorInfo:
    """As Dagster writes it: with the interrupt as the cause, where the op has a retry policy."""
    inner = SerializableErrorInfo("interrupted", [], cause) if cause else None
    return SerializableErrorInfo("retry requested", [], "RetryRequested", cause=inner)


@pytest.mark.parametrize("cause", ["DagsterExecutionInterruptedError", "KeyboardInterrupt"])
def test_a_retry_or_its_end_because_of_an_interrupt_is_left_to_the_run(cause: str) -> None:
    assert _is_of_interrupt(StepRetryData(error(cause), 5))
    assert _is_of_interrupt(StepFailureData(error(cause), None, ErrorSource.USER_CODE_ERROR))


def test_an_interrupt_of_an_op_without_a_policy_is_left_to_the_run() -> None:
    assert _is_of_interrupt(StepFailureData(error(None), None, ErrorSource.INTERRUPT))


@pytest.mark.parametrize("cause", ["ValueError", None])
def test_the_steps_own_failures_and_retries_are_its_own(cause: str | None) -> None:
    assert not _is_of_interrupt(StepRetryData(error(cause), 5))
    assert not _is_of_interrupt(StepFailureData(error(cause), None, ErrorSource.USER_CODE_ERROR))


def test_other_events_are_no_ends() -> None:
    assert not _is_of_interrupt(None)
