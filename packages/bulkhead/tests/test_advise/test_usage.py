"""What is read from the event logs that Bulkhead writes, through Dagster's own schema."""

from typing import Any

import pytest

from bulkhead.admin.advice import Attempt, End, Step, advise
from bulkhead.webserver_api import runs
from bulkhead.webserver_api.errors import ReportedError

MIB = 2**20


def the_attempt(installation: Any) -> Attempt:
    (attempt,) = installation.read().attempts
    return attempt


def test_a_step_that_succeeded_says_what_it_used(installation: Any) -> None:
    installation.run().step("train", 300, 512, cpu=12.5, seconds=40)
    assert the_attempt(installation) == Attempt(
        Step("hello", "etl", "train"), End.SUCCEEDED, 300 * MIB, 512 * MIB, 12.5, 40
    )


def test_figures_above_32_bits_are_read_as_they_are(installation: Any) -> None:
    installation.run().step("train", 9000, 16384)
    assert the_attempt(installation).memory == 9000 * MIB


def test_a_step_without_limit_has_none(installation: Any) -> None:
    installation.run().step("train", 300, None)
    assert the_attempt(installation).limit is None


@pytest.mark.parametrize("end", ["STEP_FAILURE", None])
def test_a_step_that_failed_or_was_terminated_did_not_succeed(installation: Any, end: str) -> None:
    installation.run(status="FAILURE").step("train", 300, end=end)
    assert the_attempt(installation).end is End.OTHER


def test_each_attempt_at_a_step_is_judged_by_its_own_end(installation: Any) -> None:
    run = installation.run()
    run.step("train", 300, end="STEP_FAILURE", seconds=30)
    run.step("train", 310, seconds=10)
    found = [(each.end, each.seconds) for each in installation.read().attempts]
    assert found == [(End.OTHER, 30), (End.SUCCEEDED, 10)]


@pytest.mark.parametrize("repeats", [True, False])
def test_running_out_of_memory_is_a_use_of_the_whole_limit(
    installation: Any, repeats: bool
) -> None:
    installation.run(status="FAILURE").kill("train", "512Mi", repeats=repeats)
    attempt = the_attempt(installation)
    assert (attempt.end, attempt.memory, attempt.limit) == (End.OUT_OF_MEMORY, 512 * MIB, 512 * MIB)


def test_the_oom_kill_of_a_step_s_own_process_is_one_too(installation: Any) -> None:
    installation.run(status="FAILURE").step("train", 480, 512, end="STEP_FAILURE", oom_kills=1)
    attempt = the_attempt(installation)
    assert (attempt.end, attempt.memory) == (End.OUT_OF_MEMORY, 512 * MIB)


def test_an_end_for_another_cause_tells_nothing_of_memory(installation: Any) -> None:
    run = installation.run(status="FAILURE")
    run.kill("train", "512Mi", cause="AboveCeiling")
    run.kill("train", "512Mi", cause="Evicted", repeats=True)
    run.kill("train", None)  # for memory, but without a limit
    assert installation.read().attempts == ()


def test_dynamic_steps_are_one_step(installation: Any) -> None:
    run = installation.run()
    for key in ("load[a]", "load[b]", "inner.train[a]"):
        run.step(key, 300)
    assert [each.step.key for each in installation.read().attempts] == [
        "load",
        "load",
        "inner.train",
    ]


def test_runs_are_filtered_by_code_location_and_by_job(installation: Any) -> None:
    for location, job in (("hello", "etl"), ("hello", "nightly"), ("small", "etl")):
        installation.run(location, job).step("train", 300)

    def found(**only: str) -> set[tuple[str, str]]:
        read = installation.read(**only)
        assert read.runs == len(read.attempts)
        return {each.step[:2] for each in read.attempts}

    assert len(found()) == 3
    assert found(location="hello") == {("hello", "etl"), ("hello", "nightly")}
    assert found(job="etl") == {("hello", "etl"), ("small", "etl")}
    assert found(location="hello", job="etl") == {("hello", "etl")}
    assert found(location="nowhere") == set()


def test_only_finished_runs_count(installation: Any) -> None:
    for status in ("SUCCESS", "FAILURE", "CANCELED", "STARTED", "QUEUED", "CANCELING"):
        installation.run(status=status)
    assert installation.read().runs == 3


def test_the_newest_runs_are_read_and_the_newest_comes_first(installation: Any) -> None:
    for memory in (100, 200, 300):
        installation.run().step("train", memory)
    read = installation.read(runs=2)
    assert read.runs == 2
    assert [each.memory // MIB for each in read.attempts] == [300, 200]


def test_runs_and_events_are_read_page_by_page(
    installation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "_RUNS_PER_PAGE", 2)
    monkeypatch.setattr(runs, "_EVENTS_PER_PAGE", 2)
    for _ in range(5):
        run = installation.run()
        run.say("begins")
        run.step("a", 300)
        run.step("b", 300)
    read = installation.read(runs=4)
    assert read.runs == 4
    assert [each.step.key for each in read.attempts] == ["a", "b"] * 4
    assert len(installation.questions) == 2 + 4 * 4


def test_a_run_that_is_deleted_meanwhile_is_left_out(
    installation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = installation.run()
    run.step("train", 300)
    find = runs.newest

    def find_and_delete(*args: Any, **options: Any) -> Any:
        found = find(*args, **options)
        installation._instance.delete_run(run.id)
        return found

    monkeypatch.setattr(runs, "newest", find_and_delete)
    read = installation.read()
    assert (read.runs, read.attempts) == (1, ())


def test_what_grew_after_an_oom_kill_is_advised_from_its_whole_history(installation: Any) -> None:
    for _ in range(2):
        run = installation.run()
        run.kill("train", "512Mi", repeats=True)
        run.step("train", 700, 1024)
    (advice,) = advise(installation.read().attempts)
    assert (advice.samples, advice.oom_kills) == (4, 2)
    assert advice.requested_memory == 512 * MIB
    assert advice.suggested_memory == 848 * MIB


def test_a_question_that_the_web_server_does_not_understand_is_an_error(installation: Any) -> None:
    with pytest.raises(
        ReportedError,
        match=r"^web server bulkhead-webserver in namespace bulkhead reports: .*nonsense",
    ):
        installation.client.execute("{ nonsense }")


def test_a_failure_of_the_web_server_is_an_error(
    installation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("no connection to the database")

    installation.run()
    monkeypatch.setattr(installation._instance, "get_records_for_run", fail)
    with pytest.raises(ReportedError, match="no connection to the database"):
        installation.read()
