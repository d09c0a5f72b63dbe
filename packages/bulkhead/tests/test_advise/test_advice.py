"""What is suggested for which use; memory in Mi."""

from collections.abc import Sequence

import pytest

from bulkhead.admin.advice import Advice, Attempt, End, Step, advise, conclusion
from bulkhead.steps.resources import check_memory

MIB = 2**20


def attempt(
    memory: int,
    limit: int | None = 512,
    *,
    step: str = "train",
    end: End = End.SUCCEEDED,
    cpu: float | None = None,
    seconds: float | None = None,
) -> Attempt:
    return Attempt(
        Step("hello", "etl", step), end, memory * MIB, limit and limit * MIB, cpu, seconds
    )


def out_of_memory(limit: int) -> Attempt:
    return attempt(limit, limit, end=End.OUT_OF_MEMORY)


def the_advice(attempts: Sequence[Attempt]) -> Advice:
    (advice,) = advise(attempts)
    return advice


def suggested(*attempts: Attempt) -> float | None:
    advice = the_advice(attempts)
    return None if advice.suggested_memory is None else advice.suggested_memory / MIB


@pytest.mark.parametrize(
    ("largest", "suggestion"),
    [
        (300, 368),  # 360, rounded up to 16Mi
        (400, 480),  # exact
        (401, 496),
        (100, 192),  # what a step takes before its own code runs leaves no room for less
        (160, 192),
        (161, 208),
    ],
)
def test_the_suggestion_is_the_largest_use_and_a_fifth_in_steps_of_16mi_and_at_least_192mi(
    largest: int, suggestion: int
) -> None:
    assert suggested(attempt(90), attempt(largest), attempt(90)) == suggestion


def test_the_smallest_suggestion_is_a_limit_that_step_resources_accepts() -> None:
    smallest = suggested(*[attempt(1)] * 3)
    assert smallest is not None
    check_memory(round(smallest * MIB))


@pytest.mark.parametrize("largest", [1, 191, 192, 500, 1023, 1024, 5000, 70_001])
def test_the_suggestion_is_never_below_the_largest_use(largest: int) -> None:
    found = suggested(*[attempt(largest)] * 3)
    assert found is not None
    assert found >= largest * 1.2


def test_fewer_than_three_samples_are_too_few_for_a_suggestion() -> None:
    assert suggested(attempt(300), attempt(300)) is None
    assert suggested(attempt(300), attempt(300), attempt(300)) == 368


def test_a_failed_attempt_is_no_sample_but_what_it_used_counts_where_it_was_the_most() -> None:
    failed_early = attempt(140, end=End.OTHER)
    assert suggested(attempt(300), attempt(300), failed_early) is None
    failed_late = attempt(400, end=End.OTHER)
    advice = the_advice([*[attempt(300)] * 3, failed_early, failed_late])
    assert advice.samples == 3
    assert advice.median_memory == 300 * MIB
    assert advice.largest_memory == 400 * MIB
    assert advice.suggested_memory == 480 * MIB


def test_after_an_oom_kill_twice_the_limit_is_suggested() -> None:
    assert suggested(out_of_memory(512), attempt(200), attempt(200)) == 1024
    assert suggested(out_of_memory(512), out_of_memory(1024), attempt(200)) == 2048


def test_after_an_oom_kill_a_larger_use_that_succeeded_is_enough() -> None:
    assert suggested(out_of_memory(512), attempt(600, 1024), attempt(200)) == 720
    assert suggested(out_of_memory(512), attempt(512, 1024), attempt(200)) == 1024  # no larger one


def test_a_larger_use_that_failed_does_not_prove_that_it_is_enough() -> None:
    failed = attempt(600, 1024, end=End.OTHER)
    assert suggested(out_of_memory(512), failed, attempt(200), attempt(200)) == 1024


