"""The whole loop against a real HTTP server that plays the API server and the web server."""

import json
import subprocess
import sys
from typing import Any

import pytest
from click.testing import CliRunner

from bulkhead.cli import main
from bulkhead.reconciler.reconciler import REMOVED

GRAPHQL = "POST /graphql"


@pytest.mark.parametrize("status", ["SUCCESS", "FAILURE", "CANCELED", None])
def test_a_step_that_has_outlived_its_run_is_removed_and_people_are_told_once(
    world: Any, caplog: pytest.LogCaptureFixture, status: str | None
) -> None:
    caplog.set_level("INFO")
    world.platform.register(hello="ns")
    world.platform.put(world.job("step-1", "ns", "run-1"))
    if status:
        world.platform.runs["run-1"] = status
    world.start()
    world.wait_until(lambda: world.platform.events)
    world.wait_for_looks(3)

    ((path, options),) = world.platform.deletions
    assert path == f"{world.jobs('ns')}/step-1"
    assert options == {
        "propagationPolicy": "Background",
        "preconditions": {"uid": "uid-ns-step-1"},
    }
    assert world.platform.names("ns") == set()

    message = (
        f"Removed step sleep of run run-1: the run had ended ({status or 'not known any more'}) "
        "and the step was still there"
    )
    (event,) = world.platform.events
    assert (event["reason"], event["message"]) == (REMOVED, message)
    assert event["metadata"]["namespace"] == "ns"
    assert event["source"] == {"component": "bulkhead-reconciler"}
    assert event["involvedObject"] == {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "namespace": "ns",
        "name": "step-1",
        "uid": "uid-ns-step-1",
        "resourceVersion": "7",
    }
    assert [each.getMessage() for each in caplog.records] == [
        f"{message} (Job step-1 in namespace ns)"
    ]


def test_steps_of_runs_that_go_on_and_jobs_that_are_no_steps_at_work_are_left_alone(
    world: Any,
) -> None:
    world.platform.register(hello="ns")
    world.platform.runs |= {"ended": "FAILURE", "canceling": "CANCELING", "queued": "QUEUED"}
    world.platform.runs |= {"resumed": "STARTED"}
    kept = [
        world.job("of-canceling", "ns", "canceling"),
        world.job("of-queued", "ns", "queued"),
        world.job("of-resumed", "ns", "resumed"),
        world.job("run-itself", "ns", "ended", step=None),
        world.job("succeeded", "ns", "ended", status={"succeeded": 1}),
        world.job("failed", "ns", "ended", status={"failed": 1}),
    ]
    for each in [*kept, world.job("leftover", "ns", "ended")]:
        world.platform.put(each)
    world.start()
    world.wait_until(lambda: world.platform.events)
    world.wait_for_looks(10)
    assert world.platform.names("ns") == {each["metadata"]["name"] for each in kept}
    assert len(world.platform.deletions) == 1


def test_a_step_that_ends_within_its_grace_ends_by_itself(world: Any) -> None:
    world.platform.register(hello="ns")
    job = world.platform.put(world.job("step-1", "ns", "run-1"))
    world.platform.runs["run-1"] = "SUCCESS"
    running = world.start(grace=60)
    world.wait_until(lambda: running.asks("/readyz")[1]["suspected"] == 1)
    world.wait_for_looks(5)
    assert world.platform.deletions == []
    job["status"] = {"succeeded": 1}
    world.wait_until(lambda: running.asks("/readyz")[1]["suspected"] == 0)


@pytest.mark.parametrize(
    "answer",
    [
        b'{"data": {"runs": {"__typename": "PythonError", "message": "no database"}}}',
        b'{"data": null, "errors": [{"message": "no database"}]}',
        b'{"data": {"runs": {"__typename": "Runs"}}}',
        b'{"data": {"runs": {"__typename": "Runs", "results": [null]}}}',
        b'{"data": {"runs": {"__typename": "Runs", "results": null}}}',
        b"{}",
        b"[]",
        b"<html>upstream connect error</html>",
        b"",
    ],
)
def test_a_web_server_that_does_not_answer_removes_nothing(world: Any, answer: bytes) -> None:
    world.platform.register(hello="ns")
    world.platform.put(world.job("step-1", "ns", "run-1"))
    world.platform.instead_of[GRAPHQL] = answer
    running = world.start(grace=0)
    world.wait_until(lambda: running.retrying)
    world.wait_for_looks(5)
    assert world.platform.deletions == []
    assert running.retrying[0].startswith("web server: ")
    assert running.asks("/healthz")[0] == 200, "a restart would not bring the web server back"
    assert running.asks("/readyz")[0] == 503


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            b'{"data": {"runs": {"__typename": "PythonError", "message": "no database"}}}',
            "/graphql reports PythonError: no database",
        ),
        (
            b'{"data": null, "errors": [{"message": "no database"}]}',
            "/graphql reports: no database",
        ),
    ],
)
def test_the_words_of_a_web_server_without_a_database_are_passed_on(
    world: Any, answer: bytes, said: str
) -> None:
    world.platform.register(hello="ns")
    world.platform.put(world.job("step-1", "ns", "run-1"))
    world.platform.instead_of[GRAPHQL] = answer
    running = world.start()
    world.wait_until(lambda: running.retrying)
    assert running.retrying[0].endswith(said)


