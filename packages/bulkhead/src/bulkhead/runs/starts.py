"""Fails runs whose pod ends before the run has started, within seconds, and says why.

Dagster's run monitoring checks the health of runs that have started. A run whose pod ends earlier,
for example because importing its code takes too much memory, stays in the state STARTING. After
`start_timeout_seconds` it fails with a message about the timeout only.
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
    """Checks the runs that are starting, as long as there are any."""

    def __init__(self, interval: float = _INTERVAL_SECONDS) -> None:
        """Check nothing yet; `interval` is the time between two checks, in seconds."""
        self._interval = interval
        self._launched = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def launched(self, launcher: RunLauncher, instance: DagsterInstance) -> None:
        """Check the runs that are starting from now on."""
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
            check = _StartCheck(launcher, instance)
            while check.is_needed:
                time.sleep(self._interval)
                try:
                    check.run()
                except Exception:  # noqa: BLE001 - the next check may succeed
                    _log.exception("Runs that are starting cannot be checked.")


class _StartCheck:
    """Checks the runs that are starting.

    A run fails when two checks in a row have found it STARTING and its pod ended. If the run has
    started and ended in between, its status says so by the second check.
    """

    def __init__(self, launcher: RunLauncher, instance: DagsterInstance) -> None:
        self.is_needed = True
        self._launcher = launcher
        self._instance = instance
        self._suspects: set[str] = set()

    def run(self) -> None:
        starting = self._instance.get_runs(RunsFilter(statuses=[DagsterRunStatus.STARTING]))
        self.is_needed = bool(starting)
        before, self._suspects = self._suspects, set()
        for run in starting:
            health = self._launcher.check_run_worker_health(run)
            if health.status not in _OVER:
                continue
            self._suspects.add(run.run_id)
            if run.run_id in before:
                reason = health.msg or "The run's own pod ended."
                self._instance.report_run_failed(run, f"{reason} The run had not started.")
