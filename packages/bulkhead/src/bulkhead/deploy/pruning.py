"""Removes images of code locations that no environment needs."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from bulkhead.deploy.build import image_target
from bulkhead.deploy.errors import NotRegisteredError, StageError
from bulkhead.deploy.helm import HelmError
from bulkhead.deploy.image_use import used_images
from bulkhead.deploy.lock import locked
from bulkhead.deploy.means import LocationReport, Means
from bulkhead.deploy.sources import CodeFolder
from bulkhead.images import prune
from bulkhead.images.prune import Part, Plan, TreeImage
from bulkhead.kube.api import KubernetesApiError
from bulkhead.registry.client import Registry
from bulkhead.registry.errors import RegistryError


@dataclass(frozen=True, slots=True)
class Row:
    """One image in a plan.

    Attributes:
        tag: In the repository of the code location.
        digest: Of the image.
        commit: That it was first made for; None for packages and bulkhead alone.
        created: The time of the commit, in seconds since the epoch; None as above.
        size: Bytes of its layers; other images may share them.
        kept: Why it stays; None if it is removed.
    """

    tag: str
    digest: str
    commit: str | None
    created: float | None
    size: int
    kept: str | None


@dataclass(frozen=True, slots=True)
class LocationPlan:
    """What stays and what is removed of one code location."""

    location: str
    repository: str
    """With the host."""
    rows: Sequence[Row]
    freed_bytes: int
    """At most; layers that an image with a tag of another program has may stay."""

    @property
    def removed(self) -> int:
        """How many images are removed."""
        return sum(each.kept is None for each in self.rows)


class Pruning:
    """Plans and removes for one environment, with regard to those that share its repositories."""

    def __init__(self, means: Means, others: Sequence[Means], *, keep: int) -> None:
        """Prepare; nothing is requested yet.

        Args:
            means: The environment whose registry is pruned.
            others: The other environments of the repository.
            keep: How many of the newest images of a code location stay.
        """
        self._means = means
        self._others = others
        self._keep = keep

    def plan(self, location: str) -> LocationPlan:
        """Return what can be removed of a code location; nothing is changed.

        Raises:
            StageError: The registry or an environment cannot be read.
        """
        return self._explained(location, *self._read(location))

    def remove(self, location: str) -> LocationPlan:
        """Remove what can be removed of a code location, while no deploy of it runs.

        Raises:
            StageError: The registry or an environment cannot be read, or rejects the removal.
        """
        with ExitStack() as stack:
            for means in self._sharing(location):
                # No deploy runs where the code location is not registered.
                with suppress(NotRegisteredError):
                    stack.enter_context(locked(means, *_reported(means, location)))
            plan, used = self._read(location)
            report, _ = _reported(self._means, location)
            try:
                prune.remove(
                    self._registry(location), plan, lambda tag: report.progress("remove", tag)
                )
            except RegistryError as error:
                raise StageError("registry", str(error)) from error
        return self._explained(location, plan, used)

    def _read(self, location: str) -> tuple[Plan, Mapping[str, Sequence[str]]]:
        """Return the plan, and the digests that are used with the reasons."""
        named = image_target(self._means.settings).push_reference(location)
        try:
            registry = self._registry(location)
            used = self._used(location, lambda tag: registry.digest(named.repository, tag))
            plan = prune.plan(registry, named.repository, used=used, keep=self._keep)
        except RegistryError as error:
            raise StageError("registry", str(error)) from error
        return plan, used

    def _used(
        self, location: str, digest_of_tag: Callable[[str], str | None]
    ) -> dict[str, list[str]]:
        found: defaultdict[str, list[str]] = defaultdict(list)
        for means in self._sharing(location):
            try:
                used = used_images(means, location, digest_of_tag)
            except (KubernetesApiError, HelmError) as error:
                raise StageError(
                    "use",
                    f"What {_name(means)} uses is unknown, so nothing is removed: "
                    f"{str(error).rstrip('.')}. The account must be able to list Deployments, "
                    f"pods, Jobs and ConfigMaps in the namespace of {location} there.",
                ) from error
            suffix = f" in {means.environment}" if means.environment and self._others else ""
            for digest, reason in used.items():
                found[digest].append(f"{reason}{suffix}")
        return dict(found)

    def _sharing(self, location: str) -> list[Means]:
        """Return the environment, and those that have a repository in common with it.

        Each place is returned once, also if it has two names. In one order, so that two calls that
        lock them never wait for each other.
        """
        own = image_target(self._means.settings)
        sharing = {
            _place(other): other
            for other in self._others
            if (target := image_target(other.settings)).registry == own.registry
            or target.push_reference(location) == own.push_reference(location)
        } | {_place(self._means): self._means}
        return [sharing[place] for place in sorted(sharing)]

    def _registry(self, location: str) -> Registry:
        target = image_target(self._means.settings)
        report, _ = _reported(self._means, location)
        host = target.push_reference(location).host
        return target.open(host, report=lambda text: report.progress("registry", text))

    def _explained(
        self, location: str, plan: Plan, used: Mapping[str, Sequence[str]]
    ) -> LocationPlan:
        named = image_target(self._means.settings).push_reference(location)
        newest = f"one of the newest {self._keep}"
        rows = [
            _row(each, _reason(used.get(each.digest, ()), newest if number < self._keep else None))
            for number, each in enumerate(plan.kept)
        ]
        rows += [_row(each, None) for each in (*plan.removed, *plan.removed_parts)]
        return LocationPlan(location, f"{named.host}/{named.repository}", rows, plan.freed_bytes)


def _row(image: TreeImage | Part, kept: str | None) -> Row:
    labels = image.labels if isinstance(image, TreeImage) else None
    return Row(
        tag=image.tag,
        digest=image.digest,
        commit=labels.commit if labels else None,
        created=labels.created if labels else None,
        size=sum(layer.size for layer in image.layers),
        kept=kept,
    )


def _reason(used: Collection[str], newest: str | None) -> str:
    return ", ".join([*used, *([newest] if newest else [])]) or "has another tag"


def _reported(means: Means, location: str) -> tuple[LocationReport, CodeFolder]:
    """Return a code location in an environment, and where to report about it."""
    target = CodeFolder(location, "", means.settings.namespace.format(location=location))
    return LocationReport(means.report, target), target


def _name(means: Means) -> str:
    return f"environment {means.environment}" if means.environment else "the cluster"


def _place(means: Means) -> tuple[str, str]:
    return means.api.address, means.settings.namespace