def test_a_web_server_that_is_away_removes_nothing(world: Any) -> None:
    world.platform.register(hello="ns")
    world.platform.put(world.job("step-1", "ns", "run-1"))
    running = world.start(grace=0, graphql="http://127.0.0.1:1/graphql")
    world.wait_until(lambda: running.retrying)
    world.wait_for_looks(5)
    assert world.platform.deletions == []


def test_a_look_without_an_answer_begins_the_row_anew(
    world: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    world.platform.register(hello="ns")
    world.platform.put(world.job("step-1", "ns", "run-1"))
    running = world.start(grace=60)
    world.wait_until(lambda: running.asks("/readyz")[1]["suspected"] == 1)
    before = dict(running.reconciler._since)
    world.platform.refuse[GRAPHQL] = 503
    world.wait_until(lambda: running.asks("/readyz")[1]["suspected"] == 0)
    world.wait_for_looks(3)
    del world.platform.refuse[GRAPHQL]
    world.wait_until(lambda: running.asks("/readyz")[1]["suspected"] == 1)
    assert running.reconciler._since["uid-ns-step-1"] > before["uid-ns-step-1"]
    world.wait_until(lambda: running.asks("/readyz")[0] == 200)
    said = [each.getMessage() for each in caplog.records]
    assert len(said) == 2, "a failure is logged when it begins and when it ends, not at each check"
    assert said[1] == "web server: works again"


@pytest.mark.parametrize("status", [403, 500])
def test_a_namespace_that_does_not_answer_removes_nothing_and_holds_up_no_other(
    world: Any, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    world.platform.register(hello="ns", ml="ns2")
    world.platform.put(world.job("step-1", "ns", "run-1"))
    world.platform.put(world.job("step-2", "ns2", "run-2"))
    world.platform.refuse[f"GET {world.jobs('ns2')}"] = status
    running = world.start()
    world.wait_until(lambda: world.platform.names("ns") == set())
    world.wait_for_looks(3)
    assert world.platform.names("ns2") == {"step-2"}
    assert running.retrying[0].startswith("Jobs in namespace ns2: ")
    assert ("Role bulkhead-launcher in namespace ns2" in caplog.text) == (status == 403)
    world.platform.refuse.clear()
    world.wait_until(lambda: world.platform.names("ns2") == set())
    assert running.retrying == []


@pytest.mark.parametrize(
    "answer",
    [
        b"{}",
        b'{"kind": "Status"}',
        b"<html/>",
        b'{"kind": "JobList", "items": {}}',
        b'{"kind": "JobList", "items": [{"metadata": {',
    ],
)
def test_an_answer_that_is_no_list_of_jobs_removes_nothing(world: Any, answer: bytes) -> None:
    world.platform.register(hello="ns")
    world.platform.put(world.job("step-1", "ns", "run-1"))
    world.platform.instead_of[f"GET {world.jobs('ns')}"] = answer
    running = world.start(grace=0)
    world.wait_until(lambda: running.retrying)
    world.wait_for_looks(5)
    assert world.platform.deletions == []


def test_a_list_that_breaks_off_after_its_first_page_removes_nothing_of_it(world: Any) -> None:
    world.platform.register(hello="ns")
    for name in ("step-1", "step-2"):
        world.platform.put(world.job(name, "ns", name))
    world.platform.largest_page = 1
    world.platform.put(world.job("invalid", "ns", "run-3"))["status"] = {"conditions": [1]}
    running = world.start(grace=0)
    world.wait_until(lambda: running.retrying)
    world.wait_for_looks(5)
    assert world.platform.deletions == []


@pytest.mark.parametrize("registry", [None, "codeLocations: [", "", "codeLocation: {}"])
def test_a_registry_that_cannot_be_read_removes_nothing(world: Any, registry: str | None) -> None:
    world.platform.registry = registry
    world.platform.put(world.job("step-1", "ns", "run-1"))
    running = world.start(grace=0)
    world.wait_until(lambda: running.retrying)
    assert running.retrying[0].startswith("ConfigMap registry in namespace bulkhead: ")
    world.wait_for_looks(5)
    assert world.platform.deletions == []
    world.platform.register(hello="ns")
    world.wait_until(lambda: world.platform.names("ns") == set())


def test_a_namespace_that_is_not_registered_is_not_looked_at(world: Any) -> None:
    world.platform.register(hello="ns")
    world.platform.put(world.job("step-1", "ns", "run-1"))
    world.platform.put(world.job("step-2", "elsewhere", "run-1"))
    world.start()
    world.wait_until(lambda: world.platform.names("ns") == set())
    world.wait_for_looks(3)
    assert world.platform.names("elsewhere") == {"step-2"}


def test_a_platform_without_steps_at_work_does_not_bother_the_web_server(world: Any) -> None:
    world.platform.register(hello="ns")
    running = world.start()
    world.wait_for_looks(3)
    assert running.asks("/readyz") == (200, {"ready": True, "retrying": [], "suspected": 0})
    assert world.platform.asked == []


def test_many_runs_are_asked_for_in_few_questions_and_none_is_missed(world: Any) -> None:
    world.platform.register(hello="ns")
    world.platform.largest_page = 70
    for number in range(450):
        run = f"run-{number:03}"
        world.platform.put(world.job(f"step-{number:03}", "ns", run))
        world.platform.runs[run] = "STARTED"
    world.platform.put(world.job("step-000-again", "ns", "run-000"))
    running = world.start(grace=0)
    world.wait_until(lambda: running.asks("/readyz")[0] == 200)
    world.wait_for_looks(2)
    assert world.platform.deletions == []
    first = world.platform.asked[:3]
    assert sorted(each for asked in first for each in asked["ids"]) == sorted(world.platform.runs)
    # Dagster would cut an answer that is longer than its own limit, and a run that is missing in
    # an answer counts as deleted.
    assert all(asked["limit"] == len(asked["ids"]) for asked in world.platform.asked)


def test_a_deletion_that_fails_is_tried_again(world: Any) -> None:
    world.platform.register(hello="ns")
    world.platform.put(world.job("step-1", "ns", "run-1"))
    world.platform.refuse[f"DELETE {world.jobs('ns')}/step-1"] = 500
    running = world.start()
    world.wait_until(lambda: running.retrying)
    assert running.retrying[0].startswith("Job step-1 in namespace ns: 500")
    assert world.platform.events == []
    world.platform.refuse.clear()
    world.wait_until(lambda: world.platform.events)
    assert world.platform.names("ns") == set()


@pytest.mark.parametrize("status", [404, 409])
def test_a_job_that_went_by_itself_is_not_claimed(world: Any, status: int) -> None:
    world.platform.register(hello="ns")
    world.platform.put(world.job("step-1", "ns", "run-1"))
    world.platform.refuse[f"DELETE {world.jobs('ns')}/step-1"] = status
    running = world.start()
    world.wait_until(lambda: running.asks("/readyz")[1]["suspected"] == 1)
    world.wait_for_looks(10)
    assert world.platform.events == []
    assert running.retrying == []


def test_an_event_that_could_not_be_written_is_written_later(world: Any) -> None:
    world.platform.register(hello="ns")
    world.platform.put(world.job("step-1", "ns", "run-1"))
    world.platform.refuse[f"POST {world.events_path('ns')}"] = 500
    world.start()
    world.wait_until(lambda: world.platform.names("ns") == set())
    world.wait_for_looks(2)
    assert world.platform.events == []
    world.platform.refuse.clear()
    world.wait_until(lambda: world.platform.events)
    world.wait_for_looks(3)
    assert len(world.platform.events) == 1


def test_an_event_that_is_refused_is_not_tried_again(
    world: Any, caplog: pytest.LogCaptureFixture
) -> None:
    world.platform.register(hello="ns")
    world.platform.put(world.job("step-1", "ns", "run-1"))
    world.platform.refuse[f"POST {world.events_path('ns')}"] = 403
    world.start()
    world.wait_until(lambda: "rejected the event about Job step-1 in namespace ns" in caplog.text)
    world.platform.refuse.clear()
    world.wait_for_looks(3)
    assert world.platform.events == []


def test_a_loop_that_hangs_is_ill_health(world: Any) -> None:
    world.platform.register(hello="ns")
    running = world.start()
    world.wait_for_looks(1)
    assert running.asks("/healthz") == (200, {"healthy": True, "problems": [], "retrying": []})
    running.reconciler._heartbeat._seconds = -1.0
    status, said = running.asks("/healthz")
    assert status == 503
    assert said["problems"][0].startswith("check: no heartbeat for ")


def test_it_imports_neither_dagster_nor_the_kubernetes_client() -> None:
    """It runs beside the daemon for ever: what it imports is what it costs."""
    code = (
        "import json, sys\n"
        "from bulkhead import cli\n"
        "from bulkhead.reconciler import reconciler\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not {"dagster", "dagster_k8s", "kubernetes"} & set(json.loads(done.stdout))


def test_outside_a_pod_the_command_says_what_is_missing() -> None:
    arguments = ["reconcile", "--registry", "registry", "--graphql", "http://127.0.0.1:1/graphql"]
    result = CliRunner().invoke(main, arguments, env={"KUBERNETES_SERVICE_HOST": ""})
    assert result.exit_code == 1
    assert "automountServiceAccountToken" in result.output
