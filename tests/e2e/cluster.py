"""The cluster under test: clients, the images in its registry, namespaces of tests."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
KUBECONFIG = BUILD / "kubeconfig"
"""Of the cluster that `make up` makes, whatever the environment says: the tests break things."""

TEST_LABEL = "bulkhead.dev/e2e"
"""On every namespace that a test makes, with the value `true`."""

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


@dataclass(frozen=True)
class Kube:
    """The API groups in use, for one identity."""

    api: client.ApiClient
    core: client.CoreV1Api = field(init=False)
    apps: client.AppsV1Api = field(init=False)
    batch: client.BatchV1Api = field(init=False)
    net: client.NetworkingV1Api = field(init=False)
    rbac: client.RbacAuthorizationV1Api = field(init=False)
    custom: client.CustomObjectsApi = field(init=False)

    def __post_init__(self) -> None:
        for name, group in {
            "core": client.CoreV1Api,
            "apps": client.AppsV1Api,
            "batch": client.BatchV1Api,
            "net": client.NetworkingV1Api,
            "rbac": client.RbacAuthorizationV1Api,
            "custom": client.CustomObjectsApi,
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
        """Send one request to the API server and return its JSON (or text, if it is none).

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

    def with_token(self, token: str) -> Kube:
        """The same cluster, as the holder of a service account's token and nobody else."""
        own = self.api.configuration
        other = client.Configuration()
        other.host, other.ssl_ca_cert, other.verify_ssl = own.host, own.ssl_ca_cert, own.verify_ssl
        other.api_key = {"authorization": f"Bearer {token}"}
        return Kube(client.ApiClient(other))

    def token_of(self, namespace: str, service_account: str) -> str:
        """A token of a service account, valid for an hour."""
        request = client.AuthenticationV1TokenRequest(
            spec=client.V1TokenRequestSpec(audiences=[], expiration_seconds=3600)
        )
        answer = self.core.create_namespaced_service_account_token(
            service_account, namespace, request
        )
        return answer.status.token


def connect() -> Kube:
    """Connect as the admin of the cluster that `make up` makes."""
    if not KUBECONFIG.exists():
        raise FileNotFoundError(
            f"no cluster: there is no {KUBECONFIG}; run `make up`, or `make kind-test` for both"
        )
    return Kube(config.new_client_from_config(config_file=str(KUBECONFIG)))


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
    kube.core.create_namespace(
        client.V1Namespace(
            metadata=client.V1ObjectMeta(
                name=name, labels={TEST_LABEL: "true", **RESTRICTED, **(labels or {})}
            )
        )
    )
    return name


def delete_namespace(kube: Kube, name: str) -> None:
    """Ask for the end of a namespace, if it is there; does not wait."""
    try:
        kube.core.delete_namespace(name)
    except ApiException as error:
        if error.status != 404:
            raise
