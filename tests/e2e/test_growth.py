"""A step that was given too little memory gets more: while it runs, else by running again."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.e2e import pods, resources
from tests.e2e.waiting import NotYet, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.cluster import Kube
    from tests.e2e.dagster_client import Dagster


@pytest.fixture(scope="module")
def runs(dagster: Dagster, endings: str, tight: str) -> dict[str, str]:
    """The runs that have nothing to do with each other, all at once."""
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


def _kills(dagster: Dagster, run: str, step: str, *, used: str, then: str) -> list[str]:
    """What the page says of attempts that were killed and repeated, some and in just these words.

    Step and amounts are regular expressions.
    """
    killed = [e.message for e in dagster.events(run) if "bulkhead/repeat" in e.metadata]
    assert killed
    for message in killed:
        assert re.fullmatch(
            rf"Step {step} was killed for memory: it used all of its {used}\. "
            rf"It is repeated with {then}\.",
            message,
        )
    return killed


@pytest.mark.timeout(300)
def test_a_killed_step_grows_beside_its_own_retries(
    kube: Kube, dagster: Dagster, runs: dict[str, str]
) -> None:
    """It takes 500 MiB at once, has 256Mi, and fails once by itself; one retry is its own.

    An allocation at once is mostly too fast for a growth in place: then the step is killed.
    """
    run = runs["grower"]
    dagster.succeed(run, 240)
    killed = _kills(dagster, run, "grower", used="(256|512)Mi", then="(512Mi|1Gi)")
    retries = [e.kind for e in dagster.events(run)].count("STEP_UP_FOR_RETRY")
    assert retries == len(killed) + 1
    assert _limits(kube, "bulkhead-steps", run)[-2:] == ["1Gi", "1Gi"]
    assert "at own attempt 1" in dagster.captured_logs(run, "grower").stdout


@pytest.mark.timeout(300)
def test_a_step_that_is_killed_before_its_growth_is_in_force_is_repeated(
    dagster: Dagster, endings: str
) -> None:
    """The limit with which it was killed was not yet the one that it had been granted."""
    run = dagster.launch(endings, "snatchers")
    dagster.succeed(run, 240)
    _kills(dagster, run, r"snatcher_\d+", used="384Mi", then="768Mi")


@pytest.mark.timeout(300)
def test_growth_ends_at_the_ceiling_and_says_so(
    kube: Kube, dagster: Dagster, runs: dict[str, str]
) -> None:
    run = runs["grower_to_the_ceiling"]
    assert dagster.finish(run, 240) == "FAILURE"
    assert _limits(kube, "bulkhead-tight", run)[-1] == "512Mi"
    assert (
        "it used all of its 512Mi. That is the ceiling of code location tight (set by the platform "
        "admin in codeLocations.tight.ceiling)" in dagster.why(run)
    )


@pytest.mark.timeout(300)
def test_growth_ends_after_as_many_repetitions_as_were_allowed(
    kube: Kube, dagster: Dagster, tight: str
) -> None:
    with _without_resize(kube, "bulkhead-tight"):
        run = dagster.launch(tight, "grower_once")
        assert dagster.finish(run, 240) == "FAILURE"
    assert _limits(kube, "bulkhead-tight", run) == ["192Mi", "384Mi"]
    assert "It has used up its retries_on_oom." in dagster.why(run)


@pytest.mark.timeout(240)
def test_what_a_step_used_is_written_down(dagster: Dagster, runs: dict[str, str]) -> None:
    run = runs["grower"]
    dagster.succeed(run, 240)
    *_, used = [e for e in dagster.events(run) if "peak_memory" in e.metadata]
    assert 500 * 2**20 < used.metadata["peak_memory"] <= 2**30
    assert used.metadata["memory_limit"] == 2**30
    assert used.metadata["cpu_seconds"] > 0.3


@pytest.mark.timeout(240)
def test_a_step_that_needs_more_and_more_grows_while_it_runs(
    kube: Kube, dagster: Dagster, runs: dict[str, str]
) -> None:
    """From 256Mi to a use of some 600 MiB, 10 MiB every 0.4 s.

    A growth takes half a second or more to be in force: this step leaves it some three.
    """
    run = runs["slow_grower"]
    dagster.succeed(run, 200)
    events = dagster.events(run)
    grown = [e.message for e in events if "bulkhead/grown_to" in e.metadata]
    assert grown
    assert re.fullmatch(
        r"Step slow_grower grew from \d+Mi to 1Gi after \d+ s, while it ran\.", grown[-1]
    )
    assert not [e for e in events if e.kind == "STEP_UP_FOR_RETRY"]
    (pod,) = pods.step_pods(kube, "bulkhead-steps", run)
    assert pod.status.container_statuses[0].restart_count == 0


@pytest.mark.timeout(240)
def test_a_step_grows_nobody_else_and_not_beyond_what_it_may(
    kube: Kube, dagster: Dagster, runs: dict[str, str]
) -> None:
    run = runs["cheat"]
    dagster.succeed(run, 200)
    said = dagster.metadata(run, "cheat")
    for refused in ("other step", "no secret", "wrong secret"):
        assert said[refused].startswith("403 "), said
    assert said["own 0"] == f'200 {{"limit": {512 * 2**20}}}'
    assert said["own 3"] == '200 {"limit": null}'
    (pod,) = pods.step_pods(kube, "bulkhead-steps", run)
    assert pod.spec.containers[0].resources.limits["memory"] == "512Mi"


@pytest.mark.timeout(240)
def test_a_step_that_its_quota_has_no_room_for_is_told_so(
    kube: Kube, dagster: Dagster, endings: str
) -> None:
    code_server, run_pod, step = "512Mi", "512Mi", "256Mi"
    until(lambda: _used(kube, code_server), 90, "earlier runs to have left the quota")
    room = sum(resources.amount(each) for each in (code_server, run_pod, step))
    with _quota(kube, "bulkhead-steps", {"limits.memory": str(int(room))}):
        config = {"execution": {"config": {"quota_timeout_seconds": 5}}}
        run = dagster.launch(endings, "slow_grower", config)
        assert dagster.finish(run, 200) == "FAILURE"
    told = [e.message for e in dagster.events(run) if "the quota of its code location" in e.message]
    assert told
    assert told[0].startswith("Step slow_grower would grow to 512Mi, but the quota of its code ")
    assert told[0].endswith("; it keeps its 256Mi.")


def _used(kube: Kube, memory: str) -> bool | NotYet:
    used = kube.core.read_namespaced_resource_quota("bulkhead", "bulkhead-steps").status.used
    limits = used["limits.memory"]
    return resources.amount(limits) == resources.amount(memory) or NotYet(limits)


@contextmanager
def _quota(kube: Kube, namespace: str, hard: dict[str, str]) -> Iterator[None]:
    quota = kube.core.read_namespaced_resource_quota("bulkhead", namespace)
    before = {name: quota.spec.hard[name] for name in hard}
    kube.core.patch_namespaced_resource_quota("bulkhead", namespace, {"spec": {"hard": hard}})
    try:
        yield
    finally:
        kube.core.patch_namespaced_resource_quota("bulkhead", namespace, {"spec": {"hard": before}})


@pytest.mark.timeout(300)
def test_where_limits_cannot_be_raised_in_place_a_step_is_repeated(
    kube: Kube, dagster: Dagster, endings: str
) -> None:
    """An older cluster, played by a run that has no right to the subresource."""
    with _without_resize(kube, "bulkhead-steps"):
        run = dagster.launch(endings, "slow_grower")
        dagster.succeed(run, 240)
    events = dagster.events(run)
    assert not [e for e in events if "bulkhead/grown_to" in e.metadata]
    assert [e.kind for e in events].count("STEP_UP_FOR_RETRY") == 2
    assert _limits(kube, "bulkhead-steps", run) == ["256Mi", "512Mi", "1Gi"]


@contextmanager
def _without_resize(kube: Kube, namespace: str) -> Iterator[None]:
    role = kube.rbac.read_namespaced_role("bulkhead-run", namespace)
    rules = kube.api.sanitize_for_serialization(role.rules)
    without = [rule for rule in rules if rule["resources"] != ["pods/resize"]]
    assert len(without) == len(rules) - 1
    kube.rbac.patch_namespaced_role("bulkhead-run", namespace, {"rules": without})
    try:
        yield
    finally:
        kube.rbac.patch_namespaced_role("bulkhead-run", namespace, {"rules": rules})