def test_a_step_that_always_ran_out_of_memory_gets_a_suggestion_too() -> None:
    advice = the_advice([out_of_memory(256)] * 3)
    assert (advice.samples, advice.oom_kills, advice.largest_oom_limit) == (3, 3, 256 * MIB)
    assert advice.suggested_memory == 512 * MIB
    assert advice.saved_memory == -256 * MIB


def test_what_a_step_requests_is_its_first_limit_in_the_newest_run_and_not_what_it_grew_to() -> (
    None
):
    newest = [out_of_memory(512), attempt(700, 1024)]
    oldest = [attempt(700, 2048)] * 2
    advice = the_advice([*newest, *oldest])
    assert advice.requested_memory == 512 * MIB
    assert advice.saved_memory == (512 - 848) * MIB


def test_a_step_without_limit_gets_a_suggestion_and_no_saving() -> None:
    advice = the_advice([attempt(300, None)] * 3)
    assert (advice.requested_memory, advice.saved_memory) == (None, None)
    assert advice.suggested_memory == 368 * MIB


def test_median_p95_and_largest_are_of_all_samples() -> None:
    advice = the_advice([attempt(each) for each in range(1, 101)])
    assert advice.median_memory == 50.5 * MIB
    assert advice.p95_memory == 95 * MIB
    assert advice.largest_memory == 100 * MIB
    few = the_advice([attempt(each) for each in (1, 2, 3)])
    assert few.p95_memory == 3 * MIB


def test_cores_are_the_cpu_seconds_by_the_seconds_of_all_samples_that_know_both() -> None:
    advice = the_advice(
        [
            attempt(300, cpu=30, seconds=20),
            attempt(300, cpu=10, seconds=20),
            attempt(300, cpu=100),
            out_of_memory(512),
        ]
    )
    assert (advice.median_cpu_seconds, advice.largest_cpu_seconds) == (30, 100)
    assert advice.cores == 1


def test_a_step_of_a_few_seconds_has_no_cores_because_its_start_would_count_for_most() -> None:
    assert the_advice([attempt(300, cpu=2, seconds=1)] * 3).cores is None


def test_steps_are_sorted_by_saving_and_those_without_suggestion_come_last() -> None:
    attempts = [
        attempt(300, step="few"),
        *[attempt(500, step="short")] * 3,
        *[attempt(400, step="some")] * 3,
        *[attempt(200, step="most")] * 3,
        *[attempt(200, 8192, step="few too")] * 2,
    ]
    assert [each.step for each in advise(attempts)] == ["most", "some", "short", "few", "few too"]


def test_the_same_key_in_another_job_or_code_location_is_another_step() -> None:
    other = [
        Attempt(Step(*where, "train"), End.SUCCEEDED, 1, 2)
        for where in (("hello", "etl"), ("hello", "nightly"), ("small", "etl"))
    ]
    assert len(advise(other)) == 3


@pytest.mark.parametrize(
    ("attempts", "sentence"),
    [
        ([attempt(200)] * 3, "1 step requests 272Mi more than it needs."),
        (
            [attempt(used, 2048, step=f"{used}") for used in (200, 300) for _ in range(3)],
            "2 steps request 3.4Gi more than they need.",
        ),
        (
            [*[attempt(200)] * 3, *[attempt(500, step="short")] * 3],
            "1 step requests 272Mi more than it needs; 1 step needs more.",
        ),
        ([attempt(500)] * 3, "1 step needs more; no step requests too much."),
        ([attempt(400, 480)] * 3, "Nothing to change."),
        ([attempt(400)], "1 step has fewer than 3 samples, too few for a suggestion."),
        (
            [*[attempt(400, 480)] * 3, attempt(400, step="a"), attempt(400, step="b")],
            "Nothing to change. 2 steps have fewer than 3 samples, too few for a suggestion.",
        ),
    ],
)
def test_the_conclusion_counts_the_steps_that_request_too_much_and_those_that_need_more(
    attempts: list[Attempt], sentence: str
) -> None:
    assert conclusion(advise(attempts)) == sentence
