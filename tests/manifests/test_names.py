"""The charts, `bulkhead.names` and the contract agree on every name."""

from __future__ import annotations

import pytest
import yaml
from tests.manifests import render

from bulkhead import location_name, names
from bulkhead.commands.reconcile import reconcile

CONTRACT = render.ROOT / "docs" / "design" / "contract.md"
NAMESPACE = "bulkhead-ingestion"

FIXED = {
    ("ConfigMap", names.INSTANCE_CONFIG_MAP),
    ("ConfigMap", names.LOCATION_CONFIG_MAP),
    ("ConfigMap", names.STATUS_CONFIG_MAP),
    ("Secret", names.DATABASE_SECRET),
    ("Secret", names.OBJECT_STORE_SECRET),
    ("ServiceAccount", names.CODE_SERVER_SERVICE_ACCOUNT),
    ("ServiceAccount", names.RUN_SERVICE_ACCOUNT),
    ("ServiceAccount", names.STEP_SERVICE_ACCOUNT),
    ("Role", names.LAUNCHER_ROLE),
    ("Role", names.DISCOVERY_ROLE),
    ("Role", names.STATUS_ROLE),
    ("Role", names.RUN_ROLE),
    ("Role", names.DEPLOYER_ROLE),
    ("RoleBinding", names.LAUNCHER_ROLE),
    ("RoleBinding", names.DISCOVERY_ROLE),
    ("RoleBinding", names.STATUS_ROLE),
    ("RoleBinding", names.RUN_ROLE),
    ("ResourceQuota", names.QUOTA),
    ("LimitRange", names.QUOTA),
}


@pytest.fixture
def platform(many_locations: render.Case) -> list[render.Manifest]:
    return render.rendered(many_locations)


@pytest.fixture
def team(location: render.Case) -> list[render.Manifest]:
    return render.rendered(location)


def _environment(
    manifests: list[render.Manifest], name: str, namespace: str = ""
) -> dict[str, str]:
    return render.find(manifests, "ConfigMap", name, namespace)["data"]


def test_a_code_locations_namespace_has_what_the_contract_lists_and_nothing_else(
    platform: list[render.Manifest],
) -> None:
    assert location_name.default_namespace("ingestion") == NAMESPACE
    made = {
        (each["kind"], each["metadata"]["name"])
        for each in platform
        if each["metadata"].get("namespace") == NAMESPACE
    }
    assert made == FIXED
    contract = CONTRACT.read_text()
    for _, name in FIXED:
        assert f"`{name}`" in contract


def test_platform_objects_are_named_after_the_release(minimal: render.Case) -> None:
    release = "other"
    case = render.Case(minimal.chart, minimal.values, release, "somewhere")
    made = {(each["kind"], each["metadata"]["name"]) for each in render.render(case)}
    assert made >= {
        *((kind, names.webserver(release)) for kind in ("Deployment", "Service", "ServiceAccount")),
        *((kind, names.daemon(release)) for kind in ("Deployment", "ServiceAccount")),
        *((kind, names.postgresql(release)) for kind in ("StatefulSet", "Service")),
        *((kind, names.object_store(release)) for kind in ("StatefulSet", "Service")),
        ("ServiceAccount", names.migrate(release)),
        ("ConfigMap", names.registry(release)),
    }


def test_ports_are_those_of_the_contract(
    platform: list[render.Manifest], team: list[render.Manifest]
) -> None:
    ports = {
        (each["metadata"]["name"], port["name"], port["port"])
        for each in [*platform, *team]
        if each["kind"] == "Service"
        for port in each["spec"]["ports"]
    }
    assert ports == {
        (names.webserver(), names.HTTP_PORT_NAME, 80),
        (names.postgresql(), "postgresql", names.DATABASE_PORT),
        (names.object_store(), "s3", names.OBJECT_STORE_PORT),
        ("forecasts", names.GRPC_PORT_NAME, names.GRPC_PORT),
    }
    listening = {
        port["containerPort"]
        for template in render.pod_templates([*platform, *team]).values()
        for container in render.containers(template)
        for port in container.get("ports", [])
    }
    assert listening == {
        names.HTTP_PORT,
        names.WORKSPACE_SYNC_PORT,
        names.RECONCILER_PORT,
        names.DATABASE_PORT,
        names.OBJECT_STORE_PORT,
        names.GRPC_PORT,
    }


