"""`StepWatch` ends up knowing the truth, whatever the API server and the network do."""

import logging
import random
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from http import HTTPStatus
from typing import Any

import pytest
from packages.bulkhead.tests.test_steps import fake_api as fake
from packages.bulkhead.tests.test_steps.fake_api import EVENTS, LIST, PODS, WATCH
from packages.bulkhead.tests.waiting import wait_until

from bulkhead import names
from bulkhead.kube import list_watch
from bulkhead.kube.api import KubernetesApi
from bulkhead.steps import watch
from bulkhead.steps.watch import StepWatch

Object = dict[str, Any]

NAMESPACE = "bulkhead-hello"
RUN = "299af3e0-5caa-41ea-a586-1cc8704a48a6"


@pytest.fixture
def api() -> Iterator[Any]:
    api = fake.FakeApi()
    yield api
    api.leave()


@pytest.fixture
def steps(api: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[StepWatch]:
    """A watch over the steps of one run, with pauses that are short enough for a test."""
    monkeypatch.setattr(list_watch, "_FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(list_watch, "_LONGEST_PAUSE_SECONDS", 0.05)
    selector = f"{names.RUN_ID_LABEL}={RUN},{names.STEP_KEY_LABEL}"
    steps = StepWatch(KubernetesApi(api.address), NAMESPACE, selector)
    yield steps
    steps.stop()


def follow(steps: StepWatch, api: Any) -> None:
    """Start, and wait until both collections are watched."""
    steps.start()
    wait_until(lambda: steps.is_listed and api.is_watched(PODS) and api.is_watched(EVENTS))


RUNNING = {"running": {"startedAt": "2026-11-25T00:02:23Z"}}
OOM_KILLED = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
COMPLETED = {"terminated": {"exitCode": 0, "reason": "Completed"}}


def pod(
    job: str, state: Object | None = None, *, number: int = 1, run: str = RUN, note: str = ""
) -> Object:
    """The pod of a Job; `number` tells one from another, in the order in which they were made."""
    containers = [{"name": "dagster", "state": state}] if state else []
    ended = state and state.get("terminated", {}).get("exitCode")
    phases = {None: "Running" if state else "Pending", 0: "Succeeded"}
    return {
        "metadata": {
            "name": f"{job}-{number}",
            "namespace": NAMESPACE,
            "uid": f"uid-of-{job}-{number}",
            "creationTimestamp": f"2026-11-25T00:02:2{number}Z",
            "labels": {names.RUN_ID_LABEL: run, names.STEP_KEY_LABEL: "train"},
            "annotations": {names.STEP_KEY_ANNOTATION: "train", "note": note},
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": job}],
        },
        "spec": {"containers": [{"name": "dagster"}]},
        "status": {"phase": phases.get(ended, "Failed"), "containerStatuses": containers},
    }


def uid(job: str, number: int = 1) -> str:
    return pod(job, number=number)["metadata"]["uid"]


def refusal(job: str, message: str, *, number: int = 1, at: int = 0, **more: Any) -> Object:
    """What the Job controller says of a pod that it could not make."""
    return {
        "metadata": {"name": f"{job}.{number}", "uid": f"event-of-{job}-{number}"},
        "involvedObject": {"kind": "Job", "name": job},
        "reason": "FailedCreate",
        "message": message,
        "lastTimestamp": f"2026-11-25T00:02:{at:02}Z",
        **more,
    }


# --- While all is well ----------------------------------------------------------------------------


def test_a_pod_counts_as_missing_only_once_what_is_there_was_seen(
    steps: StepWatch, api: Any
) -> None:
    api.put(PODS, pod("a", RUNNING))
    assert not steps.is_listed
    assert steps.pod("a") is None
    steps.start()
    wait_until(lambda: steps.is_listed)
    assert steps.pod("a")
    assert steps.pod("b") is None


def test_what_happens_to_a_pod_is_known_by_the_name_of_its_job(steps: StepWatch, api: Any) -> None:
    follow(steps, api)
    api.put(PODS, pod("a"))
    wait_until(lambda: steps.pod("a"))
    api.put(PODS, pod("a", RUNNING))
    wait_until(lambda: steps.pod("a").is_running)
    assert steps.ended() == frozenset()
    api.put(PODS, pod("a", OOM_KILLED))
    wait_until(lambda: steps.pod("a").is_over)
    assert steps.pod("a").ending.reason == "OOMKilled"
    assert steps.ended() == {"a"}
    assert (api.count(PODS, LIST), api.count(PODS, WATCH)) == (1, 1)


def test_a_pod_that_is_deleted_is_gone_with_its_last_state(steps: StepWatch, api: Any) -> None:
    api.put(PODS, pod("a", RUNNING, note="last"))
    follow(steps, api)
    api.remove(PODS, uid("a"))
    wait_until(lambda: steps.pod("a").is_gone)
    assert steps.pod("a").is_running
    assert steps.pod("a").object["metadata"]["annotations"]["note"] == "last"
    assert steps.ended() == {"a"}


def limited(value: Object, memory: str) -> Object:
    """The same pod, of whose container the kubelet tells a memory limit."""
    value["status"]["containerStatuses"][0]["resources"] = {"limits": {"memory": memory}}
    return value


@pytest.mark.parametrize("is_watched", [True, False], ids=["watched", "listed-anew"])
def test_a_step_killed_while_it_was_about_to_grow_had_the_limit_with_which_it_ran(
    is_watched: bool, steps: StepWatch, api: Any
) -> None:
    """Of a container that has ended the kubelet tells what it was granted, in force or not."""
    api.put(PODS, limited(pod("a", RUNNING), "512Mi"))
    follow(steps, api)
    with nullcontext() if is_watched else api.away():
        api.put(PODS, limited(pod("a", OOM_KILLED), "1Gi"))
    wait_until(lambda: steps.pod("a").is_over)
    assert steps.pod("a").memory_limit == 512 * 2**20
    api.put(PODS, limited(pod("a", OOM_KILLED, note="last"), "1Gi"))
    wait_until(lambda: steps.pod("a").object["metadata"]["annotations"]["note"] == "last")
    assert steps.pod("a").memory_limit == 512 * 2**20
    api.remove(PODS, uid("a"))
    wait_until(lambda: steps.pod("a").is_gone)
    assert steps.pod("a").memory_limit == 512 * 2**20


def test_a_limit_that_came_into_force_is_known_after_the_end(steps: StepWatch, api: Any) -> None:
    follow(steps, api)
    for memory in ("512Mi", "1Gi"):
        api.put(PODS, limited(pod("a", RUNNING), memory))
    api.put(PODS, limited(pod("a", OOM_KILLED), "1Gi"))
    wait_until(lambda: steps.pod("a") and steps.pod("a").is_over)
    assert steps.pod("a").memory_limit == 2**30


def removed(value: Object) -> Object:
    """The same pod while it is being removed."""
    value["metadata"]["deletionTimestamp"] = "2026-11-25T00:03:00Z"
    return value


def test_who_removes_a_pod_that_is_over_has_not_ended_it(steps: StepWatch, api: Any) -> None:
    api.put(PODS, pod("a", OOM_KILLED))
    api.put(PODS, pod("b", RUNNING))
    follow(steps, api)
    for job in ("a", "b"):
        api.put(PODS, removed(pod(job, OOM_KILLED)))
        api.remove(PODS, uid(job))
    wait_until(lambda: steps.pod("a").is_gone and steps.pod("b").is_gone)
    assert not steps.pod("a").is_being_deleted
    assert steps.pod("a").ending.reason == "OOMKilled"
    assert steps.pod("b").is_being_deleted


def test_only_this_runs_steps_and_only_refusals_are_followed(steps: StepWatch, api: Any) -> None:
    api.put(PODS, pod("listed", run="another"))
    api.put(EVENTS, refusal("listed", "no", reason="BackoffLimitExceeded"))
    follow(steps, api)
    api.put(PODS, pod("watched", run="another"))
    api.put(EVENTS, refusal("watched", "no", reason="SuccessfulCreate"))
    api.put(PODS, pod("ours"))
    api.put(EVENTS, refusal("ours", "no"))
    wait_until(lambda: steps.pod("ours") and steps.refusal("ours"))
    assert [steps.pod(job) for job in ("listed", "watched")] == [None, None]
    assert [steps.refusal(job) for job in ("listed", "watched")] == [None, None]


def test_nothing_is_asked_for_by_step(steps: StepWatch, api: Any) -> None:
    follow(steps, api)
    for number in range(50):
        api.put(PODS, pod(f"job-{number}", COMPLETED))
    wait_until(lambda: len(steps.ended()) == 50)
    assert len(api.requests) == 4


def test_both_threads_end_after_a_stop(steps: StepWatch, api: Any) -> None:
    def threads() -> list[threading.Thread]:
        return [each for each in threading.enumerate() if each.name == "step-watch"]

    before = threads()
    follow(steps, api)
    started = [each for each in threads() if each not in before]
    assert len(started) == 2
    assert all(each.daemon for each in started)
    steps.stop()
    api.end_watches(PODS)
    api.cut_watches(EVENTS)
    for each in started:
        each.join(10)
    assert not any(each.is_alive() for each in started)


# --- While nobody watches -------------------------------------------------------------------------


def test_a_pod_that_finished_while_the_api_server_was_away_is_over(
    steps: StepWatch, api: Any
) -> None:
    api.put(PODS, pod("a", RUNNING))
    follow(steps, api)
    with api.away():
        api.put(PODS, pod("a", OOM_KILLED))
    wait_until(lambda: steps.ended() == {"a"})
    assert steps.pod("a").ending.reason == "OOMKilled"
    assert not steps.pod("a").is_gone


def test_a_pod_that_was_deleted_while_the_api_server_was_away_is_gone_with_its_last_state(
    steps: StepWatch, api: Any
) -> None:
    api.put(PODS, pod("a", RUNNING, note="last"))
    api.put(PODS, pod("b", RUNNING))
    follow(steps, api)
    with api.away():
        api.remove(PODS, uid("a"))
    wait_until(lambda: steps.pod("a").is_gone)
    assert steps.pod("a").is_running
    assert steps.pod("a").object["metadata"]["annotations"]["note"] == "last"
    assert not steps.pod("b").is_over


def test_a_pod_that_was_made_while_the_api_server_was_away_is_known(
    steps: StepWatch, api: Any
) -> None:
    follow(steps, api)
    with api.away():
        api.put(PODS, pod("a", COMPLETED))
        api.put(EVENTS, refusal("b", "no"))
    wait_until(lambda: steps.pod("a") and steps.refusal("b"))


def test_a_pod_that_is_gone_stays_gone_however_often_the_rest_is_listed(
    steps: StepWatch, api: Any
) -> None:
    api.put(PODS, pod("a", OOM_KILLED))
    follow(steps, api)
    api.remove(PODS, uid("a"))
    wait_until(lambda: steps.pod("a").is_gone)
    for lists in (2, 3):
        api.cut_watches(PODS)
        wait_until(lambda lists=lists: api.count(PODS, LIST) == lists and api.is_watched(PODS))
    assert steps.pod("a").is_gone
    assert steps.pod("a").ending.reason == "OOMKilled"


def test_a_list_in_pages_is_read_to_its_end(steps: StepWatch, api: Any) -> None:
    api.longest_page = 2
    for number in range(5):
        api.put(PODS, pod(f"job-{number}", COMPLETED))
    follow(steps, api)
    assert len(steps.ended()) == 5
    api.remove(PODS, uid("job-4"))
    api.cut_watches(PODS)
    wait_until(lambda: steps.pod("job-4").is_gone)
    assert not any(steps.pod(f"job-{number}").is_gone for number in range(4))


def test_an_object_that_nobody_thought_of_does_not_make_a_run_blind(
    steps: StepWatch, api: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watch, "_RESTART_SECONDS", 0.05)
    follow(steps, api)
    strange = pod("a", RUNNING)
    strange["metadata"]["ownerReferences"] = [{"kind": "Job"}]
    api.send(
        PODS,
        fake.line(
            "ADDED", {**strange, "metadata": {**strange["metadata"], "resourceVersion": "1000"}}
        ),
    )
    wait_until(lambda: "The watch on the steps of this run failed" in caplog.text)
    api.put(PODS, pod("b", COMPLETED))
    wait_until(lambda: steps.ended() == {"b"})


def test_an_api_server_that_is_away_at_the_start_is_waited_for(steps: StepWatch, api: Any) -> None:
    api.put(PODS, pod("a", RUNNING))
    with api.away():
        steps.start()
    wait_until(lambda: steps.is_listed)
    assert steps.pod("a").is_running


def test_a_connection_that_has_gone_dead_is_given_up_and_what_happened_is_learnt(
    steps: StepWatch, api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_watch, "SILENCE_SECONDS", 0.2)
    api.put(PODS, pod("a", RUNNING))
    follow(steps, api)
    with api.deaf_watches():
        api.put(PODS, pod("a", OOM_KILLED))
    wait_until(lambda: steps.ended() == {"a"})


# --- Second pods ----------------------------------------------------------------------------------


def test_no_second_pod_of_a_job_takes_the_firsts_place_while_it_is_watched(
    steps: StepWatch, api: Any
) -> None:
    api.put(PODS, pod("a", RUNNING))
    follow(steps, api)
    api.put(PODS, pod("a", number=2))
    api.put(PODS, pod("a", COMPLETED, number=2))
    api.remove(PODS, uid("a", 2))
    api.put(PODS, pod("afterwards"))
    wait_until(lambda: steps.pod("afterwards"))
    assert steps.pod("a").name == "a-1"
    assert not steps.pod("a").is_over
    api.remove(PODS, uid("a"))
    wait_until(lambda: steps.pod("a").is_gone)
    assert steps.pod("a").name == "a-1"


@pytest.mark.parametrize("is_first_there", [True, False])
def test_no_second_pod_of_a_job_takes_the_firsts_place_in_a_list(
    is_first_there: bool, steps: StepWatch, api: Any
) -> None:
    api.put(PODS, pod("a", RUNNING))
    follow(steps, api)
    with api.away():
        if not is_first_there:
            api.remove(PODS, uid("a"))
        api.put(PODS, pod("a", RUNNING, number=2))
        api.put(PODS, pod("afterwards"))
    wait_until(lambda: steps.pod("afterwards"))
    assert steps.pod("a").name == "a-1"
    assert steps.pod("a").is_gone is not is_first_there


@pytest.mark.parametrize("numbers", [(1, 2), (2, 1)])
def test_of_two_pods_in_the_first_list_the_older_one_counts(
    numbers: tuple[int, int], steps: StepWatch, api: Any
) -> None:
    for number in numbers:
        api.put(PODS, pod("a", RUNNING, number=number))
    follow(steps, api)
    assert steps.pod("a").name == "a-1"


# --- Events that come twice, late, in pieces ------------------------------------------------------


def test_what_is_told_twice_is_known_once(steps: StepWatch, api: Any) -> None:
    follow(steps, api)
    made = api.put(PODS, pod("a", RUNNING))
    ended = api.put(PODS, pod("a", OOM_KILLED))
    twice = fake.line("ADDED", made) + fake.line("MODIFIED", ended)
    api.send(PODS, twice, twice)
    api.put(PODS, pod("afterwards"))
    wait_until(lambda: steps.pod("afterwards"))
    assert steps.ended() == {"a"}


def test_old_news_changes_nothing(steps: StepWatch, api: Any) -> None:
    follow(steps, api)
    running = api.put(PODS, pod("a", RUNNING))
    api.put(PODS, pod("a", OOM_KILLED))
    api.send(PODS, fake.line("MODIFIED", running))
    api.put(PODS, pod("afterwards"))
    wait_until(lambda: steps.pod("afterwards"))
    assert steps.pod("a").ending.reason == "OOMKilled"


def test_nothing_brings_a_deleted_pod_back(steps: StepWatch, api: Any) -> None:
    follow(steps, api)
    running = api.put(PODS, pod("a", RUNNING))
    removed = api.remove(PODS, uid("a"))
    late = {**running, "metadata": removed["metadata"]}
    api.send(PODS, fake.line("ADDED", running), fake.line("MODIFIED", late))
    api.put(PODS, pod("afterwards"))
    wait_until(lambda: steps.pod("afterwards"))
    assert steps.pod("a").is_gone


def test_news_of_different_pods_may_come_in_any_order(steps: StepWatch, api: Any) -> None:
    follow(steps, api)
    with api.deaf_watches():
        first = api.put(PODS, pod("a", COMPLETED))
        second = api.put(PODS, pod("b", RUNNING))
    api.send(PODS, fake.line("ADDED", second), fake.line("ADDED", first))
    wait_until(lambda: steps.ended() == {"a"} and steps.pod("b"))
    # A watch from the lower version is told of the higher one again.
    api.end_watches(PODS)
    api.put(PODS, pod("b", COMPLETED))
    wait_until(lambda: steps.ended() == {"a", "b"})


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_line_may_be_cut_into_chunks_anywhere(size: int, steps: StepWatch, api: Any) -> None:
    follow(steps, api)
    with api.deaf_watches():
        changed = api.put(PODS, pod("a", OOM_KILLED, note="größer als 1 Gi, 终"))
    text = fake.line("ADDED", changed)
    api.send(PODS, *(text[start : start + size] for start in range(0, len(text), size)))
    wait_until(lambda: steps.pod("a"))
    assert steps.pod("a").object == changed


def test_many_lines_may_come_in_one_chunk_with_empty_ones_between(
    steps: StepWatch, api: Any
) -> None:
    follow(steps, api)
    with api.deaf_watches():
        changed = [api.put(PODS, pod(f"job-{number}", COMPLETED)) for number in range(300)]
    api.send(PODS, b"\n\r\n".join(fake.line("ADDED", each) for each in changed))
    wait_until(lambda: len(steps.ended()) == 300)
    assert api.count(PODS, LIST) == 1


def test_a_line_that_breaks_off_in_its_middle_is_heard_in_full_the_next_time(
    steps: StepWatch, api: Any
) -> None:
    follow(steps, api)
    with api.deaf_watches():
        text = fake.line("ADDED", api.put(PODS, pod("a", COMPLETED)))
    api.send(PODS, text[: len(text) // 2])
    api.cut_watches(PODS)
    wait_until(lambda: steps.ended() == {"a"})


def test_a_watch_that_ends_in_the_middle_of_a_line_goes_on_from_the_line_before(
    steps: StepWatch, api: Any
) -> None:
    follow(steps, api)
    known = api.put(PODS, pod("a", RUNNING))["metadata"]["resourceVersion"]
    wait_until(lambda: steps.pod("a"))
    with api.deaf_watches():
        text = fake.line("MODIFIED", api.put(PODS, pod("a", COMPLETED)))
    api.send(PODS, text[: len(text) // 2])
    api.end_watches(PODS)
    wait_until(lambda: steps.ended() == {"a"})
    assert (api.last_request(PODS, WATCH).version, api.count(PODS, LIST)) == (known, 1)


# --- Watches that end -----------------------------------------------------------------------------


def test_a_watch_whose_time_is_over_goes_on_from_where_it_was_without_a_list(
    steps: StepWatch, api: Any
) -> None:
    follow(steps, api)
    last = api.put(PODS, pod("a", RUNNING))["metadata"]["resourceVersion"]
    wait_until(lambda: steps.pod("a"))
    api.end_watches(PODS)
    wait_until(lambda: api.count(PODS, WATCH) == 2)
    assert api.last_request(PODS, WATCH).version == last
    api.put(PODS, pod("a", COMPLETED))
    wait_until(lambda: steps.ended() == {"a"})
    assert api.count(PODS, LIST) == 1


def test_a_bookmark_moves_the_watch_on_and_is_no_pod(steps: StepWatch, api: Any) -> None:
    follow(steps, api)
    assert api.last_request(PODS, WATCH).query["allowWatchBookmarks"] == "true"
    api.put(PODS, pod("another-runs", run="another"))
    api.send(PODS, fake.bookmark(api.version))
    api.end_watches(PODS)
    wait_until(lambda: api.count(PODS, WATCH) == 2)
    assert api.last_request(PODS, WATCH).version == str(api.version)
    assert steps._pods.by_job == {}
    assert api.count(PODS, LIST) == 1


@pytest.mark.parametrize("within_a_watch", [True, False])
def test_a_version_that_the_server_has_forgotten_leads_to_a_new_list(
    within_a_watch: bool, steps: StepWatch, api: Any
) -> None:
    api.answers_410_within_a_watch = within_a_watch
    api.put(PODS, pod("a", RUNNING))
    api.put(PODS, pod("b", RUNNING))
    follow(steps, api)
    with api.deaf_watches():
        api.put(PODS, pod("a", COMPLETED))
        api.remove(PODS, uid("b"))
    api.forget()
    api.end_watches(PODS)
    wait_until(lambda: steps.ended() == {"a", "b"})
    assert steps.pod("b").is_gone
    assert api.count(PODS, LIST) == 2


def test_a_watch_that_is_told_in_its_midst_that_it_is_too_old_begins_anew(
    steps: StepWatch, api: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, list_watch.__name__)
    follow(steps, api)
    with api.deaf_watches():
        api.put(PODS, pod("a", COMPLETED))
    api.send(PODS, fake.line("ERROR", fake.too_old(100)))
    wait_until(lambda: steps.ended() == {"a"})
    assert "the watch ended, listing again: too old resource version: 100" in caplog.text


def test_a_server_that_ends_every_watch_at_once_is_not_asked_without_pause(
    steps: StepWatch, api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pause, watches = 0.05, 8
    monkeypatch.setattr(list_watch, "_FIRST_PAUSE_SECONDS", pause)
    monkeypatch.setattr(list_watch, "_LONGEST_PAUSE_SECONDS", pause)
    monkeypatch.setattr(list_watch, "_JITTER", (1, 1))
    api.answer_next(PODS, WATCH, *watches * [fake.Answer(HTTPStatus.OK, b"")])
    began = time.monotonic()
    follow(steps, api)
    assert time.monotonic() - began > watches * pause
    assert (api.count(PODS, LIST), api.count(PODS, WATCH)) == (1, watches + 1)


def test_a_server_that_fails_is_asked_ever_more_seldom(
    steps: StepWatch, api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_watch, "_FIRST_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(list_watch, "_LONGEST_PAUSE_SECONDS", 0.16)
    monkeypatch.setattr(list_watch, "_JITTER", (1, 1))
    api.answer_next(PODS, LIST, *6 * [fake.Answer(HTTPStatus.INTERNAL_SERVER_ERROR)])
    began = time.monotonic()
    follow(steps, api)
    assert time.monotonic() - began > 0.02 + 0.04 + 0.08 + 3 * 0.16
    assert api.count(PODS, LIST) == 7


TROUBLES = {
    "the server fails": fake.Answer(HTTPStatus.INTERNAL_SERVER_ERROR),
    "the server is overloaded": fake.Answer(HTTPStatus.TOO_MANY_REQUESTS),
    "the server starts": fake.Answer(HTTPStatus.SERVICE_UNAVAILABLE, b"not ready"),
    "rights are not there yet": fake.Answer(HTTPStatus.FORBIDDEN),
    "the token has expired": fake.Answer(HTTPStatus.UNAUTHORIZED),
    "too old": fake.Answer(HTTPStatus.GONE),
    "a proxy answers": fake.Answer(HTTPStatus.OK, b"<html>Service unavailable</html>\n"),
    "another JSON": fake.Answer(HTTPStatus.OK, b"{}\n"),
    "a list": fake.Answer(HTTPStatus.OK, b"[]\n"),
    "null": fake.Answer(HTTPStatus.OK, b"null\n"),
    "nulls within": fake.Answer(HTTPStatus.OK, b'{"items": null, "type": null, "object": null}\n'),
    "an error without words": fake.Answer(HTTPStatus.OK, b'{"type": "ERROR", "object": {}}\n'),
    "an error that is none": fake.Answer(HTTPStatus.OK, b'{"type": "ERROR", "object": null}\n'),
    "no UTF-8": fake.Answer(HTTPStatus.OK, b"\xff\xfe\n"),
}


@pytest.mark.parametrize("verb", [LIST, WATCH])
@pytest.mark.parametrize("trouble", TROUBLES)
def test_no_answer_whatever_makes_a_run_blind(
    trouble: str, verb: str, steps: StepWatch, api: Any
) -> None:
    api.answer_next(PODS, verb, TROUBLES[trouble], TROUBLES[trouble])
    api.answer_next(EVENTS, verb, TROUBLES[trouble], TROUBLES[trouble])
    api.put(PODS, pod("a", RUNNING))
    api.put(EVENTS, refusal("b", "no"))
    follow(steps, api)
    api.put(PODS, pod("a", COMPLETED))
    api.put(EVENTS, refusal("b", "still no"))
    wait_until(lambda: steps.ended() == {"a"} and steps.refusal("b") == "still no")


# --- Refusals -------------------------------------------------------------------------------------


def test_what_was_said_against_a_jobs_pod_is_known_by_the_name_of_the_job(
    steps: StepWatch, api: Any
) -> None:
    api.put(EVENTS, refusal("listed", "exceeded quota"))
    follow(steps, api)
    api.put(EVENTS, refusal("watched", "violates PodSecurity"))
    wait_until(lambda: steps.refusal("watched"))
    assert steps.refusal("listed") == "exceeded quota"
    assert steps.refusal("watched") == "violates PodSecurity"
    assert steps.refusal("neither") is None


def test_the_last_that_was_said_counts(steps: StepWatch, api: Any) -> None:
    follow(steps, api)
    api.put(EVENTS, refusal("a", "exceeded quota: used 7Gi", at=1))
    api.put(EVENTS, refusal("a", "exceeded quota: used 6Gi", number=2, at=2))
    wait_until(lambda: steps.refusal("a") == "exceeded quota: used 6Gi")
    api.put(EVENTS, refusal("a", "exceeded quota: used 7Gi", at=4, count=2))
    wait_until(lambda: steps.refusal("a") == "exceeded quota: used 7Gi")


def test_the_last_that_was_said_counts_in_a_list_too_which_is_in_the_order_of_names(
    steps: StepWatch, api: Any
) -> None:
    api.put(EVENTS, refusal("a", "said last", number=1, at=5, count=2))
    api.put(EVENTS, refusal("a", "said in between", number=2, at=3))
    api.put(EVENTS, refusal("a", "said first", number=3, lastTimestamp=None))
    follow(steps, api)
    assert steps.refusal("a") == "said last"


def test_what_was_said_stays_true_when_its_event_is_removed(steps: StepWatch, api: Any) -> None:
    first = api.put(EVENTS, refusal("a", "violates PodSecurity", at=1))
    last = api.put(EVENTS, refusal("a", "exceeded quota", number=2, at=2))
    follow(steps, api)
    for event in (last, first):
        api.remove(EVENTS, event["metadata"]["uid"])
    api.put(EVENTS, refusal("b", "exceeded quota"))
    wait_until(lambda: steps.refusal("b"))
    assert steps.refusal("a") == "exceeded quota"
    with api.away():
        api.put(EVENTS, refusal("c", "exceeded quota"))
    wait_until(lambda: steps.refusal("c"))
    assert steps.refusal("a") == "exceeded quota"


# --- All at once ----------------------------------------------------------------------------------


class Chaos:
    """Steps that start, end and are deleted, and a server that fails all the while."""

    def __init__(self, api: Any, seed: int) -> None:
        self.jobs: list[str] = []
        self._api = api
        self._random = random.Random(seed)  # noqa: S311 - nothing secret
        self._told: list[Object] = []

    def go_on(self) -> None:
        happenings = [self._start, self._start, self._change, self._change, self._change]
        troubles = [self._break_off, self._fail, self._repeat, self._forget, self._bookmark]
        self._random.choice([*happenings, self._delete, *troubles])()

    def _start(self) -> None:
        self.jobs.append(f"job-{len(self.jobs)}")
        self._told.append(self._api.put(PODS, pod(self.jobs[-1])))

    def _change(self) -> None:
        there = self._api.objects(PODS)
        if there:
            changed = self._random.choice(there)
            job = changed["metadata"]["ownerReferences"][0]["name"]
            state = self._random.choice([RUNNING, OOM_KILLED, COMPLETED])
            self._told.append(self._api.put(PODS, pod(job, state)))

    def _delete(self) -> None:
        there = self._api.objects(PODS)
        if there:
            self._api.remove(PODS, self._random.choice(there)["metadata"]["uid"])

    def _break_off(self) -> None:
        self._random.choice([self._api.cut_watches, self._api.end_watches])(PODS)

    def _fail(self) -> None:
        trouble = TROUBLES[self._random.choice(list(TROUBLES))]
        self._api.answer_next(PODS, self._random.choice([LIST, WATCH]), trouble)

    def _repeat(self) -> None:
        some = self._random.sample(self._told, min(5, len(self._told)))
        self._api.send(PODS, *(fake.line("MODIFIED", each) for each in some))

    def _forget(self) -> None:
        self._api.answers_410_within_a_watch = self._random.random() < 0.5
        self._api.forget()

    def _bookmark(self) -> None:
        self._api.send(PODS, fake.bookmark(self._api.version))


@pytest.mark.parametrize("seed", range(3))
def test_after_any_trouble_the_truth_is_known(seed: int, steps: StepWatch, api: Any) -> None:
    chaos = Chaos(api, seed)
    steps.start()
    for _ in range(30):
        for _ in range(5):
            chaos.go_on()
        wait_until(lambda: api.is_watched(PODS))
    there = {value["metadata"]["name"].rpartition("-")[0]: value for value in api.objects(PODS)}

    def is_known(job: str) -> bool:
        known = steps.pod(job)
        if job in there:
            return known is not None and not known.is_gone and known.object == there[job]
        return known is None or known.is_gone

    assert len(there) in range(1, len(chaos.jobs))
    wait_until(lambda: all(is_known(job) for job in chaos.jobs))
