"""What an API server says against a pod, and whether waiting may help.

The messages are those of Kubernetes 1.34, as the Job controller puts them into its events.
"""

import pytest

from bulkhead.steps import reports, sentences
from bulkhead.steps.refusals import of_message
from bulkhead.steps.verdicts import Cause

POD = 'pods "dagster-step-1a4d16fbf7fa5502ac7cc59783e05258-znwgd" is forbidden: '
QUOTA = (
    f"Error creating: {POD}exceeded quota: bulkhead, requested: limits.memory=2Gi,"
    "requests.memory=2Gi, used: limits.memory=7Gi,requests.memory=7Gi, limited: "
    "limits.memory=8Gi,requests.memory=8Gi"
)


def test_a_step_that_fits_the_quota_waits_for_room() -> None:
    verdict, may_pass = of_message(QUOTA, "train")
    assert may_pass
    assert verdict.cause is Cause.QUOTA
    assert sentences.of_verdict(verdict) == (
        "Step train waits for room in the quota of its code location: it requests "
        "limits.memory=2Gi,requests.memory=2Gi; limits.memory=7Gi,requests.memory=7Gi of "
        "limits.memory=8Gi,requests.memory=8Gi is in use."
    )
    assert reports.metadata(verdict) == {
        "cause": "QuotaExceeded",
        "attempt": 1,
        "quota": "bulkhead",
        "requested": "limits.memory=2Gi,requests.memory=2Gi",
        "used": "limits.memory=7Gi,requests.memory=7Gi",
        "limited": "limits.memory=8Gi,requests.memory=8Gi",
    }


def test_a_quota_of_pods_that_is_used_up_has_room_later() -> None:
    verdict, may_pass = of_message(
        f"Error creating: {POD}exceeded quota: bulkhead, requested: pods=1, used: pods=10, "
        "limited: pods=10",
        "train",
    )
    assert (verdict.cause, may_pass) == (Cause.QUOTA, True)


def test_exactly_the_quota_has_room_once_nothing_else_runs() -> None:
    message = QUOTA.replace("=2Gi", "=8192Mi")
    assert of_message(message, "train")[1]


@pytest.mark.parametrize(
    ("requested", "used", "limited", "said"),
    [
        (
            "limits.memory=16Gi",
            "limits.memory=0",
            "limits.memory=8Gi",
            "limits.memory 16Gi, but the whole quota of its code location is 8Gi",
        ),
        (
            "limits.cpu=1,limits.memory=8193Mi",
            "limits.cpu=1,limits.memory=1Gi",
            "limits.cpu=2,limits.memory=8Gi",
            "limits.memory 8193Mi, but the whole quota of its code location is 8Gi",
        ),
        ("pods=1", "pods=0", "pods=0", "pods 1, but the whole quota of its code location is 0"),
        (
            "limits.cpu=2500m",
            "limits.cpu=0",
            "limits.cpu=2",
            "limits.cpu 2500m, but the whole quota of its code location is 2",
        ),
    ],
)
def test_a_step_larger_than_the_whole_quota_never_waits_for_it(
    requested: str, used: str, limited: str, said: str
) -> None:
    verdict, may_pass = of_message(
        f"Error creating: {POD}exceeded quota: bulkhead, requested: {requested}, used: {used}, "
        f"limited: {limited}",
        "train",
    )
    assert not may_pass
    assert verdict.cause is Cause.QUOTA
    assert sentences.of_verdict(verdict) == (
        f"Step train requests {said}, so it can never start. Request less, or ask the platform "
        "admin to raise the quota."
    )
    assert verdict.quota
    assert verdict.quota.limited == limited


LIMIT_RANGE = (
    "[maximum memory usage per Container is 8Gi, but limit is 16Gi, maximum cpu usage per "
    "Container is 2, but limit is 4]"
)
POD_SECURITY = (
    'violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container '
    '"dagster" must set securityContext.allowPrivilegeEscalation=false)'
)
NO_LIMITS = (
    "failed quota: bulkhead: must specify limits.cpu for: dagster; limits.memory for: dagster"
)
NAMESPACE_ENDS = (
    "unable to create new content in namespace bulkhead-ml because it is being terminated"
)


@pytest.mark.parametrize("said", [LIMIT_RANGE, POD_SECURITY, NO_LIMITS, NAMESPACE_ENDS])
def test_what_is_forbidden_is_refused_for_ever_in_the_api_servers_own_words(said: str) -> None:
    verdict, may_pass = of_message(f"Error creating: {POD}{said}", "train")
    assert not may_pass
    assert verdict.cause is Cause.REJECTED
    assert (
        sentences.of_verdict(verdict) == f"The API server rejected the pod of step train: {said}."
    )


