"""A healthy installation as the API server would describe it, for tests to break one thing in."""

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from packages.bulkhead.tests.json_server import kubeconfig_to

from bulkhead import names
from bulkhead.admin import checks, snapshot
from bulkhead.admin.findings import Finding, Level
from bulkhead.admin.states import LocationState, location_states
from bulkhead.kube.api import KubernetesApiError

APPS = "/apis/apps/v1"
CORE = "/api/v1"
GRAPHQL = f"{CORE}/namespaces/bulkhead/services/bulkhead-webserver:http/proxy/graphql"


def named(name: str, namespace: str, **rest: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, **rest.pop("metadata", {})}
    return {"metadata": metadata, **rest}


def workload(name: str, namespace: str, image: str = "registry/image@sha256:1") -> dict[str, Any]:
    return named(
        name,
        namespace,
        metadata={"generation": 1},
        spec={
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {"spec": {"containers": [{"name": "main", "image": image}]}},
        },
        status={
            "observedGeneration": 1,
            "readyReplicas": 1,
            "conditions": [
                {
                    "type": "Available",
                    "status": "True",
                    "lastTransitionTime": "2030-01-01T00:00:00Z",
                }
            ],
        },
    )


def pod(owner: str, namespace: str) -> dict[str, Any]:
    return named(
        f"{owner}-abc",
        namespace,
        metadata={"labels": {"app": owner}},
        status={
            "conditions": [
                {"type": "PodScheduled", "status": "True"},
                {"type": "Ready", "status": "True"},
            ],
            "initContainerStatuses": [{"name": "workspace-sync", "ready": True, "state": {}}],
            "containerStatuses": [
                {"name": "main", "image": "registry/image", "ready": True, "state": {"running": {}}}
            ],
        },
    )


def service(name: str, namespace: str, location: str) -> dict[str, Any]:
    return named(
        name,
        namespace,
        metadata={
            "uid": f"{namespace}/{name}",
            "resourceVersion": "5",
            "creationTimestamp": "2030-01-01T00:00:00Z",
            "labels": {names.CODE_LOCATION_LABEL: location},
            "annotations": {names.IMAGE_ANNOTATION: "registry/hello@sha256:2"},
        },
        spec={"ports": [{"name": "grpc", "port": 3030}]},
    )


