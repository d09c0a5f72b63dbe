"""Which code locations of a repository a commit changes. This reads only git, and no cluster."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bulkhead.deploy import settings as deploy_settings
from bulkhead.deploy.repository import Repository, RepositoryError, Snapshot
from bulkhead.deploy.settings import Settings
from bulkhead.deploy.sources import CodeFolder

# In the root folder, it names the version of bulkhead that becomes part of every image.
_PROJECT: Final = "pyproject.toml"


@dataclass(frozen=True, slots=True)
class Changed:
    """A code location that may need a deploy.

    Attributes:
        name: Its name.
        reason: What changed, such as `2 files` or `bulkhead.toml`.
    """

    name: str
    reason: str


def find(
    repository: Repository,
    before: Snapshot | None,
    after: Snapshot,
    targets: Sequence[CodeFolder],
    shared: Sequence[str],
) -> list[Changed]:
    """Return the code locations whose folder has another git tree, or all if something shared has.

    Args:
        repository: The repository.
        before: The earlier content; None returns all code locations.
        after: The later content.
        targets: The code locations of the later content.
        shared: Paths of files and folders that every code location uses.

    Raises:
        RepositoryError: git cannot read the later content.
    """
    if before is None:
        return [Changed(each.name, "nothing to compare with") for each in targets]
    for path in shared:
        if _tree(repository, before, path) != _tree(repository, after, path):
            return [Changed(each.name, path) for each in targets]
    return list(_changed_folders(repository, before, after, targets))


def shared_paths(settings: Settings, also: str | None = None) -> list[str]:
    """Return the paths that every code location uses.

    Args:
        settings: Name the folders of the chart and of the source of bulkhead.
        also: A second settings file, if it is in the repository.
    """
    chart = settings.chart if settings.has_own_chart else None
    paths = (deploy_settings.FILE, _PROJECT, also, chart, settings.library)
    return [path for path in paths if path]


def _changed_folders(
    repository: Repository, before: Snapshot, after: Snapshot, targets: Sequence[CodeFolder]
) -> Iterator[Changed]:
    for target in targets:
        old, new = (
            _tree(repository, before, target.folder),
            repository.tree_of(after, target.folder),
        )
        if old is None:
            yield Changed(target.name, "new")
        elif old != new:
            count = repository.changed_files(old, new)
            yield Changed(target.name, "1 file" if count == 1 else f"{count} files")


def _tree(repository: Repository, snapshot: Snapshot, path: str) -> str | None:
    """Return git's id of a file or folder; None if it is not there."""
    try:
        return repository.tree_of(snapshot, path)
    except RepositoryError:
        return None
