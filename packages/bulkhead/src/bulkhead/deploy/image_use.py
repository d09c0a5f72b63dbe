"""Which images an environment of a code location uses, so that they are not removed."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from bulkhead.deploy import records
from bulkhead.deploy.build import image_target
from bulkhead.deploy.means import Means
from bulkhead.kube.objects import Object, part, parts

LIVE: Final = "live"
RUN: Final = "a run or pod has it"
ROLLBACK: Final = "for a rollback"

_PAGE: Final = 500
_ENDED: Final = frozenset({"Succeeded", "Failed"})  # phases of a pod
_FINISHED: Final = frozenset({"Complete", "Failed", "SuccessCriteriaMet", "FailureTarget"})


def used_images(
    means: Means, location: str, digest_of_tag: Callable[[str], str | None]
) -> dict[str, str]:
    """Return the digests that an environment uses, each with the first reason for it.

    These are the images of Deployments, of pods and Jobs that have not ended, and of revisions of
    Helm that a rollback can release again. A run that waits in Dagster's queue has no Job yet, so
    its image is not among them.

    Args:
        means: The environment.
        location: The code location.
        digest_of_tag: Returns the digest of a tag in the location's repository.

    Raises:
        KubernetesApiError: The API server does not answer, or rejects the request.
        HelmError: The revisions cannot be read.
        RegistryError: The name of an image is not valid, or a tag cannot be read.
    """
    namespace = means.settings.namespace.format(location=location)
    target = image_target(means.settings)
    repository = target.push_reference(location).repository
    found: dict[str, str] = {}
    for image, reason in (
        *_in_cluster(means, namespace),
        *_of_rollbacks(means, namespace, location),
    ):
        reference = target.reachable(image)
        digest = reference.digest
        if digest is None and reference.tag and reference.repository == repository:
            digest = digest_of_tag(reference.tag)
        if digest is not None:
            found.setdefault(digest, reason)
    return found


def _in_cluster(means: Means, namespace: str) -> Iterator[tuple[str, str]]:
    apps, batch = (f"/apis/{each}/namespaces/{namespace}" for each in ("apps/v1", "batch/v1"))
    for deployment in _list(means, f"{apps}/deployments"):
        yield from ((image, LIVE) for image in _images(part(deployment, "spec", "template")))
    for pod in _list(means, f"/api/v1/namespaces/{namespace}/pods"):
        if part(pod, "status").get("phase") not in _ENDED:
            yield from ((image, RUN) for image in _images(pod))
    for job in _list(means, f"{batch}/jobs"):
        if not _is_finished(job):
            yield from ((image, RUN) for image in _images(part(job, "spec", "template")))


def _of_rollbacks(means: Means, namespace: str, location: str) -> Iterator[tuple[str, str]]:
    revisions = {each.number for each in means.helm.history(location, namespace)}
    for record in records.read(means.api, namespace, location):
        if record.result == "live" and record.image and record.revision in revisions:
            yield record.image, ROLLBACK


def _list(means: Means, path: str) -> Iterator[Object]:
    for page in means.api.pages(path, {}, size=_PAGE):
        yield from parts(page, "items")


def _images(pod: Object) -> Iterator[str]:
    """Yield the images of a pod, or of the template of one."""
    spec: Mapping[str, object] = part(pod, "spec")
    for kind in ("containers", "initContainers"):
        for container in parts(spec, kind):
            if container.get("image"):
                yield str(container["image"])


def _is_finished(job: Object) -> bool:
    return any(
        each.get("status") == "True" and each.get("type") in _FINISHED
        for each in parts(job, "status", "conditions")
    )
