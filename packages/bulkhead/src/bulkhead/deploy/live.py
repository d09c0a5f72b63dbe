"""What is live: the Deployment of a code location, and what the Dagster UI reports about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from bulkhead import names
from bulkhead.kube import config_maps
from bulkhead.kube.api import KubernetesApi, KubernetesApiError
from bulkhead.kube.objects import Object, annotations, part, parts
from bulkhead.load_report import LoadReport, live_reports


@dataclass(frozen=True, slots=True)
class CodeServer:
    """The Deployment of a code location, with its pods."""

    deployment: Object
    pods: Sequence[Object]

    @property
    def image(self) -> str | None:
        """The image that the Deployment has now; `None` if its template has no container."""
        containers = parts(self.deployment, "spec", "template", "spec", "containers")
        return str(containers[0].get("image")) if containers else None

    @property
    def tree(self) -> str | None:
        """Git's id of the folder that the release was made from; None if it does not say."""
        return annotations(self.deployment).get(names.TREE_ANNOTATION)

    @property
    def is_rolled_out(self) -> bool:
        """Whether all pods are of the newest template and available."""
        status = part(self.deployment, "status")
        wanted = int(part(self.deployment, "spec").get("replicas") or 0)
        observed = int(status.get("observedGeneration") or 0)
        return (
            observed >= int(part(self.deployment, "metadata").get("generation") or 0)
            and int(status.get("updatedReplicas") or 0) >= wanted
            and int(status.get("availableReplicas") or 0) >= wanted
            and int(status.get("replicas") or 0) == int(status.get("updatedReplicas") or 0)
        )

    def pods_of(self, image: str) -> list[Object]:
        """Return the pods that run this image and are not being deleted."""
        return [
            pod
            for pod in self.pods
            if not part(pod, "metadata").get("deletionTimestamp")
            and any(each.get("image") == image for each in parts(pod, "spec", "containers"))
        ]


def code_server(api: KubernetesApi, namespace: str, location: str) -> CodeServer | None:
    """Return the code server of a location; None if it was never deployed.

    Raises:
        KubernetesApiError: The API server does not answer, or rejects the request.
    """
    try:
        deployment = api.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/{location}")
    except KubernetesApiError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return None
        raise
    selector = f"app.kubernetes.io/component=code-server,{names.CODE_LOCATION_LABEL}={location}"
    pods = api.get(f"/api/v1/namespaces/{namespace}/pods", {"labelSelector": selector})
    return CodeServer(deployment, parts(pods, "items"))


def load_reports(api: KubernetesApi, namespace: str) -> list[LoadReport]:
    """Return what each web server reports about the code location of a namespace.

    Reports of web servers that are gone are left out. Empty where the platform writes none.

    Raises:
        KubernetesApiError: The API server does not answer, or rejects the request.
    """
    found = config_maps.read(api, namespace, names.STATUS_CONFIG_MAP) or {}
    return list(live_reports(part(found, "data")).values())


def sentence(api: KubernetesApi, namespace: str, location: str) -> str:
    """Return a sentence that says what is live."""
    try:
        server = code_server(api, namespace, location)
    except KubernetesApiError as error:
        return f"What is live is unknown: {error}"
    if server is None or server.image is None:
        return f"Code location {location} is not deployed."
    return f"Live is {short(server.image)}."


def short(reference: str) -> str:
    """Return an image without its registry, and with a short digest."""
    name, _, digest = reference.partition("@sha256:")
    return f"{name.partition('/')[2]}@sha256:{digest[:12]}…"
