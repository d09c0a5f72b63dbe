"""Waiting for what a cluster will do, with a message that says what it did instead."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


@dataclass(frozen=True)
class NotYet:
    """A condition that does not hold yet, with what was seen instead; false where it counts."""

    seen: object

    def __bool__(self) -> bool:
        return False


class NotInTimeError(AssertionError):
    """What was promised did not come within its time."""


def until(
    condition: Callable[[], T | NotYet],
    timeout: float,
    what: str,
    *,
    interval: float = 0.5,
) -> T:
    """Ask `condition` until it returns something true, and return that.

    Answers of the API server that mean «not now» (it is restarting, the object is not there yet)
    count as something seen, not as an error; anything else that `condition` raises ends the wait.

    Args:
        condition: what must hold; returns `NotYet(seen)`, or anything false, while it does not.
        timeout: seconds after which `NotInTimeError` is raised.
        what: what is waited for, as the end of the sentence «waited for …».
        interval: seconds between two questions.
    """
    started = time.monotonic()
    while True:
        try:
            answer = condition()
        except (ApiException, HTTPError, ConnectionError) as error:
            answer = NotYet(_brief(error))
        if answer:
            return answer
        if time.monotonic() - started > timeout:
            seen = answer.seen if isinstance(answer, NotYet) else answer
            raise NotInTimeError(f"waited {timeout:g} s for {what}; seen last: {seen}")
        time.sleep(interval)


def throughout(condition: Callable[[], T | NotYet], seconds: float, what: str) -> None:
    """Assert that `condition` holds for all of `seconds`.

    For promises that something never happens; everything else is waited for with `until`.
    """
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        answer = condition()
        assert answer, f"{what}: {answer.seen if isinstance(answer, NotYet) else answer}"
        time.sleep(0.5)


def _brief(error: Exception) -> str:
    if isinstance(error, ApiException):
        return f"HTTP {error.status} {error.reason}: {str(error.body)[:300]}"
    return f"{type(error).__name__}: {error}"
