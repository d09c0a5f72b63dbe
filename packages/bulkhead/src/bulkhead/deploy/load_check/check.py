"""Runs a load check: creates the pod, follows it, reads its report, and deletes it."""

import re
import signal
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final, NoReturn

from bulkhead.code_location import report_lines
from bulkhead.code_location.report_lines import ReportError
from bulkhead.code_location.summary import Summary
from bulkhead.deploy.load_check import output, sentences
from bulkhead.deploy.load_check.errors import LoadCheckError
from bulkhead.deploy.load_check.following import Following
from bulkhead.deploy.load_check.pod_requests import PodRequests
from bulkhead.deploy.load_check.progress import Clock, Report, Stage
from bulkhead.kube.api import KubernetesApi
from bulkhead.kube.pods import StepPod
from bulkhead.steps import diagnosis
from bulkhead.steps.verdicts import Cause, Verdict

# Messages of a pull that fails for a reason that does not pass within minutes.
_FINAL_PULL: Final = re.compile(
    r"not found|denied|unauthorized|forbidden|authoriz|no match for platform|x509|"
    r"gave HTTP response to HTTPS client",
    re.IGNORECASE,
)
_FINAL_IMAGE_REASONS: Final = frozenset({"InvalidImageName", "ErrImageNeverPull"})
# The kubelet's words for a Secret, a ConfigMap or a key in one that does not exist.
_FINAL_CONFIG: Final = re.compile(r"not found|couldn't find key", re.IGNORECASE)

_OF_THE_CODE: Final = frozenset(
    {Cause.OUT_OF_MEMORY, Cause.STORAGE, Cause.EXIT_CODE, Cause.SIGNAL, Cause.SILENT}
)

_BY_SIGNAL: Final = 128  # the exit code of a process that a signal ended, without its number

# Exit codes of a process that may have written a report: it loaded the definitions, it could not,
# the code was killed, or the pod was ended. The last lines of a log may come late.
_REPORTED: Final = frozenset({0, 1, _BY_SIGNAL + signal.SIGKILL, _BY_SIGNAL + signal.SIGTERM})
_READS: Final = 4
_READ_AGAIN_SECONDS: Final = 0.5


def run(
    api: KubernetesApi,
    namespace: str,
    pod: Mapping[str, Any],
    *,
    timeout: float,
    report: Report = lambda progress: None,  # noqa: ARG005
) -> Summary:
    """Load the definitions in a pod, and return what they are.

    The pod is deleted at the end in any case, also after Ctrl+C and SIGTERM. Pods of earlier checks
    that were killed are deleted, too.

    Args:
        api: the API server, as the deployer's account.
        namespace: of the code location.
        pod: what `pod.manifest` returned.
        timeout: seconds for everything, from the first request to the end of the process.
        report: takes the progress.

    Raises:
        LoadCheckError: the definitions do not load, or this could not be checked.
    """
    clock = Clock(timeout, report)
    requests = PodRequests(api, namespace, pod, clock)
    with _interrupted_by_sigterm():
        try:
            following = Following(api, requests.create())
            following.start()
            try:
                ended = _follow(following, requests, clock)
            finally:
                following.stop()
                requests.delete_abandoned(following.abandoned())
            return _result(ended, requests, clock)
        finally:
            requests.delete()


def _follow(following: Following, requests: PodRequests, clock: Clock) -> StepPod:
    """Return the pod when its process has ended.

    Raises:
        LoadCheckError: it cannot start, or does not end in time.
    """
    while not following.pod.is_over:
        failure = following.failure
        if failure and failure.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise requests.missing_rights("list pods", failure)
        verdict = diagnosis.of_waiting_pod(following.pod, "")
        if verdict and _is_final(verdict):
            raise _error(verdict, following.stage)
        waits_for = failure.message if failure else verdict.detail if verdict else ""
        clock.enter(following.stage, waits_for or following.warning)
        if clock.is_over:
            _time_out(following, verdict, requests, clock)
        following.wait(clock.pause)
    return following.pod


def _is_final(verdict: Verdict) -> bool:
    """Whether waiting does not help a pod that cannot start."""
    if verdict.cause is Cause.IMAGE:
        return verdict.reason in _FINAL_IMAGE_REASONS or bool(_FINAL_PULL.search(verdict.detail))
    return (
        verdict.cause is Cause.CANNOT_START
        and verdict.reason == "CreateContainerConfigError"
        and bool(_FINAL_CONFIG.search(verdict.detail))
    )


