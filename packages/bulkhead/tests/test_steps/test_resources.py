"""`step_resources`: from one line on an op to numbers, and what is said about invalid values."""

import json
import re
from decimal import Decimal
from typing import Any

import dagster as dg
import pytest

from bulkhead import names
from bulkhead.kube.quantities import GIB, MIB
from bulkhead.steps import step_resources
from bulkhead.steps.resources import (
    SMALLEST_MEMORY,
    StepResources,
    StepResourcesError,
    check_memory,
)


def read(**settings: Any) -> StepResources:
    return StepResources.of_tags(step_resources(**settings))


def refusal(**settings: Any) -> str:
    with pytest.raises(StepResourcesError) as refused:
        read(**settings)
    return str(refused.value)


def test_every_setting_arrives_as_a_number() -> None:
    assert read(
        memory="512Mi",
        cpu="500m",
        max_memory="2Gi",
        ephemeral_storage="1.5Gi",
        timeout="1h30m",
        retries_on_oom=2,
    ) == StepResources(
        memory=512 * MIB,
        cpu=Decimal("0.5"),
        max_memory=2 * GIB,
        ephemeral_storage=1536 * MIB,
        timeout=5400,
        retries_on_oom=2,
    )


def test_plain_numbers_are_bytes_cores_and_seconds() -> None:
    found = read(memory=GIB, cpu=1.5, timeout=90)
    assert (found.memory, found.cpu, found.timeout) == (GIB, Decimal("1.5"), 90)


def test_what_is_left_out_is_not_asked_for() -> None:
    assert read(cpu=1) == StepResources(cpu=Decimal(1))
    assert read() == StepResources()


def test_a_step_without_the_tag_asks_for_nothing() -> None:
    assert StepResources.of_tags({}) == StepResources()
    assert StepResources.of_tags({"dagster-k8s/config": "{}"}) == StepResources()


def test_no_retry_on_oom_is_something_else_than_none_said() -> None:
    assert read(retries_on_oom=0).retries_on_oom == 0
    assert read(memory="1Gi").retries_on_oom is None


def test_dagster_takes_the_tags_on_ops_and_assets() -> None:
    tags = step_resources(memory="512Mi", timeout="20m")

    @dg.op(tags=tags)
    def an_op() -> None: ...

    @dg.asset(op_tags=tags)
    def an_asset() -> None: ...

    for definition in (an_op, an_asset.op):
        assert StepResources.of_tags(definition.tags) == read(memory="512Mi", timeout="20m")


@pytest.mark.parametrize("name", ["memory", "cpu", "max_memory", "ephemeral_storage"])
def test_an_amount_that_is_none_is_refused_by_the_name_of_its_setting(name: str) -> None:
    assert refusal(**{name: "1GB"}) == (
        f"{name}: '1GB' is not a valid Kubernetes quantity; one is a number with or without "
        "a unit, such as 500m or 2 (cores), 512Mi or 1.5Gi (bytes)"
    )
    assert refusal(**{name: "-1"}) == f"{name}: '-1' is negative"
    assert refusal(**{name: 0}) == f"{name}: 0 is zero. Request more, or leave it out"
    assert refusal(**{name: "0Mi"}) == f"{name}: '0Mi' is zero. Request more, or leave it out"


@pytest.mark.parametrize(
    ("timeout", "seconds"),
    [
        ("90s", 90),
        ("20m", 1200),
        ("1h", 3600),
        ("1h30m", 5400),
        ("1h5s", 3605),
        ("2h3m4s", 7384),
        ("90m", 5400),
        (1, 1),
        ("45", 45),
    ],
)
def test_a_timeout_is_hours_minutes_and_seconds(timeout: str | int, seconds: int) -> None:
    assert read(timeout=timeout).timeout == seconds


