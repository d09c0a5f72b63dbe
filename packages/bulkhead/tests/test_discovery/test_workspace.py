"""The rules: registry and Services in, locations and refusals out."""

import json
import random
import subprocess
import sys

import pytest

from bulkhead.discovery.registry import Registration, RegistryError, read_registry
from bulkhead.discovery.workspace import CodeLocationService, plan, read_service
from bulkhead.discovery.workspace_file import WorkspaceFileError, parse, render
from bulkhead.webserver_api.workspace import Location


def registered(**namespaces: str) -> dict[str, Registration]:
    return {name: Registration(name, namespace) for name, namespace in namespaces.items()}


def service(
    location: str,
    namespace: str,
    name: str | None = None,
    *,
    created: str = "2030-01-01T00:00:00Z",
    port: int | None = 3030,
) -> CodeLocationService:
    name = name or location
    uid = f"{namespace}/{name}"
    return CodeLocationService(namespace, name, uid, "7", created, location, port)


def test_a_registered_service_joins_the_workspace() -> None:
    made = plan(
        registered(hello="bulkhead-hello"),
        {"bulkhead-hello": [service("hello", "bulkhead-hello")]},
        [],
    )
    assert made.locations == (Location("hello", "hello.bulkhead-hello.svc", 3030),)
    assert made.refusals == ()


def test_a_service_in_another_namespace_is_refused_and_the_owner_named() -> None:
    thief = service("hello", "bulkhead-ml", "impostor", created="2020-01-01T00:00:00Z")
    owner = service("hello", "bulkhead-hello")
    made = plan(
        registered(hello="bulkhead-hello", ml="bulkhead-ml"),
        {"bulkhead-ml": [thief], "bulkhead-hello": [owner]},
        [],
    )
    assert [each.host for each in made.locations] == ["hello.bulkhead-hello.svc"]
    (refusal,) = made.refusals
    assert refusal.service == thief
    assert "belongs to namespace bulkhead-hello" in refusal.message
    assert "codeLocations.hello.namespace" in refusal.message


def test_of_two_services_with_one_name_the_older_stays() -> None:
    old = service("hello", "ns", "old", created="2030-01-01T00:00:00Z")
    new = service("hello", "ns", "new", created="2030-01-01T00:00:01Z")
    made = plan(registered(hello="ns"), {"ns": [new, old]}, [])
    assert [each.host for each in made.locations] == ["old.ns.svc"]
    assert [each.service for each in made.refusals] == [new]
    assert "the older Service old" in made.refusals[0].message


def test_a_name_that_nobody_registered_is_refused() -> None:
    made = plan(registered(hello="ns"), {"ns": [service("other", "ns")]}, [])
    assert made.locations == ()
    assert "codeLocations.other" in made.refusals[0].message


def test_a_service_without_a_grpc_port_is_refused_and_does_not_hold_the_name() -> None:
    portless = service("hello", "ns", "portless", created="2020-01-01T00:00:00Z", port=None)
    made = plan(registered(hello="ns"), {"ns": [portless, service("hello", "ns", "good")]}, [])
    assert [each.host for each in made.locations] == ["good.ns.svc"]
    assert "no port named 'grpc'" in made.refusals[0].message


def test_a_namespace_that_could_not_be_listed_keeps_its_locations() -> None:
    before = [Location("hello", "hello.ns.svc", 3030), Location("gone", "gone.other.svc", 3030)]
    made = plan(registered(hello="ns", gone="other"), {"other": []}, before)
    assert made.locations == (Location("hello", "hello.ns.svc", 3030),)


def test_a_location_that_is_registered_no_more_or_elsewhere_is_not_kept() -> None:
    before = [Location("hello", "hello.ns.svc", 3030), Location("moved", "moved.old.svc", 3030)]
    assert plan(registered(moved="new"), {}, before).locations == ()


def test_the_plan_does_not_depend_on_the_order_of_the_services() -> None:
    services = [service(f"l{n % 7}", "ns", f"s{n}") for n in range(30)]
    registry = registered(**{f"l{n}": "ns" for n in range(7)})
    first = plan(registry, {"ns": services}, [])
    random.Random(1).shuffle(services)  # noqa: S311 - no secret
    assert plan(registry, {"ns": services}, []) == first
    assert len(first.locations) == 7


def test_the_same_locations_give_the_same_text_and_the_text_reads_back() -> None:
    locations = [Location("b", "b.ns.svc", 2), Location("a", "a.ns.svc", 1)]
    assert render(locations) == render(locations[::-1])
    assert parse(render(locations)) == tuple(sorted(locations))
    assert parse(render([])) == ()


@pytest.mark.parametrize("text", ["", "load_from: 3", "load_from: [{python_file: x}]", "{"])
def test_a_workspace_of_somebody_else_is_not_taken_for_ours(text: str) -> None:
    with pytest.raises(WorkspaceFileError):
        parse(text)


def test_the_registry_is_read_with_its_defaults() -> None:
    registry = read_registry(
        "codeLocations: {hello: {environment: production}, ml: {namespace: models}, x: }"
    )
    assert registry["hello"] == Registration("hello", "bulkhead-hello", "production")
    assert registry["ml"].namespace == "models"
    assert registry["x"].namespace == "bulkhead-x"


def test_a_registry_without_locations_is_a_registry() -> None:
    assert read_registry("codeLocations: {}") == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no key codeLocations"),
        ("codelocations: {}", "no key codeLocations"),
        ("codeLocations: [hello]", "expected a mapping of names"),
        ("codeLocations: {Hello: {}}", "codeLocations.Hello: 'Hello' is not a valid name"),
        ("codeLocations: {2nd: {}}", "codeLocations.2nd: '2nd' is not a valid name"),
        (f"codeLocations: {{{'a' * 51}: {{}}}}", "1 to 50 lower-case letters.* Try a{50}$"),
        ("codeLocations: {.inf: {}}", "codeLocations.inf: the name is a float"),
        ("codeLocations: {hello: 3}", "codeLocations.hello is 3"),
        ("codeLocations: {hello: {namespace: A/B}}", "codeLocations.hello.namespace is 'A/B'"),
        ("codeLocations: {hello: {environment: 3}}", "codeLocations.hello.environment is 3"),
        ("codeLocations: {", "not YAML"),
    ],
)
def test_a_malformed_registry_is_an_error_and_never_an_empty_one(text: str, says: str) -> None:
    with pytest.raises(RegistryError, match=says):
        read_registry(text)


def test_a_service_without_the_label_is_ignored() -> None:
    metadata = {"name": "hello", "namespace": "ns", "uid": "u", "resourceVersion": "1"}
    assert read_service({"metadata": metadata}) is None
    found = read_service(
        {"metadata": {**metadata, "labels": {"bulkhead.dev/code-location": "hello"}}}
    )
    assert found is not None
    assert found.location == "hello"


def test_workspace_sync_imports_neither_dagster_nor_the_kubernetes_client() -> None:
    """It runs beside every web server and daemon: what it imports is what it costs."""
    code = (
        "import json, sys\n"
        "from bulkhead.discovery import sync\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not {"dagster", "dagster_k8s", "kubernetes"} & set(json.loads(done.stdout))
