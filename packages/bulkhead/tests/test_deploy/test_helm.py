"""Helm with the chart of code locations, without a cluster."""

import json
from pathlib import Path

import pytest

from bulkhead.deploy.helm import Helm, HelmError, Release, Revision

ROOT = Path(__file__).resolve().parents[4]
HELM = ROOT / ".tools" / "helm"


def release(**values: object) -> Release:
    image = {"registry": "r", "repository": "shop", "digest": f"sha256:{'0' * 64}"}
    return Release(
        name="shop",
        namespace="bulkhead-shop",
        chart=str(ROOT / "charts" / "code-location"),
        chart_version=None,
        values=[ROOT / "charts" / "code-location" / "ci" / "minimal.yaml"],
        further_values={"image": image, **values},
    )


def test_a_release_is_rendered_with_the_further_values_on_top() -> None:
    rendered = Helm(program=str(HELM)).render(release())
    [deployment] = [each for each in rendered if each["kind"] == "Deployment"]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"r/shop@sha256:{'0' * 64}"
    assert deployment["metadata"]["namespace"] == "bulkhead-shop"


def test_an_invalid_value_is_helms_error_with_its_path() -> None:
    with pytest.raises(HelmError, match=r"(?s)`helm template` failed: .*codeServer"):
        Helm(program=str(HELM)).render(release(codeServer={"replicas": 2}))


def test_a_missing_helm_says_what_to_do() -> None:
    with pytest.raises(HelmError, match="no-such-helm is not installed"):
        Helm(program="no-such-helm").render(release())


def script(folder: Path, text: str) -> str:
    path = folder / "helm"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_the_history_of_a_release_that_is_not_installed_is_empty(tmp_path: Path) -> None:
    program = script(tmp_path, 'echo "Error: release: not found" >&2; exit 1')
    assert Helm(program=program).history("shop", "bulkhead-shop") == []


def test_the_history_tells_which_revision_was_interrupted(tmp_path: Path) -> None:
    revisions = [
        {"revision": 1, "status": "superseded", "description": "one"},
        {"revision": 2, "status": "pending-upgrade", "description": "two"},
    ]
    program = script(tmp_path, f"cat <<'END'\n{json.dumps(revisions)}\nEND")
    found = Helm(program=program).history("shop", "bulkhead-shop")
    assert found == [Revision(1, "superseded", "one"), Revision(2, "pending-upgrade", "two")]
    assert [each.is_unfinished for each in found] == [False, True]


def test_releases_are_stored_in_config_maps(tmp_path: Path) -> None:
    program = script(tmp_path, 'echo "[]" >&2; test "$HELM_DRIVER" = configmap && echo "[]"')
    assert Helm(program=program).history("shop", "bulkhead-shop") == []
