"""Takes over the steps that an earlier pod of the same run started."""

import time
from typing import Final

from bulkhead.steps.cluster import StepCluster
from bulkhead.steps.history import History
from bulkhead.steps.launch import Launch
from bulkhead.steps.verdicts import Cause, Verdict

_LIST_TIMEOUT_SECONDS: Final = 30.0
_LIST_CHECK_SECONDS: Final = 0.05


def take_over(launch: Launch, cluster: StepCluster, history: History) -> bool:
    """Take over an attempt that an earlier run pod may have started.

    Its Job gets the Job of this run pod as its owner. If the Job is gone although the step had
    started, that becomes the verdict of the attempt.

    Returns:
        False where the attempt was never started.
    """
    deadline = time.monotonic() + _LIST_TIMEOUT_SECONDS
    while not cluster.watch.is_listed and time.monotonic() < deadline:
        time.sleep(_LIST_CHECK_SECONDS)
    has_job = cluster.jobs.exists(launch.job_name)
    if has_job is False and cluster.watch.pod(launch.job_name) is None:
        if not history.has_started(launch.step):
            return False
        launch.verdict = Verdict(Cause.DELETED, launch.step, launch.attempt, was_interrupted=True)
    launch.is_created = True
    if has_job:
        cluster.jobs.adopt(launch.job_name)
    return True