def _time_out(
    following: Following, verdict: Verdict | None, requests: PodRequests, clock: Clock
) -> NoReturn:
    """Raise the error of a pod that has not ended in time."""
    if following.failure:
        cause = sentences.of_no_answer(following.failure.message, clock.elapsed)
        raise LoadCheckError(Cause.API.value, clock.stage, cause)
    if clock.stage is Stage.LOADING and verdict is None:
        seconds, before = clock.elapsed_in_stage, requests.log()
        # At its end, the process reports where the code is.
        requests.delete()
        raise _hang(requests.log(until_end=True) or before, seconds, requests)
    pod = following.pod
    if clock.stage is Stage.PULLING and (verdict is None or verdict.cause is Cause.NEVER_STARTED):
        cause = sentences.of_slow_pull(pod.image, clock.elapsed)
        raise LoadCheckError("ImagePullTimeout", clock.stage, cause)
    known = verdict or Verdict(Cause.NEVER_STARTED, "", pod=pod.name, namespace=pod.namespace)
    if known.cause is Cause.NEVER_STARTED and following.warning:
        known = replace(known, detail=following.warning)
    raise _error(replace(known, waited=clock.elapsed), clock.stage)


def _result(pod: StepPod, requests: PodRequests, clock: Clock) -> Summary:
    """Return what a pod has reported before it ended.

    Raises:
        LoadCheckError: it has reported an error, or nothing.
    """
    # The end may be the first that is seen of a short process.
    last_stage = Stage.LOADING if pod.has_started else clock.stage
    clock.enter(Stage.READING)
    log, content = _read(pod, requests)
    if "summary" in content:
        try:
            return Summary.of_json(content["summary"])
        except ValueError as problem:
            raise _unreadable(problem) from problem
    if "error" in content:
        error = content["error"]
        raise LoadCheckError(
            "LoadError",
            Stage.LOADING,
            sentences.of_load_error(
                error["message"], content.get("oom_kills", 0), pod.memory_limit
            ),
            error["traceback"].strip(),
            is_of_the_code=True,
        )
    verdict = diagnosis.of_ended_pod(pod, "")
    if "oom_kills" in content and verdict.cause is Cause.SIGNAL:
        verdict = replace(verdict, cause=Cause.OUT_OF_MEMORY)
    if verdict.cause is Cause.DEADLINE and pod.has_started:
        raise _hang(log, float(pod.deadline_seconds or 0), requests)
    if verdict.cause is Cause.DEADLINE:
        verdict = replace(verdict, cause=Cause.NEVER_STARTED, waited=verdict.time_limit)
    raise _error(verdict, last_stage, output.last_output(log, requests.name))


def _read(pod: StepPod, requests: PodRequests) -> tuple[str, dict[str, Any]]:
    """Return the log of a pod, and the content of its report; empty where it has none.

    Raises:
        LoadCheckError: a part of the report is missing.
    """
    if not pod.has_started or pod.is_gone:
        return "", {}
    has_reported = pod.ending is not None and pod.ending.exit_code in _REPORTED
    log, problem = "", None
    for attempt in range(_READS if has_reported else 1):
        if attempt:
            time.sleep(_READ_AGAIN_SECONDS)
        log, problem = requests.log(), None
        try:
            content = report_lines.content(requests.name, log)
        except ReportError as error:
            problem = error
            continue
        if content is not None:
            return log, content
    if problem:
        raise _unreadable(problem) from problem
    return log, {}


def _unreadable(problem: ValueError) -> LoadCheckError:
    cause = sentences.of_unreadable_report(str(problem))
    return LoadCheckError("ReportUnreadable", Stage.READING, cause)


def _error(verdict: Verdict, stage: Stage, last_output: str = "") -> LoadCheckError:
    return LoadCheckError(
        verdict.cause.value,
        stage,
        sentences.of_verdict(verdict),
        last_output,
        is_of_the_code=verdict.cause in _OF_THE_CODE,
    )


def _hang(log: str, seconds: float, requests: PodRequests) -> LoadCheckError:
    content: dict[str, Any] | None = None
    with suppress(ReportError):
        content = report_lines.content(requests.name, log)
    hang = output.of_hang((content or {}).get("stack", ""), log, requests.name)
    cause = sentences.of_hang(seconds, hang.place)
    return LoadCheckError("Timeout", Stage.LOADING, cause, hang.last_output, is_of_the_code=True)


@contextmanager
def _interrupted_by_sigterm() -> Generator[None]:
    """Let SIGTERM end the check as Ctrl+C does, unless the program handles it already."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def interrupt(number: int, _frame: object) -> NoReturn:
        raise SystemExit(_BY_SIGNAL + number)

    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
