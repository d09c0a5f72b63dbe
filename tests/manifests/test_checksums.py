"""A pod restarts only when what it reads has changed."""

from __future__ import annotations

import pytest
from tests.manifests import render

PLATFORM_PODS = {
    ("Deployment", "bulkhead", "bulkhead-webserver"),
    ("Deployment", "bulkhead", "bulkhead-daemon"),
}
DATABASE = ("StatefulSet", "bulkhead", "bulkhead-postgresql")
OBJECT_STORE = ("StatefulSet", "bulkhead", "bulkhead-object-store")


def _changed(case: render.Case, *arguments: str) -> set[tuple[str, str, str]]:
    """Which pod templates of a running platform an upgrade with these arguments changes."""
    before = render.pod_templates(render.render(case, "--is-upgrade"))
    after = render.pod_templates(render.render(case, "--is-upgrade", *arguments))
    assert before.keys() == after.keys()
    hook = ("Job", "bulkhead", "bulkhead-migrate-upgrade")
    return {name for name in before if before[name] != after[name] and name != hook}


def test_the_same_values_give_the_same_pods(case: render.Case) -> None:
    again = render.render(case)
    assert render.pod_templates(again) == render.pod_templates(render.rendered(case))
    names = [render.identity(each) for each in render.rendered(case)]
    assert [render.identity(each) for each in again] == names


def test_a_new_code_location_restarts_nothing(platform_case: render.Case) -> None:
    assert _changed(platform_case, "--set", "codeLocations.another.environment=test") == set()


def test_another_ceiling_restarts_nothing(many_locations: render.Case) -> None:
    assert _changed(many_locations, "--set", "codeLocations.ingestion.ceiling.memory=9Gi") == set()


@pytest.mark.parametrize(
    "setting",
    [
        "runLauncher.ttlSecondsAfterFinished=60",
        "runLauncher.resources.limits.memory=600Mi",
        "concurrency.runs.maxConcurrentRuns=7",
        "objectStore.region=eu-west-1",
    ],
)
def test_a_setting_of_the_instance_restarts_web_server_and_daemon_alone(
    minimal: render.Case, setting: str
) -> None:
    assert _changed(minimal, "--set", setting) == PLATFORM_PODS


def test_a_setting_of_the_database_restarts_the_database_alone(minimal: render.Case) -> None:
    assert _changed(minimal, "--set", "postgresql.maxConnections=500") == {DATABASE}


def test_a_new_platform_image_leaves_the_stores_alone(minimal: render.Case) -> None:
    stores = ("--set", "postgresql.image.tag=v1", "--set", "objectStore.image.tag=v1")
    old = render.pod_templates(render.render(minimal, *stores, "--set", "image.tag=1.0.0"))
    new = render.pod_templates(render.render(minimal, *stores, "--set", "image.tag=1.0.1"))
    for store in (DATABASE, OBJECT_STORE):
        assert old[store] == new[store]
    for pods in PLATFORM_PODS:
        assert old[pods] != new[pods]


@pytest.mark.parametrize(
    "setting", ["env[0].value=us", "definitions.attribute=other", "steps.resources.limits.cpu=2"]
)
def test_what_a_team_changes_reaches_its_code_server(location: render.Case, setting: str) -> None:
    before = render.pod_templates(render.rendered(location))
    assert render.pod_templates(render.render(location, "--set", setting)) != before


def test_a_new_commit_with_the_same_image_restarts_no_code_server(location: render.Case) -> None:
    changed = render.render(location, "--set", "release.commit=f00,release.deployedBy=Bob")
    assert changed != render.rendered(location)
    assert render.pod_templates(changed) == render.pod_templates(render.rendered(location))


def test_a_code_server_is_ready_a_second_after_it_answers_and_may_load_for_three_minutes(
    location_case: render.Case,
) -> None:
    (template,) = render.pod_templates(render.rendered(location_case)).values()
    probe = template["spec"]["containers"][0]["startupProbe"]
    assert probe["periodSeconds"] == 1
    assert probe["periodSeconds"] * probe["failureThreshold"] == 180
