"""Runs whose pod dies before the run has begun: noticed within seconds, and told why.

Dagster's run monitoring looks at the health of runs that have begun. One whose pod dies before, for
its code takes too much memory while it is imported, stands as starting until
`start_timeout_seconds` are over, and then fails for having taken long.
"""

import logging
import threading
import time
from typing import Final

from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

from bulkhead.dagster_compat import RunLauncher, WorkerStatus

_log = logging.getLogger(__name__)

_INTERVAL_SECONDS: Final = 5.0
_OVER: Final = frozenset({WorkerStatus.FAILED, WorkerStatus.SUCCESS})


class StartWatch:
    """Looks after the runs that are starting, for as long as there are any."""

    def __init__(self, interval: float = _INTERVAL_SECONDS) -> None:
        """Look at nothing yet; `interval` is the time between two looks, in seconds."""
        self._interval = interval
        self._launched = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def launched(self, launcher: RunLauncher, instance: DagsterInstance) -> None:
        """Look after what is starting from now on."""
        self._launched.set()
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, args=(launcher, instance), name="run-starts", daemon=True
                )
                self._thread.start()

    def _work(self, launcher: RunLauncher, instance: DagsterInstance) -> None:
        while self._launched.wait():
            self._launched.clear()
            look = _Look(launcher, instance)
            while look.is_needed:
                time.sleep(self._interval)
                try:
                    look.once_more()
                except Exception:  # noqa: BLE001 - whatever is away now, the next look may find it
                    _log.exception("can't see how the runs that are starting are")


class _Look:
    """Looks at the runs that are starting, again and again.

    A run is failed when two looks in a row have found it starting and its pod over: one that has
    begun and ended between is written down as begun by then.
    """

    def __init__(self, launcher: RunLauncher, instance: DagsterInstance) -> None:
        self.is_needed = True
        self._launcher = launcher
        self._instance = instance
        self._suspects: set[str] = set()

    def once_more(self) -> None:
        starting = self._instance.get_runs(RunsFilter(statuses=[DagsterRunStatus.STARTING]))
        self.is_needed = bool(starting)
        before, self._suspects = self._suspects, set()
        for run in starting:
            health = self._launcher.check_run_worker_health(run)
            if health.status not in _OVER:
                continue
            self._suspects.add(run.run_id)
            if run.run_id in before:
                said = health.msg or "The run's own pod has ended."
                self._instance.report_run_failed(run, f"{said} The run had not begun.")
