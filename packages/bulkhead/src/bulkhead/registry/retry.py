"""Retries requests to a registry that does not answer, such as one that restarts."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

import requests
from dxf.exceptions import DXFError

from bulkhead.registry.errors import RegistryError

_T = TypeVar("_T")

_FIRST_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 5.0


def retried(
    request: Callable[[], _T],
    explain: Callable[[Exception], RegistryError],
    *,
    timeout: float,
    report: Callable[[str], None],
) -> _T:
    """Do a request; retry it after temporary errors, with pauses.

    Args:
        request: Is called once or several times.
        explain: Returns the error that a person reads.
        timeout: Seconds after which the request is not retried again.
        report: Called with a line before each pause.

    Raises:
        RegistryError: A permanent error, or a temporary one after the timeout.
    """
    deadline = time.monotonic() + timeout
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            return request()
        # The library raises ValueError and KeyError for answers that it cannot read.
        except (requests.RequestException, DXFError, ValueError, KeyError) as failure:
            error = explain(failure)
            if not error.is_temporary:
                raise error from failure
            left = deadline - time.monotonic()
            if left <= pause:
                raise RegistryError(
                    f"{error} Timed out after {timeout:.0f} s. Check that the registry runs and "
                    "that this machine reaches it.",
                    is_temporary=True,
                ) from failure
        report(f"{error} Retrying for up to {left:.0f} s.")
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