INVALID = 'Pod "dagster-step-1a4d16fbf7fa5502ac7cc59783e05258-znwgd" is invalid: '
REQUEST_ABOVE_LIMIT = (
    'spec.containers[0].resources.requests: Invalid value: "256Mi": must be less than or equal to '
    "memory limit of 128Mi"
)
# The words of an answer are not those of a server in trouble.
TIMEOUT_INVALID = (
    "spec.containers[0].livenessProbe.timeoutSeconds: Invalid value: -1: must be greater than or "
    "equal to 0"
)
WEBHOOK_DENIES = (
    'admission webhook "validate.policies.example" denied the request: every pod needs a timeout'
)
POLICY_DENIES = (
    "ValidatingAdmissionPolicy 'deadlines' with binding 'deadlines' denied request: a timeout is "
    "needed"
)


@pytest.mark.parametrize(
    ("preamble", "said"),
    [
        (INVALID, REQUEST_ABOVE_LIMIT),
        (INVALID, TIMEOUT_INVALID),
        ("", WEBHOOK_DENIES),
        (POD, POLICY_DENIES),
    ],
)
def test_a_definite_answer_is_final_whatever_words_it_has(preamble: str, said: str) -> None:
    verdict, may_pass = of_message(f"Error creating: {preamble}{said}", "train")
    assert not may_pass
    assert verdict.cause is Cause.REJECTED
    assert (
        sentences.of_verdict(verdict) == f"The API server rejected the pod of step train: {said}."
    )


WEBHOOK_FAILS = (
    'Internal error occurred: failed calling webhook "validate.policies.example": failed to call '
    "webhook: "
)
WEBHOOK_GONE = (
    f'{WEBHOOK_FAILS}Post "https://policies.policies.svc:443/validate?timeout=10s": no endpoints '
    'available for service "policies"'
)
QUOTA_CHANGED = (
    'Operation cannot be fulfilled on resourcequotas "bulkhead": the object has been modified; '
    "please apply your changes to the latest version and try again"
)


@pytest.mark.parametrize(
    "said",
    [
        WEBHOOK_GONE,
        f"{WEBHOOK_FAILS}context deadline exceeded",
        QUOTA_CHANGED,
        "etcdserver: request timed out",
        "etcdserver: leader changed",
        "Timeout: request did not complete within requested timeout - context deadline exceeded",
        "the server was unable to return a response in the time allotted (Too many requests)",
        "dial tcp 10.96.0.1:443: connect: connection refused",
        "no answer: HTTPSConnectionPool(host='10.96.0.1', port=443): Read timed out",
        "the server is currently unable to handle the request",
        "429 Too Many Requests",
        "500 Internal Server Error",
        "502 Bad Gateway",
        "503 Service Unavailable",
        "504 Gateway Timeout",
    ],
)
def test_the_api_servers_own_trouble_may_pass(said: str) -> None:
    verdict, may_pass = of_message(f"Error creating: {said}", "train")
    assert may_pass
    assert verdict.cause is Cause.API
    assert verdict.cause.is_infrastructure
    assert (
        sentences.of_verdict(verdict)
        == f"The API server could not create the pod of step train: {said}."
    )


NO_SERVICE_ACCOUNT = (
    "error looking up service account bulkhead-ml/bulkhead-step: serviceaccount "
    '"bulkhead-step" not found'
)
QUOTA_NOT_COUNTED = "status unknown for quota: bulkhead, resources: limits.cpu,limits.memory"


@pytest.mark.parametrize("said", [NO_SERVICE_ACCOUNT, QUOTA_NOT_COUNTED])
def test_a_namespace_that_is_still_being_set_up_is_waited_for(said: str) -> None:
    verdict, may_pass = of_message(f"Error creating: {POD}{said}", "train")
    assert (verdict.cause, may_pass) == (Cause.API, True)


@pytest.mark.parametrize("said", ["no room", "no room.", "no room. ", "no room\n"])
def test_a_sentence_ends_with_one_full_stop(said: str) -> None:
    verdict, _ = of_message(f"Error creating: {said}", "train")
    assert (
        sentences.of_verdict(verdict) == "The API server rejected the pod of step train: no room."
    )


@pytest.mark.parametrize("prefix", ["Error creating: ", f"Error creating: {POD}"])
def test_people_read_the_reason_without_the_controllers_preamble(prefix: str) -> None:
    verdict, _ = of_message(f"{prefix}no room ", "train")
    assert (
        sentences.of_verdict(verdict) == "The API server rejected the pod of step train: no room."
    )


def test_a_refused_job_is_told_in_full() -> None:
    said = 'jobs.batch "dagster-step-1a4d" is forbidden: not today'
    verdict, may_pass = of_message(said, "train")
    assert not may_pass
    assert (
        sentences.of_verdict(verdict) == f"The API server rejected the pod of step train: {said}."
    )
