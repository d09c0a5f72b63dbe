"""Promotes a code location: the image that is live in one environment becomes live in another."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from bulkhead.deploy import build, deploys, image_stage, live, sources
from bulkhead.deploy.errors import StageError
from bulkhead.deploy.live import short
from bulkhead.deploy.location import Outcome
from bulkhead.deploy.means import Means
from bulkhead.deploy.repository import Repository, RepositoryError, Snapshot
from bulkhead.deploy.settings import SettingsError
from bulkhead.deploy.sources import CodeFolder
from bulkhead.images import labels
from bulkhead.images.labels import Labels
from bulkhead.kube.api import KubernetesApiError
from bulkhead.registry.errors import RegistryError

_STAGE: Final = "source"


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is live in the environment to promote from.

    Attributes:
        image: By digest, as pods of that environment name it.
        snapshot: The commit that it was made of.
        target: The code location at that commit, in the environment to promote to.
    """

    image: str
    snapshot: Snapshot
    target: CodeFolder


def run(source: Means, target: Means, name: str, *, check_only: bool = False) -> Outcome:
    """Make the image that is live in one environment live in another.

    The values files and the chart are those of the commit that the image was made of, with the
    settings of the environment to promote to.

    Args:
        source: The environment to promote from.
        target: The environment to promote to.
        name: The code location.
        check_only: End after the load check.

    Raises:
        StageError: What is live there cannot be promoted. Failures after that are in the outcome.
    """
    candidate = find(source, target, name)
    commit = (candidate.snapshot.commit or "")[:12]
    target.report.location(
        name, f"{short(candidate.image)} of commit {commit}, live in {source.environment}"
    )
    [outcome] = deploys.run(
        replace(target, snapshot=_always(candidate.snapshot)),
        [candidate.target],
        check_only=check_only,
        are_named=True,
        action="promote",
        image=image_stage.copied_image(candidate.image, source.settings),
    )
    return outcome


def find(source: Means, target: Means, name: str) -> Candidate:
    """Return what is live in an environment, and the code location that it becomes in another.

    Raises:
        StageError: It is not deployed, or the files that it was made of are not known.
    """
    _check_places(source, target, name)
    image = _live_image(source, name)
    made_of = _labels(source, image)
    where = f"Image {short(image)}, which is live in {source.environment},"
    if made_of.commit is None or made_of.tree is None:
        raise StageError(
            _STAGE,
            f"{where} was not made by `bulkhead deploy`: it has no labels with its commit. Release "
            f"it with `bulkhead deploy --image … {name} --environment {target.environment}`.",
        )
    snapshot = _snapshot(target.repository, made_of.commit, where)
    found = _folder(target, snapshot, name)
    if target.repository.tree_of(snapshot, found.folder) != made_of.tree:
        raise StageError(
            _STAGE,
            f"{where} was made of files that are not in a commit: folder {found.folder} had other "
            f"content than in commit {made_of.commit[:12]}. Commit them, and deploy the commit in "
            f"{source.environment} first.",
        )
    return Candidate(image, snapshot, found)


def _check_places(source: Means, target: Means, name: str) -> None:
    """Raise if the two environments are the same place."""
    namespaces = [each.settings.namespace.format(location=name) for each in (source, target)]
    if source.api.address == target.api.address and len(set(namespaces)) == 1:
        raise StageError(
            _STAGE,
            f"Environments {source.environment} and {target.environment} are the same: namespace "
            f"{namespaces[0]} of cluster {source.api.address}. Set `context` or `namespace` of one "
            "of them in bulkhead.toml.",
        )


def _live_image(source: Means, name: str) -> str:
    namespace = source.settings.namespace.format(location=name)
    try:
        server = live.code_server(source.api, namespace, name)
    except KubernetesApiError as error:
        raise StageError(_STAGE, f"What is live in {source.environment} is unknown: {error}") from (
            error
        )
    if server is None or server.image is None:
        raise StageError(
            _STAGE,
            f"{name} is not deployed in {source.environment} (namespace {namespace}). Deploy it "
            f"there first: `bulkhead deploy {name} --environment {source.environment}`.",
        )
    if not server.is_rolled_out:
        raise StageError(
            _STAGE,
            f"{short(server.image)} is not live in {source.environment} yet: not all of its pods "
            f"are available. Wait for the deploy, or see `kubectl get pods -n {namespace}`.",
        )
    if "@sha256:" not in server.image:
        raise StageError(
            _STAGE,
            f"{server.image}, which is live in {source.environment}, has no digest, so it is not "
            "certain which image it is. Deploy it there with `bulkhead deploy`.",
        )
    return server.image


def _labels(source: Means, image: str) -> Labels:
    try:
        found = labels.labels(build.image_target(source.settings), image)
    except RegistryError as error:
        raise StageError("image", str(error)) from error
    if found is None:
        raise StageError(
            "image",
            f"The registry of {source.environment} does not have {image}, although it is live. It "
            f"was deleted there. Deploy {source.environment} again.",
        )
    return found


def _snapshot(repository: Repository, commit: str, where: str) -> Snapshot:
    try:
        return repository.at(commit)
    except RepositoryError as error:
        raise StageError(
            _STAGE,
            f"{where} was made of commit {commit[:12]}, which is not in this repository, so its "
            f"values files cannot be read. Fetch it (`git fetch origin {commit[:12]}`), or promote "
            "in the repository that it was deployed from.",
        ) from error


def _folder(target: Means, snapshot: Snapshot, name: str) -> CodeFolder:
    """Return the code location as it was at a commit."""
    try:
        return sources.choose(sources.find(target.repository, snapshot, target.settings), [name])[0]
    except (RepositoryError, SettingsError) as error:
        raise StageError(_STAGE, f"Commit {snapshot.name}: {error}") from error


def _always(snapshot: Snapshot) -> Callable[[], Snapshot]:
    return lambda: snapshot
