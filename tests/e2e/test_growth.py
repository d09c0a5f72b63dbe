"""A step with too little memory gets more: while it runs, or in a retry."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.e2e import pods, resources
from tests.e2e.dagster_client import RETRY
from tests.e2e.waiting import NotYet, until

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.e2e.cluster import Kube
    from tests.e2e.dagster_client import Dagster


@pytest.fixture(scope="module")
def runs(dagster: Dagster, endings: str, tight: str) -> dict[str, str]:
    """Independent runs, all at the same time."""
    places = {
        "grower": endings,
        "slow_grower": endings,
        "cheat": endings,
        "grower_to_the_ceiling": tight,
    }
    return {job: dagster.launch(location, job) for job, location in places.items()}


def _limits(kube: Kube, namespace: str, run: str) -> list[str]:
    """The memory limit of each attempt, in order."""
    attempts = sorted(
        pods.step_pods(kube, namespace, run), key=lambda pod: pod.metadata.creation_timestamp
    )
    return [pod.spec.containers[0].resources.limits["memory"] for pod in attempts]


def _kills(dagster: Dagster, run: str, step: str, *, limit: str, then: str) -> list[str]:
    """The messages of attempts that were OOM-killed and retried; there is at least one.

    Step and amounts are regular expressions.
    """
    killed = [e.message for e in dagster.events(run) if RETRY in e.metadata]
    assert killed
    for message in killed:
        assert re.fullmatch(
            rf"Step {step} ran out of memory \(OOM-killed\): its limit is {limit}\. "
            rf"Retrying with {then}\.",
            message,
        )
    return killed


@pytest.mark.timeout(300)
def test_a_killed_step_grows_and_keeps_its_own_retries(
    kube: Kube, dagster: Dagster, runs: dict[str, str]
) -> None:
    """Its limit is 256Mi. It allocates 500 MiB at once, and its code fails once, with one retry.

    Mostly such an allocation is too fast for a growth in place, and the step is OOM-killed.
    """
    run = runs["grower"]
    dagster.succeed(run, 240)
    killed = _kills(dagster, run, "grower", limit="(256|512)Mi", then="(512Mi|1Gi)")
    retries = [e.kind for e in dagster.events(run)].count("STEP_UP_FOR_RETRY")
    assert retries == len(killed) + 1
    assert _limits(kube, "bulkhead-steps", run)[-2:] == ["1Gi", "1Gi"]
    assert "at own attempt 1" in dagster.captured_logs(run, "grower").stdout


@pytest.mark.timeout(300)
def test_a_step_that_is_killed_before_its_growth_is_in_force_is_retried(
    dagster: Dagster, endings: str
) -> None:
    """The limit with which it was killed is not yet the one that the API server shows."""
    run = dagster.launch(endings, "snatchers")
    dagster.succeed(run, 240)
    _kills(dagster, run, r"snatcher_\d+", limit="384Mi", then="768Mi")


@pytest.mark.timeout(300)
def test_growth_ends_at_the_ceiling_and_says_so(
    kube: Kube, dagster: Dagster, runs: dict[str, str]
) -> None:
    run = runs["grower_to_the_ceiling"]
    assert dagster.finish(run, 240) == "FAILURE"
    assert _limits(kube, "bulkhead-tight", run)[-1] == "512Mi"
    assert (
        "Step grower_to_the_ceiling ran out of memory (OOM-killed): its limit is 512Mi. 512Mi is "
        "the ceiling of code location tight, set by the platform admin in "
        "codeLocations.tight.ceiling. Use less memory in the step, or ask the admin to raise the "
        "ceiling." in dagster.why(run)
    )


@pytest.mark.timeout(300)
def test_growth_ends_after_as_many_retries_as_are_allowed(
    kube: Kube, dagster: Dagster, tight: str
) -> None:
    with _without_resize(kube, "bulkhead-tight"):
        run = dagster.launch(tight, "grower_once")
        assert dagster.finish(run, 240) == "FAILURE"
    assert _limits(kube, "bulkhead-tight", run) == ["192Mi", "384Mi"]
    assert (
        "Step grower_once ran out of memory (OOM-killed): its limit is 384Mi. It has used all of "
        "its retries_on_oom (1)." in dagster.why(run)
    )


@pytest.mark.timeout(240)
def test_the_usage_of_a_step_is_in_the_log(dagster: Dagster, runs: dict[str, str]) -> None:
    run = runs["grower"]
    dagster.succeed(run, 240)
    *_, used = [e for e in dagster.events(run) if "peak_memory" in e.metadata]
    assert 500 * 2**20 < used.metadata["peak_memory"] <= 2**30
    assert used.metadata["memory_limit"] == 2**30
    assert used.metadata["cpu_seconds"] > 0.3
    assert re.fullmatch(
        r"Step grower used \d+Mi of 1Gi of memory and \d+\.\d s of CPU\.", used.message
    ), used.message


@pytest.mark.timeout(240)
def test_a_step_that_needs_more_and_more_grows_while_it_runs(
    kube: Kube, dagster: Dagster, runs: dict[str, str]
) -> None:
    """From 160Mi to a use of some 600 MiB, 10 MiB every 0.4 s."""
    run = runs["slow_grower"]
    dagster.succeed(run, 200)
    events = dagster.events(run)
    grown = [e.message for e in events if "bulkhead/grown_to" in e.metadata]
    assert grown
    assert re.fullmatch(
        r"Step slow_grower grew from 160Mi to 320Mi after \d+ s, while it ran\.", grown[0]
    )
    assert re.fullmatch(
        r"Step slow_grower grew from \d+Mi to (640Mi|1Gi) after \d+ s, while it ran\.", grown[-1]
    )
    assert not [e for e in events if e.kind == "STEP_UP_FOR_RETRY"]
    (pod,) = pods.step_pods(kube, "bulkhead-steps", run)
    assert pod.status.container_statuses[0].restart_count == 0


@pytest.mark.timeout(240)
def test_a_step_grows_no_other_step_and_not_beyond_its_max_memory(
    kube: Kube, dagster: Dagster, runs: dict[str, str]
) -> None:
    run = runs["cheat"]
    dagster.succeed(run, 200)
    answers = dagster.metadata(run, "cheat")
    for rejected in ("other step", "no secret", "wrong secret"):
        assert answers[rejected].startswith("403 "), answers
    assert answers["own 0"] == f'200 {{"limit": {512 * 2**20}}}'
    assert answers["own 3"] == '200 {"limit": null}'
    (pod,) = pods.step_pods(kube, "bulkhead-steps", run)
    assert pod.spec.containers[0].resources.limits["memory"] == "512Mi"


@pytest.mark.timeout(240)
def test_a_step_that_cannot_grow_within_the_quota_keeps_its_limit_and_says_so(
    kube: Kube, dagster: Dagster, endings: str
) -> None:
    code_server, run_pod, step = "512Mi", "512Mi", "160Mi"
    until(lambda: _used(kube, code_server), 90, "earlier runs to have left the quota")
    room = sum(resources.amount(each) for each in (code_server, run_pod, step))
    with _quota(kube, "bulkhead-steps", {"limits.memory": str(int(room))}):
        config = {"execution": {"config": {"quota_timeout_seconds": 5}}}
        run = dagster.launch(endings, "slow_grower", config)
        assert dagster.finish(run, 200) == "FAILURE"
    messages = [e.message for e in dagster.events(run) if "cannot grow to" in e.message]
    assert messages
    assert messages[0].startswith(
        "Step slow_grower cannot grow to 320Mi: the quota of its code location has no room ("
    )
    assert messages[0].endswith("). It keeps 160Mi.")


def _used(kube: Kube, memory: str) -> bool | NotYet:
    used = kube.core.read_namespaced_resource_quota("bulkhead", "bulkhead-steps").status.used
    limits = used["limits.memory"]
    return resources.amount(limits) == resources.amount(memory) or NotYet(limits)


@contextmanager
def _quota(kube: Kube, namespace: str, hard: dict[str, str]) -> Generator[None]:
    quota = kube.core.read_namespaced_resource_quota("bulkhead", namespace)
    before = {name: quota.spec.hard[name] for name in hard}
    kube.core.patch_namespaced_resource_quota("bulkhead", namespace, {"spec": {"hard": hard}})
    try:
        yield
    finally:
        kube.core.patch_namespaced_resource_quota("bulkhead", namespace, {"spec": {"hard": before}})


@pytest.mark.timeout(300)
def test_where_limits_cannot_be_raised_in_place_a_step_is_retried(
    kube: Kube, dagster: Dagster, endings: str
) -> None:
    """As on an older cluster: the run has no permission for the subresource."""
    with _without_resize(kube, "bulkhead-steps"):
        run = dagster.launch(endings, "slow_grower")
        dagster.succeed(run, 240)
    events = dagster.events(run)
    assert not [e for e in events if "bulkhead/grown_to" in e.metadata]
    assert [e.kind for e in events].count("STEP_UP_FOR_RETRY") == 2
    assert _limits(kube, "bulkhead-steps", run) == ["160Mi", "320Mi", "640Mi"]


@contextmanager
def _without_resize(kube: Kube, namespace: str) -> Generator[None]:
    role = kube.rbac.read_namespaced_role("bulkhead-run", namespace)
    rules = kube.plain(role.rules)
    without = [rule for rule in rules if rule["resources"] != ["pods/resize"]]
    assert len(without) == len(rules) - 1
    kube.rbac.patch_namespaced_role("bulkhead-run", namespace, {"rules": without})
    try:
        yield
    finally:
        kube.rbac.patch_namespaced_role("bulkhead-run", namespace, {"rules": rules})
