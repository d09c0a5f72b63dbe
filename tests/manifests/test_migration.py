"""The database's schema comes first: on install beside the rest, on upgrade before it."""

from __future__ import annotations

from tests.manifests import render


def _jobs(manifests: list[render.Manifest]) -> list[render.Manifest]:
    return [each for each in manifests if each["kind"] == "Job"]


def test_on_install_it_is_no_hook_because_ready_pods_wait_for_it(minimal: render.Case) -> None:
    (job,) = _jobs(render.rendered(minimal))
    assert "annotations" not in job["metadata"]
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["bulkhead", "migrate"]


def test_who_applies_rendered_manifests_gets_a_new_job_for_a_new_image(
    minimal: render.Case,
) -> None:
    (first,) = _jobs(render.render(minimal, "--set", "image.tag=v1"))
    (same,) = _jobs(render.render(minimal, "--set", "image.tag=v1"))
    (second,) = _jobs(render.render(minimal, "--set", "image.tag=v2"))
    assert first == same
    assert first["metadata"]["name"] != second["metadata"]["name"]


def test_on_upgrade_it_is_a_hook_with_the_new_settings(minimal: render.Case) -> None:
    manifests = render.render(
        minimal, "--is-upgrade", "--set", "postgresql.postgresqlDatabase=other"
    )
    (job,) = _jobs(manifests)
    annotations = job["metadata"]["annotations"]
    assert annotations["helm.sh/hook"] == "pre-upgrade"
    assert "before-hook-creation" in annotations["helm.sh/hook-delete-policy"]
    assert "hook-failed" not in annotations["helm.sh/hook-delete-policy"]

    (name,) = [
        volume["configMap"]["name"]
        for volume in job["spec"]["template"]["spec"]["volumes"]
        if "configMap" in volume
    ]
    settings = render.find(manifests, "ConfigMap", name)
    assert settings["metadata"]["annotations"]["helm.sh/hook"] == "pre-upgrade"
    weights = [each["metadata"]["annotations"]["helm.sh/hook-weight"] for each in (settings, job)]
    assert int(weights[0]) < int(weights[1])
    assert "db_name: other" in settings["data"]["dagster.yaml"]


def test_web_server_and_daemon_wait_for_it_before_anything_else(minimal: render.Case) -> None:
    for name in ("bulkhead-webserver", "bulkhead-daemon"):
        deployment = render.find(render.rendered(minimal), "Deployment", name)
        first = deployment["spec"]["template"]["spec"]["initContainers"][0]
        assert first["command"] == ["bulkhead", "migrate", "--wait"]
