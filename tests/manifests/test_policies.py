"""Every policy holds for every values file, and each of them can fail."""

from __future__ import annotations

import base64
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
from tests.manifests import policies, render
from tests.manifests.policies import POLICIES

if TYPE_CHECKING:
    from collections.abc import Callable

Manifests = list[render.Manifest]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.__name__)
def test_every_object_of_every_values_file(case: render.Case, policy: policies.Policy) -> None:
    assert list(policy(render.rendered(case))) == []


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.__name__)
def test_every_object_of_an_upgrade(many_locations: render.Case, policy: policies.Policy) -> None:
    assert list(policy(render.render(many_locations, "--is-upgrade"))) == []


def _webserver(manifests: Manifests) -> dict[str, Any]:
    return render.find(manifests, "Deployment", "bulkhead-webserver")["spec"]["template"]


def _container(manifests: Manifests) -> dict[str, Any]:
    return _webserver(manifests)["spec"]["containers"][0]


def _role(manifests: Manifests) -> dict[str, Any]:
    return render.find(manifests, "Role", "bulkhead-run", "machine-learning")["rules"][0]


def _account(manifests: Manifests) -> dict[str, Any]:
    return render.find(manifests, "ServiceAccount", "bulkhead-step", "bulkhead-ingestion")


def _service(manifests: Manifests) -> dict[str, Any]:
    return render.find(manifests, "Service", "bulkhead-webserver")


def _registry(manifests: Manifests) -> dict[str, Any]:
    return render.find(manifests, "ConfigMap", "bulkhead-code-locations")


def _show_password(manifests: Manifests) -> None:
    secret = render.find(manifests, "Secret", "bulkhead-database", "bulkhead")
    password = base64.b64decode(secret["data"]["DAGSTER_PG_PASSWORD"]).decode()
    _registry(manifests)["data"]["password"] = password


BREAKAGES: list[tuple[policies.Policy, str, Callable[[Manifests], object]]] = [
    (
        policies.has_requests_and_limits,
        "no memory in its limits",
        lambda m: _container(m)["resources"]["limits"].pop("memory"),
    ),
    (
        policies.is_restricted,
        "does not run as user 10001",
        lambda m: _webserver(m)["spec"]["securityContext"].update(runAsNonRoot=False),
    ),
    (
        policies.is_restricted,
        "no seccomp profile",
        lambda m: _webserver(m)["spec"]["securityContext"].pop("seccompProfile"),
    ),
    (
        policies.is_restricted,
        "securityContext.capabilities",
        lambda m: _container(m)["securityContext"].pop("capabilities"),
    ),
    (
        policies.is_restricted,
        "mounts a folder of the node",
        lambda m: _webserver(m)["spec"]["volumes"].append({"name": "x", "hostPath": {}}),
    ),
    (
        policies.names_its_image,
        "is latest",
        lambda m: _container(m).update(image="registry.example.com/bulkhead/platform:latest"),
    ),
    (
        policies.names_its_image,
        "has no tag",
        lambda m: _container(m).update(image="registry.example.com:5000/bulkhead/platform"),
    ),
    (
        policies.mounts_no_token_without_need,
        "is not true",
        lambda m: _webserver(m)["spec"].update(automountServiceAccountToken=False),
    ),
    (
        policies.mounts_no_token_without_need,
        "hands its token",
        lambda m: _account(m).pop("automountServiceAccountToken"),
    ),
    (policies.grants_little, "grants *", lambda m: _role(m).update(verbs=["*"])),
    (policies.grants_little, "on secrets", lambda m: _role(m).update(resources=["secrets"])),
    (
        policies.grants_little,
        "makes pods itself",
        lambda m: _role(m).update(resources=["pods"], verbs=["create"]),
    ),
    (
        policies.grants_little,
        "whole cluster",
        lambda m: m.append({"kind": "ClusterRole", "metadata": {"name": "x"}, "rules": []}),
    ),
    (
        policies.is_labelled,
        "no label app.kubernetes.io/version",
        lambda m: _webserver(m)["metadata"]["labels"].pop("app.kubernetes.io/version"),
    ),
    (
        policies.names_its_namespace,
        "has no namespace",
        lambda m: _service(m)["metadata"].pop("namespace"),
    ),
    (policies.names_its_namespace, "is there twice", lambda m: m.append(deepcopy(_service(m)))),
    (
        policies.selects_its_pods,
        "selects the pods of 0 objects",
        lambda m: _service(m)["spec"]["selector"].update({"app.kubernetes.io/component": "x"}),
    ),
    (
        policies.selects_its_pods,
        "no container has a port",
        lambda m: _service(m)["spec"]["ports"][0].update(targetPort="x"),
    ),
    (
        policies.is_probed,
        "no readiness probe",
        lambda m: _container(m).pop("readinessProbe"),
    ),
    (
        policies.is_probed,
        "sidecar without a startup probe",
        lambda m: _webserver(m)["spec"]["initContainers"][1].pop("startupProbe"),
    ),
    (
        policies.finds_what_it_reads,
        "no volume workspace",
        lambda m: _webserver(m)["spec"]["volumes"].pop(),
    ),
    (policies.hides_passwords, "shows what a Secret holds", _show_password),
    (
        policies.stays_with_its_location,
        "helm.sh/resource-policy is not keep",
        lambda m: _account(m)["metadata"].pop("annotations"),
    ),
]


@pytest.mark.parametrize(
    ("policy", "complaint", "breakage"),
    BREAKAGES,
    ids=[f"{policy.__name__}-{complaint}" for policy, complaint, _ in BREAKAGES],
)
def test_a_violation_is_found(
    many_locations: render.Case,
    policy: policies.Policy,
    complaint: str,
    breakage: Callable[[Manifests], object],
) -> None:
    manifests = deepcopy(render.rendered(many_locations))
    breakage(manifests)
    assert any(complaint in violation for violation in policy(manifests))


def test_no_policy_is_without_a_breakage() -> None:
    assert {policy for policy, _, _ in BREAKAGES} == set(POLICIES)