def test_the_reconciler_is_told_where_registry_and_web_server_are(minimal: render.Case) -> None:
    case = render.Case(minimal.chart, minimal.values, "other", "somewhere")
    manifests = render.render(case, "--set", "dagsterWebserver.service.port=8080")
    template = render.find(manifests, "Deployment", names.daemon("other"))["spec"]["template"]
    (container,) = (each for each in render.containers(template) if each["name"] == "reconciler")
    program, command, *arguments = container["command"]
    assert (program, command) == ("bulkhead", reconcile.name)
    told = reconcile.make_context(command, arguments).params
    assert told["registry"] == names.registry("other")
    assert told["graphql"] == f"http://{names.webserver('other')}.somewhere.svc:8080/graphql"
    assert container["ports"] == [{"name": "reconciler", "containerPort": told["port"]}]


def test_the_registry_binds_each_name_to_its_namespace(platform: list[render.Manifest]) -> None:
    registry = yaml.safe_load(
        _environment(platform, names.registry(), "bulkhead")[names.REGISTRY_CONFIG_KEY]
    )
    assert registry == {
        "codeLocations": {
            "analytics": {"namespace": "bulkhead-analytics", "environment": "production"},
            "ingestion": {"namespace": "bulkhead-ingestion", "environment": "staging"},
            "ml": {"namespace": "machine-learning", "environment": "staging"},
        }
    }


def test_an_empty_registry_is_one(minimal: render.Case) -> None:
    data = _environment(render.rendered(minimal), names.registry(), "bulkhead")
    assert yaml.safe_load(data[names.REGISTRY_CONFIG_KEY]) == {"codeLocations": {}}


def test_the_admins_settings_are_those_of_the_contract(platform: list[render.Manifest]) -> None:
    data = _environment(platform, names.LOCATION_CONFIG_MAP, "bulkhead-analytics")
    wanted = {
        names.CODE_LOCATION_ENV: "analytics",
        names.ENVIRONMENT_ENV: "production",
        names.CEILING_ENV: '{"cpu":"4","memory":"8Gi"}',
        names.OBJECT_STORE_BUCKET_ENV: "bulkhead",
        names.OBJECT_STORE_PREFIX_ENV: "io/analytics",
        names.OBJECT_STORE_ENDPOINT_ENV: "http://bulkhead-object-store.bulkhead.svc:8333",
        names.AWS_REGION_ENV: names.AWS_REGION_DEFAULT,
    }
    assert data.items() >= wanted.items()
    known = {value for key, value in vars(names).items() if key.endswith("_ENV")}
    ours = {key for key in data if key.startswith("BULKHEAD_")}
    assert ours <= known


def test_aws_itself_has_no_endpoint() -> None:
    case = next(each for each in render.cases() if each.values.name == "external.yaml")
    data = _environment(render.rendered(case), names.LOCATION_CONFIG_MAP, "bulkhead-forecasts")
    assert names.OBJECT_STORE_ENDPOINT_ENV not in data
    assert data[names.AWS_REGION_ENV] == "eu-central-1"


def test_a_teams_settings_are_those_of_the_contract(team: list[render.Manifest]) -> None:
    data = _environment(team, "forecasts")
    assert set(data) == {
        names.DEFINITIONS_FILE_ENV,
        names.DEFINITIONS_ATTRIBUTE_ENV,
        names.DEFINITIONS_WORKING_DIRECTORY_ENV,
        names.CURRENT_IMAGE_ENV,
        names.CONTAINER_CONTEXT_ENV,
    }
    service = render.find(team, "Service", "forecasts")
    assert service["metadata"]["labels"][names.CODE_LOCATION_LABEL] == "forecasts"
    image = service["metadata"]["annotations"][names.IMAGE_ANNOTATION]
    assert image == data[names.CURRENT_IMAGE_ENV]
    (container,) = render.find(team, "Deployment", "forecasts")["spec"]["template"]["spec"][
        "containers"
    ]
    assert container["image"] == image


def test_secrets_hold_the_variables_that_dagster_reads(platform: list[render.Manifest]) -> None:
    wanted = {
        names.DATABASE_SECRET: {names.DATABASE_USERNAME_ENV, names.DATABASE_PASSWORD_ENV},
        names.OBJECT_STORE_SECRET: {names.AWS_ACCESS_KEY_ID_ENV, names.AWS_SECRET_ACCESS_KEY_ENV},
    }
    for name, keys in wanted.items():
        copies = [
            render.find(platform, "Secret", name, namespace)["data"]
            for namespace in ("bulkhead", NAMESPACE, "machine-learning")
        ]
        assert copies[0].keys() == keys
        assert copies.count(copies[0]) == len(copies), f"{name} differs between namespaces"


