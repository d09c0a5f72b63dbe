"""Builds and pushes the images of code locations, as `bulkhead deploy` does."""

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from bulkhead.deploy import build, settings
from bulkhead.deploy.errors import StageError
from bulkhead.deploy.repository import Repository, RepositoryError
from bulkhead.deploy.settings import Settings, SettingsError
from bulkhead.deploy.sources import CodeFolder
from bulkhead.images.target import Target
from bulkhead_kind import deploy_command
from bulkhead_kind.paths import REPOSITORY
from bulkhead_kind.process import CommandError
from bulkhead_kind.progress import Progress


def ensure(progress: Progress, folders: Iterable[Path]) -> dict[str, str]:
    """Build and push the images of folders as they are in the working tree.

    The settings of `deploy_command` must be written. Images that are in the registry stay.

    Returns:
        Each image's reference by digest, by the name of the folder.

    Raises:
        StepError: this clone is not a git repository, or a build or a push failed.
    """
    references: dict[str, str] = {}
    for folder in folders:
        with progress.step(f"Build image {folder.name}") as step, step.log.open("a") as log:
            try:
                references[folder.name] = _ensure(folder, lambda text: print(text, file=log))
            except StageError as error:
                raise CommandError(f"{error}\n{error.output}".rstrip()) from error
            except (RepositoryError, SettingsError) as error:
                raise CommandError(str(error)) from error
    return references


def compressed_bytes(reference: str) -> int:
    """Return the size of the layers of a pushed image, as they are transferred.

    Raises:
        RegistryError: the registry does not answer.
    """
    found = _settings()
    target = Target(found.registry, found.push_prefix, found.plain_http)
    reachable = target.reachable(reference)
    image = target.open(reachable.host).image(reachable.repository, reachable.digest or "")
    return sum(layer.size for layer in image.layers) if image else 0


def _settings() -> Settings:
    files = (REPOSITORY / settings.FILE, deploy_command.SETTINGS)
    return settings.read({str(path): path.read_text() for path in files})


def _ensure(folder: Path, on_progress: Callable[[str], None]) -> str:
    found = _settings()
    repository = Repository(REPOSITORY)
    target = CodeFolder(folder.name, str(folder.relative_to(REPOSITORY)), "")
    with tempfile.TemporaryDirectory(prefix="bulkhead-image-") as scratch:
        snapshot = repository.working_tree()
        exported = build.export(repository, found, target, snapshot, Path(scratch))
        return build.ensure_image(found, exported, on_progress).reference
