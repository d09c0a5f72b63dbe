"""Makes sure that the image of a code location is in the registry, with as little work as possible.

Everything is found by keys, and blobs are named by their content. So a deploy that was interrupted
continues where it ended, and two deploys of the same tree at once do no harm.
"""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

from bulkhead.images import code, compose, labels, layer, packages
from bulkhead.images.errors import ImageError
from bulkhead.images.keys import Keys
from bulkhead.images.library import stage as stage_library
from bulkhead.images.target import Target
from bulkhead.registry.client import TIMEOUT_SECONDS, Registry
from bulkhead.registry.manifests import StoredImage

Work = Literal["nothing", "code", "library", "packages"]
"""The lowest part that was made; the parts above it were made too."""


@dataclass(frozen=True)
class Source:
    """A code location at one commit."""

    name: str
    folder: Path
    """Its files, without any that are not in the tree. Nothing is written there."""
    tree: str
    """The hash of the git tree of the folder."""
    commit: str
    commit_time: int
    """Seconds since the epoch."""


@dataclass(frozen=True)
class Built:
    """An image in the registry."""

    reference: str
    """By digest, as pods name it."""
    digest: str
    work: Work
    seconds: float
    pushed_bytes: int
    """Without the packages, which the engine pushes."""


def ensure(
    source: Source,
    target: Target,
    *,
    base_image: str,
    library: Path | None = None,
    build_options: Sequence[str] = (),
    engine: str | None = None,
    timeout: float = TIMEOUT_SECONDS,
    report: Callable[[str], None] = lambda _: None,
) -> Built:
    """Return the image of a code location; make and push what the registry does not have.

    Args:
        source: The code location.
        target: Where to push.
        base_image: For the packages: Debian 12 with Python 3.11.
        library: The source folder of bulkhead, or None for the bulkhead that runs.
        build_options: For the build of the packages; see `packages.build_and_push`.
        engine: `docker`, `podman` or `buildctl`; None for the first that works. An engine is used
            only if the lock was not built before.
        timeout: Seconds for which a registry that does not answer is retried.
        report: Called with a line before something that takes long, and before each retry.

    Raises:
        ImageError: The image cannot be made.
        RegistryError: The registry does not answer, or refuses.
    """
    started = time.monotonic()
    named = target.push_reference(source.name)
    repository = _Repository(
        target.open(named.host, timeout=timeout, report=report), named.repository
    )
    keys = Keys.of(source.folder / code.LOCK, base_image, library, source.tree)
    work: Work = "nothing"
    digest = repository.registry.digest(named.repository, keys.tree_tag)
    if digest is None:
        work = "code"
        runtime = repository.find(keys.runtime_tag)
        if runtime is None:
            work = "library"
            dependencies = repository.find(keys.lock_tag)
            if dependencies is None:
                work = "packages"
                packages.build_and_push(
                    source.folder / code.LOCK,
                    base_image,
                    target.push_reference(f"{source.name}:{keys.lock_tag}"),
                    plain_http=target.uses_plain_http(named.host),
                    named=engine,
                    options=build_options,
                    report=report,
                )
                dependencies = repository.get(keys.lock_tag)
            runtime = repository.add_library(dependencies, keys, library, report)
        digest = repository.add_code(runtime, keys, source, report).digest
    return Built(
        reference=target.pod_reference(source.name, digest),
        digest=digest,
        work=work,
        seconds=time.monotonic() - started,
        pushed_bytes=repository.pushed_bytes,
    )


class _Repository:
    """The repository of one code location, and what was pushed to it."""

    def __init__(self, registry: Registry, name: str) -> None:
        self.registry = registry
        self.name = name
        self.pushed_bytes = 0

    def find(self, tag: str) -> StoredImage | None:
        return self.registry.image(self.name, tag)

    def get(self, tag: str) -> StoredImage:
        image = self.find(tag)
        if image is None:
            raise ImageError(
                f"Registry {self.registry.host} does not have {self.name}:{tag}, which was just "
                "pushed. Check that both the engine and this machine reach the same registry."
            )
        return image

    def add_library(
        self, base: StoredImage, keys: Keys, source: Path | None, report: Callable[[str], None]
    ) -> StoredImage:
        """Add the layer with bulkhead; the same inputs give the same image at any time."""
        return self._add(
            base,
            lambda root: stage_library(source, root, report),
            tag=keys.runtime_tag,
            created=str(base.config.get("created") or _rfc3339(layer.EPOCH)),
            created_by="bulkhead",
            added={
                labels.LOCK: keys.lock,
                labels.LIBRARY: keys.library,
                labels.RUNTIME: keys.runtime,
            },
        )

    def add_code(
        self, base: StoredImage, keys: Keys, source: Source, report: Callable[[str], None]
    ) -> StoredImage:
        """Add the layer with the team's code."""
        return self._add(
            base,
            lambda root: code.stage(source.folder, root, report),
            tag=keys.tree_tag,
            created=_rfc3339(source.commit_time),
            created_by=f"code of {source.name}",
            added={
                labels.TITLE: source.name,
                labels.COMMIT: source.commit,
                labels.TREE: source.tree,
            },
        )

    def _add(
        self,
        base: StoredImage,
        stage: Callable[[Path], None],
        *,
        tag: str,
        created: str,
        created_by: str,
        added: Mapping[str, str],
    ) -> StoredImage:
        with tempfile.TemporaryDirectory(prefix="bulkhead-layer-") as scratch:
            root = Path(scratch) / "root"
            root.mkdir()
            stage(root)
            packed = layer.pack(root, Path(scratch) / "layer.tar.gz")
            if not self.registry.has_blob(self.name, packed.digest):
                self.registry.push_blob(self.name, packed.file)
                self.pushed_bytes += packed.size
        image = compose.append(base, packed, created=created, created_by=created_by, labels=added)
        digest = self.registry.push_image(self.name, image, tag)
        self.pushed_bytes += len(image.config_bytes())
        return StoredImage(image.format, image.config, image.layers, digest)


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
