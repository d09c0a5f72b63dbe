"""What single Jobs of steps are asked for, against an API server that answers as told."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client
from packages.bulkhead.tests.json_server import JsonHandler, serve

from bulkhead import names
from bulkhead.kube.api import KubernetesApi
from bulkhead.kube.pods import StepPod
from bulkhead.steps import step_jobs
from bulkhead.steps.step_jobs import RefusedError, StepJobs

JOBS = "/apis/batch/v1/namespaces/ns/jobs"
POD = StepPod(
    {
        "metadata": {"name": "step-1-abcde", "namespace": "ns"},
        "spec": {"containers": [{"name": "dagster"}]},
    }
)
RUN_JOB = {"apiVersion": "batch/v1", "kind": "Job", "name": "run", "uid": "uid-run"}


class Api:
    """Answers by method and path; what nobody gave an answer for is 404."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Any]] = {}
        self.requests: list[tuple[str, Any]] = []
        api = self

        class Handler(JsonHandler):
            def handle_any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                api.requests.append((f"{self.command} {self.path}", body))
                missing = (404, {"kind": "Status", "message": "not found", "reason": "NotFound"})
                status, answer = api.answers.get(f"{self.command} {self.path}", missing)
                self.raw(
                    answer if isinstance(answer, bytes) else json.dumps(answer).encode(), status
                )

            do_GET = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815

        self.server = serve(Handler)
        self.jobs = StepJobs(
            KubernetesApi(f"http://127.0.0.1:{self.server.server_address[1]}"), "ns"
        )

    def refuse(self, request: str, status: int, message: str, reason: str = "") -> None:
        self.answers[request] = (status, {"kind": "Status", "message": message, "reason": reason})

    def leave(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.setattr(step_jobs, "_RETRY_SECONDS", 0.01)
    monkeypatch.setenv("HOSTNAME", "run-abcde")
    api = Api()
    yield api
    api.leave()


def job() -> client.V1Job:
    return client.V1Job(
        api_version="batch/v1",
        kind="Job",
        metadata=client.V1ObjectMeta(name="step-1", labels={"a": "b"}),
        spec=client.V1JobSpec(
            backoff_limit=0,
            template=client.V1PodTemplateSpec(
                spec=client.V1PodSpec(containers=[client.V1Container(name="dagster")])
            ),
        ),
    )


def test_a_job_is_created_as_the_api_spells_it(api: Api) -> None:
    api.answers[f"POST {JOBS}"] = (201, {})
    api.jobs.create(job())
    template = {"spec": {"containers": [{"name": "dagster"}]}}
    assert api.requests == [
        (
            f"POST {JOBS}",
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": {"name": "step-1", "labels": {"a": "b"}},
                "spec": {"backoffLimit": 0, "template": template},
            },
        )
    ]


def test_a_job_that_an_earlier_try_created_is_taken_as_created(api: Api) -> None:
    api.refuse(f"POST {JOBS}", 409, 'jobs "step-1" already exists', "AlreadyExists")
    api.jobs.create(job())


@pytest.mark.parametrize(
    ("status", "may_pass"), [(403, False), (422, False), (409, True), (429, True), (500, True)]
)
def test_a_refusal_has_the_servers_words_and_may_pass_or_not(
    status: int, may_pass: bool, api: Api
) -> None:
    api.refuse(f"POST {JOBS}", status, "exceeded quota: bulkhead")
    with pytest.raises(RefusedError) as refused:
        api.jobs.create(job())
    assert (str(refused.value), refused.value.may_pass) == ("exceeded quota: bulkhead", may_pass)


def test_no_answer_may_pass(api: Api) -> None:
    api.leave()
    for request in (lambda: api.jobs.create(job()), lambda: api.jobs.resize(POD, 2**30)):
        with pytest.raises(RefusedError, match=r"^no answer: ") as refused:
            request()
        assert refused.value.may_pass


@pytest.mark.parametrize(
    ("answer", "exists"),
    [
        ((200, {"metadata": {}}), True),
        ((200, {"metadata": {"deletionTimestamp": "2030-01-01T00:00:00Z"}}), False),
        ((404, {}), False),
        ((500, {}), None),
        ((200, b"<html>"), None),
    ],
)
def test_whether_a_job_exists_may_be_unknown(answer: Any, exists: bool | None, api: Api) -> None:
    api.answers[f"GET {JOBS}/step-1"] = answer
    assert api.jobs.exists("step-1") is exists