def test_a_code_server_reads_what_the_platform_makes_in_its_namespace(
    location_case: render.Case,
) -> None:
    template = next(iter(render.pod_templates(render.rendered(location_case)).values()))
    made = {name for kind, name in FIXED if kind in {"ConfigMap", "Secret"}}
    made.remove(names.STATUS_CONFIG_MAP)  # for the deployer
    (container,) = template["spec"]["containers"]
    read = {
        reference["name"]
        for source in container["envFrom"]
        for reference in source.values()
        if reference["name"].startswith("bulkhead-")
    } | {
        volume["configMap"]["name"]
        for volume in template["spec"]["volumes"]
        if volume["name"] == "dagster-instance"
    }
    assert read == made
    assert template["spec"]["serviceAccountName"] == names.CODE_SERVER_SERVICE_ACCOUNT
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert f"{names.DAGSTER_HOME}/{names.INSTANCE_CONFIG_KEY}" in mounts


def test_the_deployer_may_make_every_kind_of_the_teams_chart_and_what_a_deploy_needs(
    platform: list[render.Manifest], team: list[render.Manifest]
) -> None:
    rules = render.find(platform, "Role", names.DEPLOYER_ROLE, NAMESPACE)["rules"]
    may_make = {
        resource for rule in rules if "create" in rule["verbs"] for resource in rule["resources"]
    }
    # The pod that loads the definitions, the lock, and the event about a failure.
    needed = {"pods", "leases", "events"}
    assert may_make == {f"{each['kind'].lower()}s" for each in team} | needed
    assert "pods/exec" not in {resource for rule in rules for resource in rule["resources"]}


def test_only_the_web_server_may_change_the_status_and_no_other_config_map(
    platform: list[render.Manifest],
) -> None:
    for namespace in (NAMESPACE, "machine-learning"):
        role = render.find(platform, "Role", names.STATUS_ROLE, namespace)
        assert role["rules"] == [
            {
                "apiGroups": [""],
                "resources": ["configmaps"],
                "resourceNames": [names.STATUS_CONFIG_MAP],
                "verbs": ["patch"],
            }
        ]
        binding = render.find(platform, "RoleBinding", names.STATUS_ROLE, namespace)
        assert binding["roleRef"]["name"] == names.STATUS_ROLE
        web_server = {"name": names.webserver(), "namespace": "bulkhead"}
        assert binding["subjects"] == [{"kind": "ServiceAccount", **web_server}]


def test_an_upgrade_has_no_data_to_overwrite_the_status_with(platform_case: render.Case) -> None:
    """Not even an empty one: an upgrade leaves alone what no manifest contains."""
    for manifests in (
        render.rendered(platform_case),
        render.render(platform_case, "--is-upgrade"),
    ):
        found = [each for each in manifests if each["metadata"]["name"] == names.STATUS_CONFIG_MAP]
        maps = [each for each in found if each["kind"] == "ConfigMap"]
        assert len(maps) == len([each for each in manifests if each["kind"] == "Namespace"])
        assert all(each.keys() == {"apiVersion", "kind", "metadata"} for each in maps)


def test_a_release_says_where_it_comes_from(team: list[render.Manifest]) -> None:
    annotations = render.find(team, "Deployment", "forecasts")["metadata"]["annotations"]
    assert annotations == {
        names.COMMIT_ANNOTATION: "0000000000000000000000000000000000000003",
        names.TREE_ANNOTATION: "0000000000000000000000000000000000000004",
        names.DEPLOYED_BY_ANNOTATION: 'Ann "the deployer" <ann@example.com>',
    }


def test_code_location_objects_carry_its_label(
    platform: list[render.Manifest], team: list[render.Manifest]
) -> None:
    objects = [each for each in platform if each["metadata"].get("namespace") == NAMESPACE]
    objects.append(render.find(platform, "Namespace", NAMESPACE))
    for each in objects:
        assert each["metadata"]["labels"][names.CODE_LOCATION_LABEL] == "ingestion"
    for each in [*team, *render.pod_templates(team).values()]:
        assert each["metadata"]["labels"][names.CODE_LOCATION_LABEL] == "forecasts"


def test_the_contract_lists_every_name() -> None:
    contract = CONTRACT.read_text()
    kinds = ("_LABEL", "_ANNOTATION", "_ROLE", "_ACCOUNT", "_CONFIG_MAP", "_SECRET", "_ENV")
    for key, value in vars(names).items():
        if key.endswith(kinds) and not value.startswith(("app.kubernetes.io/", "BULKHEAD_DEF")):
            assert f"`{value}" in contract, f"{key}: {value}"
