"""The cluster under test: clients, the images in its registry, namespaces of tests."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import kubernetes.client
import kubernetes.config
import kubernetes.stream
import yaml
from kubernetes.client.exceptions import ApiException

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# The `kubernetes` package has no types. Only this module imports it; here it becomes `Any`.
_client: Any = kubernetes.client
_config: Any = kubernetes.config
_stream: Any = kubernetes.stream

Pod: TypeAlias = Any
"""A `V1Pod` of the client library."""
Node: TypeAlias = Any
"""A `V1Node`."""
Event: TypeAlias = Any
"""A `CoreV1Event`."""
Termination: TypeAlias = Any
"""A `V1ContainerStateTerminated`."""

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
KUBECONFIG = BUILD / "kubeconfig"
"""The cluster of `make up`; KUBECONFIG is ignored, because the tests break things."""

TEST_LABEL = "bulkhead.dev/e2e"
"""On every namespace that a test makes, with the value `true`."""

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


@dataclass(frozen=True)
class Kube:
    """The API groups in use, for one identity."""

    api: Any
    """The `ApiClient`."""
    core: Any = field(init=False)
    apps: Any = field(init=False)
    batch: Any = field(init=False)
    net: Any = field(init=False)
    rbac: Any = field(init=False)
    scheduling: Any = field(init=False)

    def __post_init__(self) -> None:
        for name, group in {
            "core": _client.CoreV1Api,
            "apps": _client.AppsV1Api,
            "batch": _client.BatchV1Api,
            "net": _client.NetworkingV1Api,
            "rbac": _client.RbacAuthorizationV1Api,
            "scheduling": _client.SchedulingV1Api,
        }.items():
            object.__setattr__(self, name, group(self.api))

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
        timeout: float = 60,
    ) -> Any:
        """Send one request to the API server and return its JSON, or its text if it is not JSON.

        Raises:
            ApiException: with the status and the body of any answer that is not 2xx.
        """
        response = self.api.call_api(
            path,
            method,
            query_params=list((query or {}).items()),
            header_params={"Content-Type": content_type, "Accept": "application/json, */*"},
            body=body,
            auth_settings=["BearerToken"],
            _preload_content=False,
            _return_http_data_only=True,
            _request_timeout=timeout,
        )
        text = response.data.decode(errors="replace")
        try:
            return json.loads(text)
        except ValueError:
            return text

    def execute(
        self, namespace: str, pod: str, command: Sequence[str], container: str | None = None
    ) -> tuple[str, str]:
        """Run a command inside a pod; return its output and its status as YAML.

        Args:
            namespace: of the pod.
            pod: its name.
            command: program and arguments.
            container: the pod's first one by default.
        """
        # `stream` changes the client that it is given while it runs: other threads must not share
        # it.
        with _client.ApiClient(self.api.configuration) as own:
            session = _stream.stream(
                _client.CoreV1Api(own).connect_get_namespaced_pod_exec,
                pod,
                namespace,
                command=list(command),
                stdin=False,
                stdout=True,
                stderr=True,
                tty=False,
                _preload_content=False,
                **({"container": container} if container else {}),
            )
            session.run_forever(timeout=60)
            status = session.read_channel(_stream.ws_client.ERROR_CHANNEL)
            output = session.read_all()
            session.close()
        return output, status

    def plain(self, objects: object) -> Any:
        """Objects of the client library as dicts and lists, with the API's own field names."""
        return self.api.sanitize_for_serialization(objects)

    def with_token(self, token: str) -> Kube:
        """The same cluster, with a service account's token and no other credentials."""
        own = self.api.configuration
        other = _client.Configuration()
        other.host, other.ssl_ca_cert, other.verify_ssl = own.host, own.ssl_ca_cert, own.verify_ssl
        other.api_key = {"authorization": f"Bearer {token}"}
        return Kube(_client.ApiClient(other))

    def token_of(self, namespace: str, service_account: str) -> str:
        """A token of a service account, valid for an hour."""
        request = {"spec": {"expirationSeconds": 3600}}
        answer = self.core.create_namespaced_service_account_token(
            service_account, namespace, request
        )
        return answer.status.token


def listed(value: list[Any] | None) -> list[Any]:
    """A list of an API object; the client library has `None` for an empty one."""
    return value or []


def connect() -> Kube:
    """Connect as the admin of the cluster that `make up` makes."""
    if not KUBECONFIG.exists():
        raise FileNotFoundError(
            f"no cluster: there is no {KUBECONFIG}; run `make up`, or `make kind-test` for both"
        )
    return Kube(_config.new_client_from_config(config_file=str(KUBECONFIG)))


def kubeconfig_with(token: str, path: Path) -> Path:
    """Write a kubeconfig for the cluster with a token and no other credentials; return its path."""
    given = yaml.safe_load(KUBECONFIG.read_text())
    current = given["current-context"]
    (context,) = (each["context"] for each in given["contexts"] if each["name"] == current)
    context["user"] = "token"
    given["users"] = [{"name": "token", "user": {"token": token}}]
    path.write_text(yaml.safe_dump(given))
    path.chmod(0o600)
    return path


def status_of(error: ApiException) -> int:
    """The HTTP status of an error of the API server."""
    return cast("Any", error).status


def brief(error: ApiException) -> str:
    """An error of the API server in one line."""
    known = cast("Any", error)
    return f"HTTP {known.status} {known.reason}: {str(known.body)[:300]}"


@cache
def images() -> dict[str, str]:
    """References of the images by short name, as `bulkhead-kind images` wrote them."""
    path = Path(os.environ.get("BULKHEAD_IMAGES") or BUILD / "images.json")
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; run `make images`")
    return json.loads(path.read_text())


def image_values(name: str) -> dict[str, Any]:
    """The `image` of a chart's values for one of `images()`."""
    reference = images()[name]
    rest, _, digest = reference.partition("@")
    registry, _, repository = rest.partition("/")
    repository, _, tag = repository.partition(":")
    values = {"registry": registry, "repository": repository, "tag": tag, "digest": digest}
    return {key: value for key, value in values.items() if value}


def create_namespace(kube: Kube, name: str, labels: Mapping[str, str] | None = None) -> str:
    """Create a namespace with PodSecurity `restricted`, and return its name."""
    labels = {TEST_LABEL: "true", **RESTRICTED, **(labels or {})}
    kube.core.create_namespace({"metadata": {"name": name, "labels": labels}})
    return name


def delete_namespace(kube: Kube, name: str) -> None:
    """Start the deletion of a namespace, if it exists; does not wait."""
    try:
        kube.core.delete_namespace(name)
    except ApiException as error:
        if status_of(error) != 404:
            raise
