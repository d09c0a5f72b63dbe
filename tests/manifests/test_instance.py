"""Dagster accepts what the charts tell it, and its pods come out as meant."""

from __future__ import annotations

import json
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from dagster._config import process_config, resolve_to_config_type
from dagster._core.instance.config import dagster_instance_config
from dagster_aws.s3.compute_log_manager import S3ComputeLogManager
from dagster_k8s.job import DagsterK8sJobConfig, construct_dagster_k8s_job
from tests.manifests import render

from bulkhead import names
from bulkhead.compute_logs import LazyS3ComputeLogManager
from bulkhead.dagster_compat import container_context
from bulkhead.kube.jobs import plain_object
from bulkhead.launcher import NamespacedRunLauncher

if TYPE_CHECKING:
    from pathlib import Path


def _settings(case: render.Case) -> str:
    config_map = render.find(
        render.rendered(case), "ConfigMap", names.INSTANCE_CONFIG_MAP, case.namespace
    )
    return config_map["data"][names.INSTANCE_CONFIG_KEY]


def test_dagster_accepts_the_instance(platform_case: render.Case, tmp_path: Path) -> None:
    (tmp_path / names.INSTANCE_CONFIG_KEY).write_text(_settings(platform_case))
    config, _ = dagster_instance_config(str(tmp_path))
    assert config["telemetry"] == {"enabled": False}
    assert config["nux"] == {"enabled": False}
    for part, implementation, settings_of in (
        ("run_launcher", NamespacedRunLauncher, NamespacedRunLauncher),
        ("compute_logs", LazyS3ComputeLogManager, S3ComputeLogManager),
    ):
        named = getattr(import_module(config[part]["module"]), config[part]["class"])
        assert named is implementation
        schema = resolve_to_config_type(settings_of.config_type())
        result = process_config(schema, config[part]["config"])
        assert result.success, result.errors


def test_every_code_location_has_the_same_instance_as_the_platform(
    many_locations: render.Case,
) -> None:
    copies = [
        each["data"][names.INSTANCE_CONFIG_KEY]
        for each in render.rendered(many_locations)
        if (each["kind"], each["metadata"]["name"]) == ("ConfigMap", names.INSTANCE_CONFIG_MAP)
    ]
    assert len(copies) == 4
    assert set(copies) == {_settings(many_locations)}


def test_the_instance_names_the_password_and_does_not_hold_it(platform_case: render.Case) -> None:
    database = yaml.safe_load(_settings(platform_case))["storage"]["postgres"]["postgres_db"]
    assert database["username"] == {"env": names.DATABASE_USERNAME_ENV}
    assert database["password"] == {"env": names.DATABASE_PASSWORD_ENV}


@pytest.fixture(scope="module")
def step_job() -> dict[str, Any]:
    """A Job as dagster-k8s makes it from the launcher's settings and those of a code location."""
    platform = next(each for each in render.cases() if each.values.name == "minimal.yaml")
    team = next(each for each in render.cases() if each.values.name == "everything.yaml")
    launcher = yaml.safe_load(_settings(platform))["run_launcher"]["config"]
    data = render.find(render.rendered(team), "ConfigMap", team.release)["data"]
    common = {
        key: launcher[key]
        for key in (
            *("service_account_name", "env_config_maps", "env_secrets"),
            *("security_context", "run_k8s_config", "image_pull_policy"),
        )
    }
    context = container_context({"k8s": common}).merge(
        container_context(json.loads(data[names.CONTAINER_CONTEXT_ENV]))
    )
    assert context.namespace == team.namespace
    job = construct_dagster_k8s_job(
        DagsterK8sJobConfig(
            job_image=data[names.CURRENT_IMAGE_ENV],
            dagster_home=launcher["dagster_home"],
            instance_config_map=launcher["instance_config_map"],
        ),
        args=["true"],
        job_name="dagster-step-test",
        user_defined_k8s_config=context.run_k8s_config,
    )
    return plain_object(job)


def test_what_a_team_gives_once_reaches_its_steps(
    location: render.Case, step_job: dict[str, Any]
) -> None:
    values = yaml.safe_load(location.values.read_text())
    spec = step_job["spec"]["template"]["spec"]
    (container,) = spec["containers"]

    variables = {each["name"]: each for each in container["env"]}
    for each in values["env"]:
        assert variables[each["name"]] == each
    assert variables[names.DEFINITIONS_FILE_ENV]["value"] == values["definitions"]["file"]
    sources = [next(iter(each.values()))["name"] for each in container["envFrom"]]
    assert set(sources[:3]) == {
        names.LOCATION_CONFIG_MAP,
        names.DATABASE_SECRET,
        names.OBJECT_STORE_SECRET,
    }
    assert set(sources[3:]) == {"features", "warehouse"}

    assert all(each in spec["volumes"] for each in values["volumes"])
    assert all(each in container["volumeMounts"] for each in values["volumeMounts"])
    for key in ("nodeSelector", "tolerations", "affinity", "imagePullSecrets"):
        assert spec[key] == values[key]
    assert container["resources"] == {
        kind: {resource: str(amount) for resource, amount in amounts.items()}
        for kind, amounts in values["steps"]["resources"].items()
    }
    assert container["imagePullPolicy"] == values["image"]["pullPolicy"]
    labels = step_job["spec"]["template"]["metadata"]["labels"]
    assert labels[names.CODE_LOCATION_LABEL] == "forecasts"
    assert spec["serviceAccountName"] == names.STEP_SERVICE_ACCOUNT


def test_a_code_server_gets_what_its_steps_get(
    location: render.Case, step_job: dict[str, Any]
) -> None:
    template = render.find(render.rendered(location), "Deployment", "forecasts")["spec"]["template"]
    (server,) = template["spec"]["containers"]
    (step,) = step_job["spec"]["template"]["spec"]["containers"]
    assert server["image"] == step["image"]
    server_sources = [
        each for each in server["envFrom"] if each != {"configMapRef": {"name": "forecasts"}}
    ]
    assert server_sources == step["envFrom"]
    definitions = {name for name in vars(names).values() if str(name).startswith("BULKHEAD_DEF")}
    inherited = [each for each in step["env"] if each["name"] not in definitions]
    assert [each for each in server["env"] if each in inherited] == [
        each for each in inherited if each in server["env"]
    ]
    for key in ("nodeSelector", "tolerations", "affinity", "imagePullSecrets"):
        assert template["spec"][key] == step_job["spec"]["template"]["spec"][key]


def test_steps_pass_pod_security_restricted(step_job: dict[str, Any]) -> None:
    spec = step_job["spec"]["template"]["spec"]
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "fsGroup": 10001,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["enableServiceLinks"] is False
    assert step_job["spec"]["ttlSecondsAfterFinished"] == 86400


@pytest.mark.parametrize(("values", "is_read_only"), [("minimal", False), ("external", True)])
def test_only_steps_that_are_to_be_read_only_mount_anything(
    values: str, *, is_read_only: bool
) -> None:
    case = next(each for each in render.cases() if each.values.name == f"{values}.yaml")
    launcher = yaml.safe_load(_settings(case))["run_launcher"]["config"]
    tmp = [{"name": "tmp", "mountPath": "/tmp"}]
    assert launcher["security_context"]["readOnlyRootFilesystem"] is is_read_only
    assert launcher.get("volume_mounts", []) == (tmp if is_read_only else [])
    run_pod = launcher if is_read_only else launcher["run_pod"]
    assert run_pod["security_context"]["readOnlyRootFilesystem"] is True
    assert run_pod["volume_mounts"] == tmp
