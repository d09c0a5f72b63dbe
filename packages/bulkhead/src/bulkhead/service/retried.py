"""Failures that are retried: logged when they begin and when they end, not at each attempt."""

import logging
from collections.abc import Mapping

_log = logging.getLogger(__name__)


class RetriedFailures:
    """What failed in the last round of attempts, by what it concerns."""

    def __init__(self) -> None:
        """Start without failures."""
        self._failures: Mapping[str, str] = {}

    def __bool__(self) -> bool:
        """Say whether anything failed."""
        return bool(self._failures)

    def update(self, failures: Mapping[str, str]) -> None:
        """Replace the failures with those of a new round; log what failed first, and what works."""
        for what, reason in failures.items():
            if what not in self._failures:
                _log.warning("%s: %s; retrying", what, reason)
        for what in self._failures.keys() - failures.keys():
            _log.info("%s: works again", what)
        self._failures = dict(failures)

    @property
    def lines(self) -> list[str]:
        """Each failure with its reason."""
        return [f"{what}: {reason}" for what, reason in self._failures.items()]
