"""One collection of Kubernetes objects as the values that discovery makes of them."""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, TypeVar

from bulkhead.kube.api import KubernetesApi, KubernetesApiError
from bulkhead.kube.list_watch import SILENCE_SECONDS, ListWatch
from bulkhead.service.health import Pulse

_log = logging.getLogger(__name__)

_T = TypeVar("_T")

_FORBIDDEN: Final = 403


class Collection(Generic[_T]):
    """Follows a collection in a thread of its own, for as long as the process lives.

    `on_change` gets all values after each list and each event that changed them. `on_failure` is
    called when a list failed; the last known values stay. Both are called from that thread.
    """

    def __init__(
        self,
        api: KubernetesApi,
        *,
        what: str,
        path: str,
        selector: Mapping[str, str],
        parse: Callable[[Mapping[str, Any]], _T | None],
        on_change: Callable[[tuple[_T, ...]], None],
        on_failure: Callable[[], None],
        advice_when_forbidden: str,
    ) -> None:
        """Prepare; `start` begins.

        Args:
            api: The API server.
            what: The collection in a person's words; it stands in log lines.
            path: For example `/api/v1/namespaces/shop/services`.
            selector: Query that narrows the collection: `labelSelector`, `fieldSelector`.
            parse: Returns the value of an object, None where it has none.
            on_change: See above.
            on_failure: See above.
            advice_when_forbidden: What to do about a 403, for the log.
        """
        self._what = what
        self._parse = parse
        self._on_change = on_change
        self._on_failure = on_failure
        self._advice_when_forbidden = advice_when_forbidden

        self._values: dict[str, _T] = {}
        self._listed = False
        self._trouble: str | None = None
        self.pulse = Pulse(what, seconds=3 * SILENCE_SECONDS)
        self._list_watch = ListWatch(
            api,
            path,
            selector,
            self,
            on_heartbeat=self.pulse.beat,
            on_failure=self._failed,
        )
        self._thread = threading.Thread(
            target=self.pulse.guard(self._list_watch.run), name=what, daemon=True
        )

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Report nothing more; the thread ends with its request, and nothing waits for it."""
        self._list_watch.stop()
        self.pulse.retire()

    @property
    def trouble(self) -> str | None:
        """Why the last list failed; None where it did not."""
        return self._trouble

    def replace(self, objects: list[Mapping[str, Any]]) -> None:
        """Take a list of all objects, as the store of the list-and-watch."""
        values: dict[str, _T] = {}
        for each in objects:
            value = self._read(each)
            if value is not None:
                values[each["metadata"]["name"]] = value
        if self._trouble is not None:
            _log.info("answers again: %s", self._what)
            self._trouble = None
        if not self._listed or values != self._values:
            self._values, self._listed = values, True
            self._publish()

    def apply(self, change: str, value: Mapping[str, Any]) -> None:
        """Take one change, as the store of the list-and-watch."""
        name = value["metadata"]["name"]
        before, after = self._values.get(name), self._read(value)
        if change == "DELETED" or after is None:
            self._values.pop(name, None)
            changed = before is not None
        else:
            self._values[name] = after
            changed = before != after
        if changed:
            self._publish()

    def _read(self, value: Mapping[str, Any]) -> _T | None:
        try:
            return self._parse(value)
        except (KeyError, TypeError, AttributeError) as error:
            raise KubernetesApiError(
                f"the answer has an object that cannot be read ({error!r}): {str(value)[:80]}"
            ) from error

    def _publish(self) -> None:
        self._on_change(tuple(self._values.values()))

    def _failed(self, error: KubernetesApiError) -> None:
        """Log a failure once, not with each attempt."""
        if self._trouble is None:
            advice = f" ({self._advice_when_forbidden})" if error.status == _FORBIDDEN else ""
            _log.warning("cannot list: %s: %s%s; retrying", self._what, error, advice)
        self._trouble = str(error)
        self._on_failure()
