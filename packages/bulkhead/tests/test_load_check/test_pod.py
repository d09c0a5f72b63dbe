"""The pod of a load check is the code server of the release, but for what serves requests."""

import copy
import re
from collections.abc import Mapping
from typing import Any

import pytest
from tests.manifests import render, schemas

from bulkhead import names
from bulkhead.code_location import report_lines
from bulkhead.deploy.load_check import pod
from bulkhead.deploy.load_check.pod import ManifestError

Object = dict[str, Any]

NAME = "shop-load-check-4be1ff00-0a1b2c3d"

CASES = pytest.mark.parametrize("case", render.cases(render.LOCATION), ids=str)


def everything() -> list[Object]:
    """A release of the chart with every setting."""
    (case,) = [each for each in render.cases(render.LOCATION) if each.values.stem == "everything"]
    return copy.deepcopy(render.rendered(case))


def manifest(objects: list[Object]) -> Object:
    return pod.manifest(objects, name=NAME, deadline_seconds=240)


def deployment(objects: list[Object]) -> Object:
    (found,) = [each for each in objects if each["kind"] == "Deployment"]
    return found


def server(objects: list[Object]) -> Object:
    return deployment(objects)["spec"]["template"]["spec"]["containers"][0]


def settings(objects: list[Object]) -> Object:
    """The ConfigMap of a release."""
    (found,) = [each for each in objects if each["kind"] == "ConfigMap"]
    return found


# --- What is the same -----------------------------------------------------------------------------


@CASES
@pytest.mark.parametrize("version", schemas.VERSIONS)
def test_kubernetes_accepts_the_pod_of_every_values_file(case: render.Case, version: str) -> None:
    assert schemas.violations(manifest(render.rendered(case)), version) == []


@CASES
def test_the_pod_is_the_code_servers_but_for_its_end(case: render.Case) -> None:
    objects = render.rendered(case)
    checked = manifest(objects)
    of_server = deployment(objects)["spec"]["template"]["spec"]
    added = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": 240,
        "terminationGracePeriodSeconds": 3,
    }
    ignored = {"containers"}
    assert {key: value for key, value in checked["spec"].items() if key not in ignored} == {
        **{key: value for key, value in of_server.items() if key not in ignored},
        **added,
    }
    assert checked["metadata"]["namespace"] == case.namespace
    assert checked["metadata"]["name"] == NAME


@CASES
def test_the_container_has_the_image_limits_volumes_and_rights_of_the_code_server(
    case: render.Case,
) -> None:
    objects = render.rendered(case)
    (container,) = manifest(objects)["spec"]["containers"]
    different = {"name", "command", "env", "envFrom"}
    without = {"ports", "startupProbe", "readinessProbe", "livenessProbe", "lifecycle"}
    of_server = server(objects)
    assert of_server.keys() >= without
    assert {key: value for key, value in container.items() if key not in different} == {
        key: value for key, value in of_server.items() if key not in different | without
    }
    assert container["command"] == ["python", "-m", "bulkhead.code_location.report"]


def test_sidecars_are_kept() -> None:
    objects = everything()
    proxy = {"name": "proxy", "image": "proxy:1", "ports": [{"containerPort": 1}]}
    deployment(objects)["spec"]["template"]["spec"]["containers"].append(proxy)
    assert manifest(objects)["spec"]["containers"][1:] == [proxy]


def test_the_rendered_objects_are_not_changed() -> None:
    objects = everything()
    manifest(objects)
    assert objects == everything()


# --- Labels ---------------------------------------------------------------------------------------


@CASES
def test_no_service_and_no_deployment_selects_the_pod(case: render.Case) -> None:
    objects = render.rendered(case)
    labels = manifest(objects)["metadata"]["labels"]
    selectors = [
        *(each["spec"]["selector"] for each in objects if each["kind"] == "Service"),
        deployment(objects)["spec"]["selector"]["matchLabels"],
    ]
    assert len(selectors) == 2
    for selector in selectors:
        assert not selector.items() <= labels.items()
        assert (
            selector.items()
            <= deployment(objects)["spec"]["template"]["metadata"]["labels"].items()
        )


