"""The demo's own chart: the policies of the project's charts, and rights in the database."""

from __future__ import annotations

import base64
import json
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.manifests import policies, render
from tests.manifests.policies import POLICIES

if TYPE_CHECKING:
    from warehouse_server import Server

CHART = Path(__file__).resolve().parents[1] / "chart"
OVERLAY = CHART.parent / "platform.yaml"
CASE = render.Case(CHART, CHART / "ci" / "images.yaml", "grocer", "grocer")
ROLES = ("ingestion", "analytics", "ml")


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.__name__)
def test_every_object_keeps_the_policies_of_the_project(policy: policies.Policy) -> None:
    manifests = deepcopy(render.rendered(CASE))
    for manifest in manifests:
        if manifest["kind"] == "Secret" and manifest["metadata"]["name"] == "grocer-warehouse":
            # The addresses beside it are no secret.
            for key in [key for key in manifest["data"] if not key.endswith("PASSWORD")]:
                del manifest["data"][key]
    assert list(policy(manifests)) == []


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.__name__)
def test_so_does_the_platform_with_the_demo_s_code_locations(policy: policies.Policy) -> None:
    platform = render.ROOT / "infra" / "kind" / "platform.yaml"
    case = render.Case(render.PLATFORM, platform, "bulkhead", "bulkhead")
    manifests = render.render(case, "--values", str(OVERLAY))
    assert list(policy(manifests)) == []
    for role in ROLES:
        assert render.find(manifests, "ResourceQuota", "bulkhead", f"bulkhead-{role}")


@pytest.mark.parametrize("major", [3, 4])
def test_each_code_location_has_only_its_own_password(major: int) -> None:
    manifests = render.render(CASE, major=major)
    kept = _secret(manifests, "grocer-passwords", "grocer")
    for role in ROLES:
        secret = _secret(manifests, "grocer-warehouse", f"bulkhead-{role}")
        assert secret["GROCER_WAREHOUSE_USER"] == role
        assert secret["GROCER_WAREHOUSE_PASSWORD"] == kept[role]
        assert secret["GROCER_WAREHOUSE_HOST"] == "grocer-warehouse.grocer.svc"
        assert ("GROCER_FLYER_IMAGE" in secret) == (role == "ml")
        assert ("GROCER_SHOP_PASSWORD" in secret) == (role == "ingestion")
        others = {kept[other] for other in ("postgres", *ROLES) if other != role}
        assert not others & set(secret.values())


@pytest.mark.parametrize(
    ("setting", "place"),
    [
        ("postgresql.image.digest=", "digest"),
        ("campaigns.image.tag=1", "tag"),
        ("flyer.image.digest=sha256:12", "digest"),
        ("campaigns.resources.limits.memory=much", "memory"),
        ("namespaces.marketing=x", "marketing"),
    ],
)
def test_a_wrong_value_is_named(setting: str, place: str) -> None:
    with pytest.raises(render.RenderError, match=place):
        render.render(CASE, "--set", setting)


def test_without_an_image_for_the_flyer_its_variable_is_absent() -> None:
    manifests = render.render(CASE, "--set", "flyer.image.digest=")
    assert "GROCER_FLYER_IMAGE" not in _secret(manifests, "grocer-warehouse", "bulkhead-ml")


def test_the_schema_describes_every_key() -> None:
    def missing(schema: object, path: str) -> list[str]:
        if not isinstance(schema, dict):
            return []
        keys = cast("dict[str, Any]", schema)
        properties: dict[str, Any] = keys.get("properties", {})
        found = [f"{path}.{key}" for key, each in properties.items() if "description" not in each]
        return found + [
            each for key, value in keys.items() for each in missing(value, f"{path}.{key}")
        ]

    schema = json.loads((CHART / "values.schema.json").read_text())
    assert missing(schema, "") == []


def test_each_team_reads_only_what_the_one_before_it_makes(server: Server) -> None:
    server.apply_roles()
    server.execute("ingestion", "CREATE TABLE raw.orders AS SELECT 1 AS order_id")
    server.execute("analytics", "CREATE TABLE analytics.orders_cleaned AS SELECT * FROM raw.orders")
    server.execute(
        "ml", "CREATE TABLE ml.predicted_orders AS SELECT * FROM analytics.orders_cleaned"
    )
    for role, statement in (
        ("ml", "SELECT * FROM raw.orders"),
        ("ingestion", "SELECT * FROM analytics.orders_cleaned"),
        ("analytics", "SELECT * FROM ml.predicted_orders"),
        ("analytics", "DELETE FROM raw.orders"),
        ("analytics", "CREATE TABLE raw.x (y int)"),
        ("ml", "DROP TABLE analytics.orders_cleaned"),
        ("ml", "CREATE SCHEMA more"),
        ("ml", "CREATE TABLE public.x (y int)"),
    ):
        assert "permission denied" in server.refusal(role, statement) or "must be owner" in (
            server.refusal(role, statement)
        )


def test_the_shop_is_ingestion_s_alone(server: Server) -> None:
    server.apply_roles()
    server.execute("ingestion", "CREATE TABLE orders (order_id int)", database="shop")
    for role in ("analytics", "ml"):
        assert "permission denied" in server.refusal(role, "SELECT 1", database="shop")


def test_rights_may_be_given_again_and_passwords_change(server: Server) -> None:
    server.apply_roles()
    server.execute("ingestion", "CREATE TABLE raw.users AS SELECT 1 AS user_id")
    server.apply_roles(suffix="-new")
    server.execute("analytics", "SELECT * FROM raw.users", password="analytics-new")
    assert "password authentication failed" in server.refusal("analytics", "SELECT 1")


def _secret(manifests: list[render.Manifest], name: str, namespace: str) -> dict[str, str]:
    found = render.find(manifests, "Secret", name, namespace)["data"]
    return {key: base64.b64decode(value).decode() for key, value in found.items()}
