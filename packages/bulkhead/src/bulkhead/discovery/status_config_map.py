"""The ConfigMap with the load reports of one code location: an entry for each web server."""

import time
from collections.abc import Mapping
from typing import Final

from bulkhead import names
from bulkhead.kube.api import KubernetesApi
from bulkhead.kube.objects import part
from bulkhead.load_report import RENEWAL_SECONDS, LoadReport

# An entry that nobody renewed for this long belongs to a web server that could not remove it.
_ABANDONED_SECONDS: Final = 5 * RENEWAL_SECONDS


class StatusConfigMap:
    """Writes the entry of this web server, and removes those of web servers that are gone.

    It never reads the ConfigMap: the answer to each change has the entries of the others. Used by
    one thread.
    """

    def __init__(self, api: KubernetesApi, namespace: str, pod: str) -> None:
        """Prepare; nothing is written yet.

        Args:
            api: The API server.
            namespace: The namespace of the code location.
            pod: The name of this web server's pod, which is the key of its entry.
        """
        self._api = api
        self._path = f"/api/v1/namespaces/{namespace}/configmaps/{names.STATUS_CONFIG_MAP}"
        self._pod = pod
        self._others: dict[str, tuple[str, float]] = {}  # pod → its entry, since when (monotonic)

    def write(self, report: LoadReport) -> None:
        """Replace the entry of this web server.

        Raises:
            KubernetesApiError: The API server rejects it, or does not answer.
        """
        self._merge(report.to_json())

    def remove(self) -> None:
        """Remove the entry of this web server.

        Raises:
            KubernetesApiError: As for `write`.
        """
        self._merge(None)

    def _merge(self, entry: str | None) -> None:
        # By how long an entry stays the same, not by its time: clocks of nodes may differ.
        latest = time.monotonic() - _ABANDONED_SECONDS
        abandoned = [pod for pod, (_, since) in self._others.items() if since <= latest]
        changes = {**dict.fromkeys(abandoned), self._pod: entry}
        self._observe(part(self._api.merge(self._path, {"data": changes}), "data"))

    def _observe(self, data: Mapping[str, str]) -> None:
        now = time.monotonic()
        before = self._others
        self._others = {
            pod: before[pod] if pod in before and before[pod][0] == entry else (entry, now)
            for pod, entry in data.items()
            if pod != self._pod
        }