@pytest.mark.parametrize(
    "timeout",
    ["", "soon", "0", 0, "0s", -5, "-5s", "1.5h", 1.5, "30m1h", "1d", "1h 30m", "٣s", "٣"],
)
def test_a_timeout_that_is_not_a_duration_is_refused(timeout: Any) -> None:
    assert refusal(timeout=timeout) == (
        f"timeout: {timeout!r} is not a valid duration. Use hours, minutes and seconds such as "
        "1h30m, 20m or 90s, or a number of seconds"
    )


@pytest.mark.parametrize("count", ["2", -1, 1.0, True])
def test_a_count_that_is_no_whole_number_is_refused(count: Any) -> None:
    assert refusal(retries_on_oom=count) == (
        f"retries_on_oom: {count!r} is not a valid count. Use a whole number, 0 or more"
    )


@pytest.mark.parametrize(("memory", "shown"), [("64Mi", "64Mi"), (512, "512"), ("1500m", "2")])
def test_memory_in_which_no_step_can_start_is_refused(memory: Any, shown: str) -> None:
    assert refusal(memory=memory) == (
        f"memory: {shown} is too little. A step uses about 136Mi before its own code runs. Request "
        "at least 192Mi"
    )


def test_memory_that_comes_from_elsewhere_is_held_to_the_same() -> None:
    check_memory(SMALLEST_MEMORY)
    with pytest.raises(StepResourcesError, match=r"^memory: 142606335 is too little"):
        check_memory(SMALLEST_MEMORY - 1)


def test_memory_cannot_grow_to_less_than_it_is() -> None:
    assert refusal(memory="1Gi", max_memory="512Mi") == (
        "max_memory: 512Mi is below memory: 1Gi. The limit grows from memory to max_memory. Raise "
        "max_memory, or leave it out"
    )
    assert read(memory="1Gi", max_memory="1024Mi").max_memory == GIB
    assert read(max_memory="512Mi").memory is None


@pytest.mark.parametrize(
    "text", ["512Mi", "{", "[]", "null", "5", '"512Mi"', '[{"memory": "1Gi"}]']
)
def test_a_tag_that_holds_no_settings_is_refused_with_the_way_to_write_one(text: str) -> None:
    with pytest.raises(StepResourcesError) as refused:
        StepResources.of_tags({names.STEP_RESOURCES_TAG: text})
    assert str(refused.value) == (
        f"tag bulkhead.dev/step-resources is {text!r}, which is not a JSON object. Write it "
        "with bulkhead.steps.step_resources"
    )


def test_a_setting_that_does_not_exist_is_refused_with_those_that_do() -> None:
    tags = {names.STEP_RESOURCES_TAG: json.dumps({"memory": "1Gi", "mem": "1Gi"})}
    with pytest.raises(
        StepResourcesError,
        match=r"^mem is not a setting of step_resources. Its settings are memory, cpu, max_memory, "
        r"ephemeral_storage, timeout, retries_on_oom$",
    ):
        StepResources.of_tags(tags)


@pytest.mark.parametrize("value", [None, [], {}, True, "NaN"])
def test_a_value_of_the_wrong_kind_in_the_tag_is_refused(value: object) -> None:
    tags = {names.STEP_RESOURCES_TAG: json.dumps({"memory": value})}
    message = re.escape(f"memory: {str(value)!r} is not a valid Kubernetes quantity")
    with pytest.raises(StepResourcesError, match=f"^{message}"):
        StepResources.of_tags(tags)


def test_a_container_gets_the_same_amounts_as_requests_and_limits() -> None:
    amounts = {"memory": "1536Mi", "cpu": "250m", "ephemeral-storage": "1Gi"}
    asked = read(memory="1.5Gi", cpu="0.25", ephemeral_storage="1024Mi", max_memory="4Gi")
    assert asked.container_resources() == {"requests": amounts, "limits": amounts}


def test_a_container_gets_only_what_was_asked_for() -> None:
    only_cpu = {"cpu": "2"}
    assert read(cpu=2).container_resources() == {"requests": only_cpu, "limits": only_cpu}
    assert read(timeout="1h", max_memory="4Gi").container_resources() == {}
