"""The advice after a step ran out of memory, what is said about retries, and how long it gets."""

import pytest

from bulkhead.kube.quantities import GIB, MIB
from bulkhead.steps import sentences
from bulkhead.steps.ceiling import Ceiling
from bulkhead.steps.resources import StepResources
from bulkhead.steps.usage import Usage
from bulkhead.steps.verdicts import Cause, Excess, QuotaUse, Verdict

NO_CEILING = Ceiling("ml", {})
LONGEST = 300
"""Characters of a message before the details that others add."""


def advice(
    limit: int | None, requested: StepResources, ceiling: Ceiling = NO_CEILING
) -> str | None:
    verdict = Verdict(Cause.OUT_OF_MEMORY, "train", memory_limit=limit)
    return sentences.memory_advice(verdict, requested, ceiling)


def test_a_step_without_max_memory_is_shown_both_ways_to_more() -> None:
    assert advice(512 * MIB, StepResources()) == (
        'Request more, for example step_resources(memory="1Gi"), or let its limit grow: '
        'step_resources(max_memory="2Gi").'
    )


@pytest.mark.parametrize("limit", [GIB, 2 * GIB])
def test_a_step_that_has_reached_its_max_memory_is_told_so(limit: int) -> None:
    assert advice(limit, StepResources(max_memory=GIB)) == (
        f"{limit // GIB}Gi is its max_memory. Raise max_memory, or use less memory in the step."
    )


def test_a_step_at_the_ceiling_is_told_whose_it_is() -> None:
    said = advice(GIB, StepResources(max_memory=4 * GIB), Ceiling("ml", {"memory": "1Gi"}))
    assert said == (
        "1Gi is the ceiling of code location ml, set by the platform admin in "
        "codeLocations.ml.ceiling. Use less memory in the step, or ask the admin to raise the "
        "ceiling."
    )


def test_a_step_below_its_max_memory_has_used_its_retries() -> None:
    requested = StepResources(max_memory=4 * GIB, retries_on_oom=2)
    assert advice(GIB, requested) == "It has used all of its retries_on_oom (2)."


def test_there_is_no_advice_without_a_limit_or_for_another_cause() -> None:
    assert advice(None, StepResources()) is None
    verdict = Verdict(Cause.EXIT_CODE, "train", memory_limit=GIB)
    assert sentences.memory_advice(verdict, StepResources(), NO_CEILING) is None


def test_retries_say_what_is_different() -> None:
    assert sentences.of_memory_retry(GIB) == "Retrying with 1Gi."
    assert sentences.of_infrastructure_retry(1, 3) == (
        "Retrying (1 of 3); this does not use the step's own retries."
    )


def test_a_timeout_is_said_after_what_was_waited_for() -> None:
    verdict = Verdict(Cause.UNSCHEDULABLE, "train", detail="0/2 nodes", waited=300.4)
    assert sentences.of_verdict(verdict) == (
        "No node can run step train: 0/2 nodes. Timed out after 300 s."
    )


def test_the_last_output_comes_below_the_sentence() -> None:
    verdict = Verdict(Cause.EXIT_CODE, "train", exit_code=3, last_lines="bye")
    assert sentences.with_last_output("It failed.", verdict) == "It failed.\n\nLast output:\nbye"
    assert sentences.with_last_output("It failed.", Verdict(Cause.EXIT_CODE, "train")) == (
        "It failed."
    )


@pytest.mark.parametrize(
    ("verdict", "sentence"),
    [
        (
            Verdict(Cause.DEADLINE, "train", time_limit=90, is_time_limit_of_job=True),
            (
                "Step train exceeded the time limit of 1m30s of its Job. Raise "
                "active_deadline_seconds in its job_spec_config, or do less in the step."
            ),
        ),
        (
            Verdict(Cause.DELETED, "train", job="dagster-step-1a4d"),
            "The Job of step train, dagster-step-1a4d, was deleted, and its pod with it.",
        ),
        (
            Verdict(Cause.DELETED, "train", was_interrupted=True),
            "The pod of step train was deleted while its run was interrupted.",
        ),
        (
            Verdict(Cause.INVALID, "train", detail="memory: 'x' is not valid"),
            "Step train cannot start: memory: 'x' is not valid.",
        ),
    ],
)
def test_what_is_found_out_by_a_request_has_its_sentence(verdict: Verdict, sentence: str) -> None:
    assert sentences.of_verdict(verdict) == sentence


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_has_a_sentence_that_is_short_and_names_the_step(cause: Cause) -> None:
    verdict = Verdict(
        cause,
        "train",
        pod="dagster-step-1a4d16fbf7fa5502ac7cc59783e05259-znwgd",
        namespace="bulkhead-forecasts",
        node="ip-10-0-117-23.eu-central-1.compute.internal",
        location="forecasts",
        excess=Excess("memory", "16Gi", "8Gi"),
        quota=QuotaUse("bulkhead", "pods=1", "pods=2", "pods=2"),
        memory_limit=GIB,
    )
    sentence = sentences.of_verdict(verdict)
    assert "step train" in sentence.lower()
    assert sentence.endswith(".")
    assert len(sentence) < LONGEST


def test_usage_is_one_line_and_names_processes_that_were_killed() -> None:
    usage = Usage(peak_memory=87 * MIB, memory_limit=512 * MIB, cpu_seconds=1.23, oom_kills=0)
    assert sentences.of_usage("train", usage) == (
        "Step train used 87Mi of 512Mi of memory and 1.2 s of CPU."
    )
    killed = Usage(peak_memory=512 * MIB, memory_limit=None, cpu_seconds=1.0, oom_kills=2)
    assert sentences.of_usage("train", killed) == (
        "Step train used 512Mi of memory and 1.0 s of CPU. The kernel OOM-killed 2 of its "
        "processes."
    )


def test_growth_says_from_where_to_where_and_when() -> None:
    assert sentences.of_growth("train", 512 * MIB, GIB, 41.2) == (
        "Step train grew from 512Mi to 1Gi after 41 s, while it ran."
    )