def healthy() -> dict[str, Any]:
    """Return the answers of the API server, by path: lists as lists, objects as objects."""
    registry = {"codeLocations": {"hello": {"environment": "production"}}}
    answers: dict[str, Any] = {
        "/version": {"gitVersion": "v1.34.0"},
        f"{APPS}/namespaces/bulkhead/deployments": [
            workload("bulkhead-webserver", "bulkhead"),
            workload("bulkhead-daemon", "bulkhead"),
        ],
        f"{APPS}/namespaces/bulkhead/statefulsets": [
            workload("bulkhead-postgresql", "bulkhead"),
            workload("bulkhead-object-store", "bulkhead"),
        ],
        "/apis/batch/v1/namespaces/bulkhead/jobs": [],
        f"{CORE}/namespaces/bulkhead/pods": [
            pod("bulkhead-webserver", "bulkhead"),
            pod("bulkhead-daemon", "bulkhead"),
        ],
        f"{CORE}/namespaces/bulkhead/configmaps": [
            named(
                "bulkhead-code-locations",
                "bulkhead",
                data={"registry.yaml": yaml.safe_dump(registry)},
            )
        ],
        GRAPHQL: {
            "data": {
                "workspace": {
                    "__typename": "Workspace",
                    "locationEntries": [
                        {
                            "name": "hello",
                            "loadStatus": "LOADED",
                            "updatedTimestamp": 1893456000.0,
                            "displayMetadata": [],
                            "locationOrLoadError": {"__typename": "RepositoryLocation"},
                        }
                    ],
                },
                "instance": {
                    "daemonHealth": {
                        "allDaemonStatuses": [
                            {
                                "daemonType": "SENSOR",
                                "required": True,
                                "healthy": True,
                                "lastHeartbeatTime": 1893456000.0,
                                "lastHeartbeatErrors": [],
                            }
                        ]
                    }
                },
            }
        },
    }
    space = "bulkhead-hello"
    answers[f"{CORE}/namespaces/{space}"] = named(
        space, "", metadata={"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
    )
    within = {
        f"{APPS}|deployments": [workload("hello", space)],
        f"{CORE}|services": [service("hello", space, "hello")],
        f"{CORE}|pods": [pod("hello", space)],
        f"{CORE}|resourcequotas": [
            named(
                "bulkhead",
                space,
                status={"used": {"limits.memory": "1Gi"}, "hard": {"limits.memory": "8Gi"}},
            )
        ],
        f"{CORE}|limitranges": [named("bulkhead", space)],
        f"{CORE}|serviceaccounts": [
            named(each, space) for each in ("bulkhead-code-server", "bulkhead-run", "bulkhead-step")
        ],
        "/apis/rbac.authorization.k8s.io/v1|rolebindings": [
            named(each, space)
            for each in ("bulkhead-launcher", "bulkhead-discovery", "bulkhead-run")
        ],
        f"{CORE}|configmaps": [
            named("bulkhead-instance", space),
            named("bulkhead-location", space),
        ],
        f"{CORE}|secrets": [
            named(each, space) for each in ("bulkhead-database", "bulkhead-object-store")
        ],
    }
    for key, items in within.items():
        group, kind = key.split("|")
        answers[f"{group}/namespaces/{space}/{kind}"] = items
    return answers


class Installation:
    """The answers of an API server, to be changed by a test and then looked at."""

    address = "https://cluster.example"
    workload = staticmethod(workload)
    service = staticmethod(service)
    pod = staticmethod(pod)
    named = staticmethod(named)

    def __init__(self) -> None:
        self.answers = healthy()
        self.forbidden: set[str] = set()

    def of(self, kind: str, namespace: str = "bulkhead-hello") -> Any:
        """Return the list of a kind, to be changed in place."""
        (path,) = (
            path for path in self.answers if path.endswith(f"/namespaces/{namespace}/{kind}")
        )
        return self.answers[path]

    @property
    def graphql(self) -> dict[str, Any]:
        return self.answers[GRAPHQL]["data"]

    def forbid(self, kind: str, namespace: str = "bulkhead-hello") -> None:
        self.forbidden |= {
            path for path in self.answers if path.endswith(f"/namespaces/{namespace}/{kind}")
        }

    def answer(self, path: str) -> tuple[int, dict[str, Any]]:
        if path in self.forbidden:
            return 403, {"kind": "Status", "message": f"forbidden: {path}"}
        if path not in self.answers:
            return 404, {"kind": "Status", "message": f"not found: {path}"}
        found = copy.deepcopy(self.answers[path])
        return 200, {"kind": "List", "items": found} if isinstance(found, list) else found

    # --- what is used of KubernetesApi ---

    def get(
        self, path: str, query: Mapping[str, str] | None = None, accept: str = ""
    ) -> dict[str, Any]:
        del query, accept
        status, answer = self.answer(path)
        if status != 200:
            raise KubernetesApiError(answer["message"], status)
        return answer

    # --- what a test asks ---

    def snapshot(self) -> snapshot.Snapshot:
        return snapshot.take(self, release="bulkhead", namespace="bulkhead")

    def findings(self) -> list[Finding]:
        return checks.check(self.snapshot())

    def complaints(self) -> list[Finding]:
        return [each for each in self.findings() if each.level is not Level.OK]

    def complaint(self) -> Finding:
        """Return the one finding that is not good; fail where there is another number of them."""
        complaints = self.complaints()
        assert len(complaints) == 1, complaints
        return complaints[0]

    def states(self) -> dict[str, LocationState]:
        return {each.name: each for each in location_states(self.snapshot())}


@pytest.fixture
def installation() -> Installation:
    return Installation()


@pytest.fixture
def kubeconfig(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Serve the installation over HTTP and let KUBECONFIG name it."""
    with kubeconfig_to(lambda path, _: installation.answer(path), tmp_path, monkeypatch) as file:
        yield file