@pytest.mark.parametrize(
    ("status", "seconds"),
    [
        ({"conditions": [{"type": "Failed", "reason": "DeadlineExceeded"}]}, 90),
        ({"conditions": [{"type": "Complete"}]}, None),
        ({}, None),
    ],
)
def test_the_deadline_of_a_job_is_known_if_it_was_exceeded(
    status: Any, seconds: int | None, api: Api
) -> None:
    answer = {"metadata": {}, "spec": {"activeDeadlineSeconds": 90}, "status": status}
    api.answers[f"GET {JOBS}/step-1"] = (200, answer)
    assert api.jobs.exceeded_deadline("step-1") == seconds
    assert api.jobs.exceeded_deadline("another") is None


def test_the_last_lines_of_a_log_are_text_and_may_be_lost(api: Api) -> None:
    path = "/api/v1/namespaces/ns/pods/step-1-abcde/log?container=dagster&tailLines=20"
    api.answers[f"GET {path}"] = (200, b"one\ntwo \xff\n")
    assert api.jobs.last_lines(POD) == "one\ntwo \N{REPLACEMENT CHARACTER}"
    api.refuse(f"GET {path}", 400, "the container is gone")
    assert api.jobs.last_lines(POD) == ""


def test_a_job_is_retriggered_by_an_annotation(api: Api) -> None:
    api.answers[f"PATCH {JOBS}/step-1"] = (200, {})
    api.jobs.retrigger("step-1")
    ((_, (change,)),) = api.requests
    assert change["op"] == "add"
    assert change["path"] == "/metadata/annotations/bulkhead.dev~1retriggered"
    assert change["value"].isdecimal()
    assert names.RETRIGGERED_ANNOTATION == "bulkhead.dev/retriggered"


def test_a_job_is_adopted_by_the_job_of_this_run(api: Api) -> None:
    pod = {"metadata": {"ownerReferences": [RUN_JOB]}, "status": {"podIP": "10.0.0.7"}}
    api.answers["GET /api/v1/namespaces/ns/pods/run-abcde"] = (200, pod)
    api.answers[f"PATCH {JOBS}/step-1"] = (200, {})
    api.jobs.adopt("step-1")
    assert api.requests[-1] == (
        f"PATCH {JOBS}/step-1",
        [{"op": "add", "path": "/metadata/ownerReferences", "value": [RUN_JOB]}],
    )
    assert api.jobs.address() == "10.0.0.7"
    assert len(api.requests) == 2, "the own pod is read once"


def test_a_run_in_no_pod_has_no_owner(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    assert api.jobs.owner() is None
    assert api.jobs.address() is None
    assert "may outlive it: pod run-abcde in namespace ns could not be read" in caplog.text


def test_a_running_step_gets_its_request_and_limit_raised(api: Api) -> None:
    path = "/api/v1/namespaces/ns/pods/step-1-abcde/resize"
    api.answers[f"PATCH {path}"] = (200, {})
    api.jobs.resize(POD, 2**30)
    resources = "/spec/containers/0/resources"
    assert api.requests == [
        (
            f"PATCH {path}",
            [
                {"op": "replace", "path": f"{resources}/requests/memory", "value": "1Gi"},
                {"op": "replace", "path": f"{resources}/limits/memory", "value": "1Gi"},
            ],
        )
    ]


def test_a_job_is_deleted_with_its_pod_and_failures_are_logged(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    api.jobs.delete("gone")
    assert not caplog.records
    api.answers[f"DELETE {JOBS}/step-1"] = (200, {})
    api.jobs.delete("step-1")
    assert api.requests[-1] == (f"DELETE {JOBS}/step-1", {"propagationPolicy": "Background"})
    api.refuse(f"DELETE {JOBS}/step-1", 403, "not allowed")
    api.jobs.delete("step-1")
    assert "Job step-1 could not be deleted: 403: not allowed" in caplog.text