@CASES
def test_all_other_labels_are_the_code_servers(case: render.Case) -> None:
    objects = render.rendered(case)
    labels = manifest(objects)["metadata"]["labels"]
    assert labels == {
        **deployment(objects)["spec"]["template"]["metadata"]["labels"],
        "app.kubernetes.io/component": "load-check",
        "app.kubernetes.io/managed-by": "bulkhead",
    }
    assert labels[names.CODE_LOCATION_LABEL] == case.release


# --- Variables ------------------------------------------------------------------------------------


def variables(container: Object, config_maps: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Return what the kubelet sets: `envFrom` in its order, then `env`; $$ is $.

    Sources that are not known here (Secrets, ConfigMaps of others) are under their name.
    """
    found: dict[str, Any] = {}
    for source in container["envFrom"]:
        kind, reference = next(iter(source.items()))
        known = config_maps.get(reference["name"]) if kind == "configMapRef" else None
        found.update(known if known is not None else {reference["name"]: kind})
    for variable in container["env"]:
        value = variable.get("valueFrom") or variable["value"]
        if isinstance(value, str):
            assert not re.search(r"(?<!\$)(?:\$\$)*\$\(", value), value
            value = value.replace("$$", "$")
        found[variable["name"]] = value
    return found


@CASES
def test_the_code_sees_the_variables_of_the_new_release_which_is_not_in_the_cluster(
    case: render.Case,
) -> None:
    objects = render.rendered(case)
    (container,) = manifest(objects)["spec"]["containers"]
    config_map = settings(objects)
    expected = variables(server(objects), {config_map["metadata"]["name"]: config_map["data"]})
    assert names.CONTAINER_CONTEXT_ENV in expected
    # The ConfigMap in the cluster is that of the old release, or there is none.
    assert {"configMapRef": {"name": config_map["metadata"]["name"]}} not in container["envFrom"]
    assert variables(container, {}) == {**expected, report_lines.MARK_ENV: NAME}


def test_settings_of_the_release_are_literal() -> None:
    objects = everything()
    settings(objects)["data"]["PRICE"] = "$5, $$6, $(HOME)"
    (container,) = manifest(objects)["spec"]["containers"]
    assert variables(container, {})["PRICE"] == "$5, $$6, $(HOME)"


def test_a_variable_of_the_team_takes_precedence_over_a_setting() -> None:
    objects = everything()
    settings(objects)["data"]["REGION"] = "us"
    (container,) = manifest(objects)["spec"]["containers"]
    assert [each for each in container["env"] if each["name"] == "REGION"] == [
        {"name": "REGION", "value": "eu"}
    ]


def test_a_later_config_map_takes_precedence() -> None:
    objects = everything()
    features = {"kind": "ConfigMap", "metadata": {"name": "features"}, "data": {"PRICE": "5"}}
    settings(objects)["data"]["PRICE"] = "6"
    (container,) = manifest([*objects, features])["spec"]["containers"]
    assert variables(container, {})["PRICE"] == "5"


# --- Errors and names -----------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 2])
def test_a_release_without_exactly_one_deployment_is_rejected(count: int) -> None:
    objects = everything()
    others = [each for each in objects if each["kind"] != "Deployment"]
    with pytest.raises(ManifestError, match=f"has {count} Deployments; the load check needs exac"):
        manifest([*others, *(count * [deployment(objects)])])


@pytest.mark.parametrize(
    ("location", "digest", "expected"),
    [
        ("shop", "sha256:4be1ff0099", "shop-load-check-4be1ff00-"),
        ("shop", "registry:5000/shop@sha256:4be1ff0099", "shop-load-check-4be1ff00-"),
        ("shop", "", "shop-load-check-"),
        ("a" * 33 + "-" + "b" * 28, "sha256:4be1ff0099", "a" * 33 + "-load-check-4be1ff00-"),
        ("a" * 63, "sha256:4be1ff0099", "a" * 34 + "-load-check-4be1ff00-"),
    ],
)
def test_names_say_location_and_image_and_are_valid(
    location: str, digest: str, expected: str
) -> None:
    found = {pod.unique_name(location, digest) for _ in range(20)}
    assert len(found) == 20
    for name in found:
        assert re.fullmatch(rf"{expected}[0-9a-f]{{8}}", name)
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name)
