"""Kubernetes, oldest and newest, knows every object and every field."""

from __future__ import annotations

from copy import deepcopy

import pytest
from tests.manifests import render, schemas


@pytest.mark.parametrize("version", schemas.VERSIONS)
def test_every_object_of_every_values_file(case: render.Case, version: str) -> None:
    for manifest in render.rendered(case):
        assert schemas.violations(manifest, version) == [], render.identity(manifest)


@pytest.mark.parametrize("version", schemas.VERSIONS)
def test_every_object_of_an_upgrade(platform_case: render.Case, version: str) -> None:
    for manifest in render.render(platform_case, "--is-upgrade"):
        assert schemas.violations(manifest, version) == [], render.identity(manifest)


@pytest.mark.parametrize("version", schemas.VERSIONS)
def test_an_unknown_field_is_found(minimal: render.Case, version: str) -> None:
    webserver = deepcopy(render.find(render.rendered(minimal), "Deployment", "bulkhead-webserver"))
    webserver["spec"]["template"]["spec"]["containers"][0]["resource"] = {}
    (violation,) = schemas.violations(webserver, version)
    assert "'resource' was unexpected" in violation
