"""Waiting for a condition on the cluster, with a message that says what was seen instead."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from tests.e2e.cluster import ApiException, brief
from urllib3.exceptions import HTTPError

from bulkhead.webserver_api.errors import NoAnswerError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


@dataclass(frozen=True)
class NotYet:
    """A condition that does not hold yet, with what was seen instead; it is false."""

    seen: object

    def __bool__(self) -> bool:
        return False


class NotInTimeError(AssertionError):
    """A condition did not hold within its timeout."""


def until(
    condition: Callable[[], T | NotYet],
    timeout: float,
    what: str,
    *,
    interval: float = 0.5,
) -> T:
    """Call `condition` until it returns something true, and return that.

    Errors of the API server (it is restarting, the object does not exist yet) count as something
    seen, not as an error. Anything else that `condition` raises ends the wait.

    Args:
        condition: returns `NotYet(seen)`, or any false value, while it does not hold.
        timeout: seconds after which `NotInTimeError` is raised.
        what: what is waited for, as the end of the sentence «waited for …».
        interval: seconds between two calls.

    Raises:
        NotInTimeError: with what was seen last.
    """
    started = time.monotonic()
    while True:
        seen: object
        try:
            answer = condition()
        except (ApiException, NoAnswerError, HTTPError, ConnectionError) as error:
            seen = _brief(error)
        else:
            if isinstance(answer, NotYet):
                seen = answer.seen
            elif answer:
                return answer
            else:
                seen = answer
        if time.monotonic() - started > timeout:
            raise NotInTimeError(f"waited {timeout:g} s for {what}; last seen: {seen}")
        time.sleep(interval)


def _brief(error: Exception) -> str:
    if isinstance(error, ApiException):
        return brief(error)
    return f"{type(error).__name__}: {error}"
